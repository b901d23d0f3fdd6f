"""`hardmine models import`: a released detector becomes a version of a store."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  add_reason,
  open_store,
  print_json,
  reason_of,
)
from hardmine.pipelines.cli.tables import printable

if TYPE_CHECKING:
  from hardmine.serving.store.store import ModelStore
  from hardmine.trainers.detection.released_detectors.detectors import Imported

_NAME = "imported"  # of the experiment that there was none of


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the action."""
  parser = add_action(
    actions,
    "import",
    run_import,
    "add a detector that the Object Detection API trained",
    "Brings a detector of TensorFlow 1 (SSD, Faster R-CNN or R-FCN) into the store, by "
    "the names of its variables and its pipeline.config; all of it or nothing. Nobody "
    "has measured it here, so it has passed no gate: `hardmine evaluate coco` measures "
    "it, and `promote --override` puts it to use.",
  )
  parser.add_argument(
    "checkpoint",
    metavar="CHECKPOINT",
    help="a folder with model.ckpt.index and pipeline.config, or the .tar.gz as it was "
    "downloaded; a path or URL",
  )
  parser.add_argument(
    "--categories",
    metavar="FILE",
    required=True,
    help="what its classes are: a label map (.pbtxt), a categories.json, or COCO's "
    "annotations (.json); of an SSD, classes that it leaves out are never detected",
  )
  parser.add_argument(
    "--anchor-order",
    choices=("later", "2017"),
    default="later",
    help="2017 for checkpoints of June 2017, which number the anchors of a cell "
    "otherwise (default: later)",
  )
  parser.add_argument(
    "--moving-average",
    action="store_true",
    help="take the moving averages of a training's checkpoint",
  )
  add_reason(parser)


def run_import(args: argparse.Namespace) -> int:
  """Imports, and says what was found and where the outcome is.

  Raises:
    ValueError: what is there is no such detector, or does not fit.
    RuntimeError: the light form does not answer as the model does.
  """
  from hardmine.trainers.detection.released_detectors.detectors import import_detector
  from hardmine.trainers.detection.released_detectors.label_map import (
    read_categories_file,
  )

  store = open_store(args, must_exist=False)
  categories = read_categories_file(args.categories)
  print(f"reading {printable(args.checkpoint)} ...", file=sys.stderr, flush=True)
  found = import_detector(
    args.checkpoint,
    categories,
    anchor_order=args.anchor_order,
    averages=args.moving_average,
  )
  version = _known(store, found)
  already = version is not None
  if version is None:
    version = _add(store, found, args)
  if args.json:
    print_json(
      {
        "store": store.url,
        "version": version,
        "already": already,
        "model_id": found.model_id,
        **_facts(found, args),
        "report": dataclasses.asdict(found.report),
      }
    )
    return 0
  for line in [*found.report.lines(), *(f"  {note}" for note in found.notes)]:
    print(printable(line))
  if already:
    print(f"version {version} is this detector already")
    return 0
  print(
    f"version {version}: {len(categories)} categories; not measured yet: "
    f"`hardmine models promote {version} --to ALIAS --override REASON` puts it to use"
  )
  return 0


def _known(store: ModelStore, found: Imported) -> int | None:
  """The version that is the same detector, if there is one."""
  number = store.newest("model_id", found.model_id) if store.exists() else None
  if number is None or store.version(number).experiment != _experiment(found):
    return None
  return number


def _experiment(found: Imported) -> dict[str, Any]:
  """What it was made by, as far as is known."""
  return {
    "name": _NAME,
    "detector": json.loads(found.model.config.to_json()),
    "categories": json.loads(found.categories.to_json())["categories"],
  }


def _add(store: ModelStore, found: Imported, args: argparse.Namespace) -> int:
  """Exports it into the store; the number of the version."""
  with tempfile.TemporaryDirectory(prefix="hardmine-import-") as folder:
    model_dir = Path(folder, "model")
    found.export(model_dir)
    reason = reason_of(args)
    told = f"imported from {args.checkpoint}"
    return store.add(
      model_dir,
      kind="detector",
      model_id=found.model_id,
      experiment=_experiment(found),
      metrics={},
      verdict={"passed": False, "results": []},
      lineage={"imported_from": _facts(found, args)},
      reason=dataclasses.replace(
        reason, why="; ".join(filter(None, [told, reason.why]))
      ),
    )


def _facts(found: Imported, args: argparse.Namespace) -> dict[str, Any]:
  """What the lineage and the JSON say."""
  return {
    "checkpoint": args.checkpoint,
    "sha256": found.sha256,
    "anchor_order": args.anchor_order,
    "moving_average": args.moving_average,
    "num_weights": found.report.num_weights,
    "num_variables": len(found.report.matched),
    "notes": [*found.report.notes, *found.notes],
  }
