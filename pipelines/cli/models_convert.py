"""`hardmine models convert`: the light form of models that were exported before."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  add_reason,
  open_store,
  print_json,
  reason_of,
)
from hardmine.schemas.config import require

if TYPE_CHECKING:
  from hardmine.serving.store.conversion import Conversion
  from hardmine.serving.store.store import ModelStore


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the action."""
  convert = add_action(
    actions,
    "convert",
    run_convert,
    "add the light form to a model that was exported without it",
    "Exports a model of before once more, with the light form that runs without "
    "TensorFlow; needs TensorFlow once. Of a store, the outcome is a new version with "
    "the same numbers and verdict, which `promote` then moves an alias to; nothing is "
    "replaced. A model that has a light form already is left as it is.",
  )
  convert.add_argument(
    "reference",
    metavar="MODEL",
    help="a number or an alias of the store, STORE:VERSION, or with --output the "
    "folder of an exported model",
  )
  convert.add_argument(
    "--output", metavar="DIR", help="a new folder, which gets the converted model"
  )
  convert.add_argument(
    "--code",
    metavar="DIR",
    help="holds the modules of your own that the model's config names, as its "
    "experiment's folder does",
  )
  add_reason(convert)


def run_convert(args: argparse.Namespace) -> int:
  """Converts, and says where the outcome is.

  Raises:
    ValueError: no such model, or an output that is there.
    RuntimeError: the model is damaged, or cannot be converted.
  """
  if args.code is not None:
    require(Path(args.code).is_dir(), "a folder of modules", code=args.code)
    from hardmine.schemas.class_names import search_modules_in, trust_modules_in

    search_modules_in(args.code)
    trust_modules_in(args.code)
  if args.output is not None:
    return _convert_folder(args)
  from hardmine.serving.store.conversion import add_light_form

  store, number = _version(args)
  found = add_light_form(store, number, convert_model, reason=reason_of(args))
  _print_version(store, found, args)
  return 0


def convert_model(model_dir: Path, target_dir: Path) -> None:
  """Writes a model again, with both forms.

  Args:
    model_dir: an exported codec or detector.
    target_dir: a folder that does not exist yet or is empty.
  """
  from hardmine.schemas.exported_model import kind_of

  if kind_of(model_dir) == "detector":
    from hardmine.trainers.detection.exports.conversion import convert_detector

    convert_detector(model_dir, target_dir)
  else:
    from hardmine.trainers.codec.exports.conversion import convert_codec

    convert_codec(model_dir, target_dir)


def _convert_folder(args: argparse.Namespace) -> int:
  from hardmine.schemas.exported_model import has_light_form, is_exported, kind_of
  from hardmine.schemas.outputs import StagedFolder

  model_dir = Path(args.reference).expanduser()
  require(
    is_exported(model_dir) and kind_of(model_dir) is not None,
    "an exported model's folder with --output (without it, a version of --store)",
    model=args.reference,
  )
  already = has_light_form(model_dir)
  if not already:
    with StagedFolder(args.output, remedy="") as staging:
      convert_model(model_dir, staging)
  if args.json:
    place = str(model_dir) if already else args.output
    print_json({"model": args.reference, "already": already, "model_dir": place})
  elif already:
    print(f"{args.reference} has a light form already")
  else:
    print(f"{args.output}: {args.reference} with a light form")
  return 0


def _version(args: argparse.Namespace) -> tuple[ModelStore, int]:
  """The store that was named, in either way, and the version."""
  from hardmine.pipelines.cli.model_ref import split_store_reference

  reference = args.reference
  if parts := split_store_reference(reference):
    args.store, reference = parts
  elif Path(reference).is_dir():
    raise ValueError(
      "Expected --output DIR, a new folder for the converted model. "
      f"Received: a folder, {reference!r}"
    )
  store = open_store(args)
  return store, store.resolve(reference)


def _print_version(
  store: ModelStore, found: Conversion, args: argparse.Namespace
) -> None:
  signed = bool(store.signatures(found.from_version)) and not found.already
  if args.json:
    print_json(
      {
        "store": store.url,
        "from_version": found.from_version,
        "version": found.version,
        "already": found.already,
        "signature_left_behind": signed,
      }
    )
    return
  if found.already and found.version == found.from_version:
    print(f"version {found.version} has a light form already")
  elif found.already:
    print(f"version {found.version} is version {found.from_version} with a light form")
  else:
    print(
      f"version {found.version}: version {found.from_version} with a light form; "
      f"`hardmine models promote {found.version} --to ALIAS` puts it to use"
    )
  if signed:
    print("it is not signed yet: `hardmine models sign` does that")
