"""Which models `hardmine detect` asks, in which views; one, or several as one."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hardmine.pipelines.cli.model_ref import (
  add_model_argument,
  choose_model,
  resolve_model,
)
from hardmine.pipelines.cli.runtime_argument import runtime_of, threads_of_each
from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import EnsembleConfig, Member, Views
from hardmine.schemas.exported_model import read_facts

if TYPE_CHECKING:
  from hardmine.trainers.detection.detector import Detector
  from hardmine.trainers.detection.ensembles.ensemble import Ensemble

NONE = "none"
_MOST_BYTES = 1 << 20  # of a file that names some models


class Chosen(NamedTuple):
  """What is asked.

  Attributes:
    model_dirs: the models' folders.
    config: how several answers become one; None for one model and whole pictures.
  """

  model_dirs: list[Path]
  config: EnsembleConfig | None


def add_models(parser: argparse.ArgumentParser) -> None:
  """Adds `--model`, `--ensemble` and the views."""
  add_model_argument(parser, action="append")
  group = parser.add_argument_group(
    "several models, and several views of a picture, as one",
    "--model may be repeated: what the models find is fused, box by box",
  )
  group.add_argument(
    "--ensemble",
    metavar="FILE",
    help="the models, their weights and the views that `hardmine study ensemble` wrote",
  )
  add_views(group)


def add_views(parser: argparse._ActionsContainer) -> None:
  """Adds `--crops` and `--flip`, which are None where nobody says anything."""
  parser.add_argument(
    "--crops",
    metavar="N",
    help="show each model NxN overlapping parts of a picture too, which finds small "
    f"objects and takes 1 + NxN times as long; '{NONE}' is the whole picture alone",
  )
  parser.add_argument(
    "--flip",
    action=argparse.BooleanOptionalAction,
    default=None,
    help="and all that mirrored left to right, which takes twice as long",
  )


def chosen_crops(text: str | None, default: int) -> int:
  """How many parts a side, 1 for none.

  Raises:
    ValueError: no such number.
  """
  if text is None:
    return default
  require(
    text == NONE or (text.isdecimal() and int(text) > 0),
    f"--crops as a whole number of parts a side, or '{NONE}'",
    crops=text,
  )
  return 1 if text == NONE else int(text)


def one_model(args: argparse.Namespace) -> str | None:
  """The only model of a job, which asks one and shows it whole pictures.

  Raises:
    ValueError: several were named, or views.
  """
  models = args.model or []
  require(
    len(models) < 2 and args.ensemble is args.crops is args.flip is None,
    "one --model and no --ensemble, --crops or --flip with --images, where one model "
    "sees whole pictures; these go with the names of files and folders",
    model=models,
    ensemble=args.ensemble,
    crops=args.crops,
    flip=args.flip,
  )
  return models[0] if models else None


def choose_models(args: argparse.Namespace) -> Chosen:
  """Finds the models that were named.

  Raises:
    ValueError: there is none, or a number is out of range.
    OSError: the file that names them cannot be read.
  """
  if args.ensemble is not None:
    require(
      not args.model,
      "--ensemble FILE, which names its models, or --model, and not both",
      model=args.model,
    )
    return _of_file(args)
  refs: Sequence[str | None] = args.model or [None]
  model_dirs = [choose_model(ref, kind="detector") for ref in refs]
  views = _views(args, Views())
  if len(model_dirs) == 1 and views == Views():
    return Chosen(model_dirs, None)
  check_once(list(zip(map(str, refs), model_dirs)))
  members = tuple(Member(places=(str(one),)) for one in model_dirs)
  return Chosen(model_dirs, EnsembleConfig(members=members, views=views))


def check_once(models: Sequence[tuple[str, Path]]) -> None:
  """Raises ValueError where two names mean one model, which would count twice."""
  names: dict[str, str] = {}
  for name, folder in models:
    number = read_facts(folder, "detector").get("model_id", str(folder.resolve()))
    require(
      number not in names,
      f"each model once, and {names.get(number)} is the same",
      model=name,
    )
    names[number] = name


def load(
  args: argparse.Namespace, chosen: Chosen, num_at_once: int
) -> tuple[Detector | Ensemble, str]:
  """The models as one detector, and what runs them.

  Args:
    args: with `runtime` and `proposals`.
    chosen: the models.
    num_at_once: pictures that are looked at by as many threads.

  Raises:
    ValueError: a model cannot be asked like that.
    RuntimeError: a runtime is not installed.
  """
  from hardmine.trainers.detection.detector import Detector

  detectors, runtimes = [], []
  for model_dir in chosen.model_dirs:
    runtime = runtime_of(model_dir, args)
    threads = threads_of_each(num_at_once, runtime)
    detectors.append(Detector.load(model_dir, runtime, threads, args.proposals))
    runtimes.append(runtime)
  told = ", ".join(dict.fromkeys(runtimes))
  if chosen.config is None:
    return detectors[0], told
  from hardmine.trainers.detection.ensembles.ensemble import Ensemble

  config = chosen.config
  weights = [one.weight for one in config.members]
  return Ensemble(detectors, weights, config.views, config.iou_threshold), told


def model_facts(chosen: Chosen) -> dict[str, Any]:
  """What `--json` says of the models."""
  if chosen.config is None:
    return {"model_dir": str(chosen.model_dirs[0])}
  members = [
    {
      "model_dir": str(folder),
      "model_id": read_facts(folder, "detector")["model_id"],
      "weight": one.weight,
    }
    for folder, one in zip(chosen.model_dirs, chosen.config.members)
  ]
  views = chosen.config.views
  return {"models": members, "crops": views.crops, "flip": views.flip}


def _views(args: argparse.Namespace, default: Views) -> Views:
  return Views(
    crops=chosen_crops(args.crops, default.crops),
    flip=default.flip if args.flip is None else args.flip,
  )


def _of_file(args: argparse.Namespace) -> Chosen:
  with open(args.ensemble, "rb") as file:
    content = file.read(_MOST_BYTES)
  try:
    config = EnsembleConfig.from_json(content.decode("utf-8"))
  except ValueError as error:
    raise ValueError(f"{args.ensemble}: {error}") from error
  base = os.path.dirname(os.path.realpath(args.ensemble))
  found = [_find(one, base, args.ensemble) for one in config.members]
  check_once([(one.places[0], folder) for one, folder in zip(config.members, found)])
  views = _views(args, config.views)
  return Chosen(
    found,
    EnsembleConfig(
      members=config.members, views=views, iou_threshold=config.iou_threshold
    ),
  )


def _find(member: Member, base: str, file: str) -> Path:
  """The first place where a member's model lies, and no other model."""
  reasons = []
  for place in member.places:
    try:
      found = resolve_model(
        place if "://" in place else os.path.join(base, place), "detector"
      )
    except (ValueError, RuntimeError) as error:
      reasons.append(f"{place}: {error}")
      continue
    model_id = read_facts(found, "detector").get("model_id")
    if member.model_id in (None, model_id):
      return found
    reasons.append(f"{place}: it holds {model_id}")
  raise ValueError(
    f"{file}: Expected model {member.model_id or ''} in one of its places: put it "
    f"back, or write the file anew with `hardmine study ensemble`. Received: {reasons}"
  )
