"""`hardmine study ensemble`: detectors together, and in crops and mirrored pictures."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.detect_models import (
  add_views,
  check_once,
  chosen_crops,
)
from hardmine.pipelines.cli.model_ref import resolve_model
from hardmine.pipelines.cli.progress import progress, waiting
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument, runtime_of
from hardmine.pipelines.cli.tables import print_table, printable
from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import (
  IOU_THRESHOLD,
  MOST_SIMILAR,
  require_threshold,
)
from hardmine.schemas.files import write_atomically

if TYPE_CHECKING:
  from hardmine.pipelines.studies.ensemble import Model, Outcome, Study
  from hardmine.pipelines.studies.records import Records
  from hardmine.trainers.detection.inputs.annotated_set import AnnotatedSet

SUMMARY = "detectors together, and in several views, against the best one alone"
HELP = (
  "Shows trained detectors annotated images, whole, mirrored and in crops, chooses "
  "those that are better together on one part of the images, and measures on the "
  "other what they gain over the best one alone (Huang et al., arXiv 1611.10012, "
  "section 4.3). Writes ensemble.json, which `hardmine detect --ensemble` uses, "
  "table.csv, table.md, table.json and index.html. Called again, it goes on where it "
  "stopped. The exit status is 1 where a model could not be measured; the others are."
)
_CROPS = 2
_LIMIT_SECONDS = 24 * 3600.0  # to read annotated images, however many


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "--model",
    metavar="REF",
    action="append",
    required=True,
    help="a trained detector, a folder or STORE:ALIAS; repeated for each candidate",
  )
  parser.add_argument(
    "--images",
    metavar="DIR",
    required=True,
    help="annotated images that no candidate was trained on",
  )
  parser.add_argument(
    "--annotations",
    metavar="FILE",
    required=True,
    help="theirs: a COCO JSON file, or a folder of Pascal VOC files",
  )
  parser.add_argument(
    "--only",
    metavar="FILE",
    help="only the images that it lists: one name a line, or a CSV with a column "
    "`filename`",
  )
  parser.add_argument(
    "--output",
    required=True,
    metavar="DIR",
    help="gets all that is written, and what a model found as soon as it is done",
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")
  choice = parser.add_argument_group("how the models are chosen")
  choice.add_argument(
    "--size", type=int, default=5, metavar="N", help="models at most (default 5)"
  )
  choice.add_argument(
    "--similarity",
    type=float,
    default=MOST_SIMILAR,
    metavar="X",
    help="leave out a model whose precisions by category point the same way as those "
    "of a better one: by a cosine above X (default %(default)s; 1 leaves out none)",
  )
  choice.add_argument(
    "--judging-share",
    type=float,
    default=0.5,
    metavar="X",
    help="of the images, drawn by their names, that judge; the others choose (default "
    "0.5)",
  )
  views = parser.add_argument_group(
    "what the models are shown",
    f"all that is allowed here is tried (default: --crops {_CROPS} --flip), and what "
    "was best on the images that choose is taken",
  )
  add_views(views)
  views.add_argument(
    "--iou-threshold",
    type=float,
    default=IOU_THRESHOLD,
    metavar="X",
    help="boxes of a category that overlap by more are of one object "
    "(default %(default)s)",
  )
  how = parser.add_argument_group("how they run")
  add_runtime_argument(how)
  how.add_argument(
    "--threads", type=int, metavar="N", help="of one detection (default: all there are)"
  )
  how.add_argument(
    "--max-images", type=int, metavar="N", help="only the first N of the images"
  )


def run(args: argparse.Namespace) -> int:
  """Measures, chooses, writes, and prints what was gained.

  Raises:
    ValueError: a word on the command line cannot be, or the images cannot be split.
    RuntimeError: another study is at work in the output, the annotated images cannot
      be read, or no model could be measured.
    OSError: something cannot be written.
  """
  _check(args)
  from hardmine.pipelines.studies.records import ENSEMBLE, Records

  records = Records(args.output, ENSEMBLE)
  folders = [(ref, resolve_model(ref, "detector")) for ref in args.model]
  check_once(folders)
  models = _models(args, folders)
  with records.held(), tempfile.TemporaryDirectory(prefix="hardmine-study-") as scratch:
    data, facts = _data(args, os.path.join(scratch, "records"))
    study = _study(args, records, data, facts)
    total = len(models) * study.num_passes * len(data.names)
    count = itertools.count(1)
    with progress("detecting", "pictures", quiet=args.json) as on_step:
      outcome = study.run(
        models,
        args.size,
        args.similarity,
        lambda: on_step(next(count), total) if on_step else None,
      )
    _finish(args, records, study, outcome, models, data, facts)
  return 1 if outcome.problems else 0


def _check(args: argparse.Namespace) -> None:
  """Raises ValueError where a number or a path cannot be."""
  args.crops = chosen_crops(args.crops, _CROPS)
  args.flip = True if args.flip is None else args.flip
  for name in ("size", "threads", "max_images"):
    value = getattr(args, name)
    require(
      value is None or value > 0,
      f"--{name.replace('_', '-')} of 1 or more",
      **{name: value},
    )
  require(0 <= args.similarity <= 1, "0 to 1", similarity=args.similarity)
  require(0 < args.judging_share < 1, "between 0 and 1", share=args.judging_share)
  require_threshold(args.iou_threshold)
  for name in ("images", "annotations", "only"):
    path = getattr(args, name)
    require(
      path is None or os.path.exists(path), f"--{name} that exist", **{name: path}
    )


def _models(args: argparse.Namespace, folders: list[tuple[str, Path]]) -> list[Model]:
  from hardmine.pipelines.studies.ensemble import ENSEMBLE, Model
  from hardmine.trainers.detection.detector import Detector

  found = []
  for name, folder in folders:
    require(name != ENSEMBLE, "another path of the model, as ./ensemble", model=name)
    runtime = runtime_of(folder, args)
    found.append(
      Model(
        name=name,
        folder=str(folder),
        detector=Detector.load(folder, runtime, args.threads),
        runtime=runtime,
      )
    )
  return found


def _data(args: argparse.Namespace, folder: str) -> tuple[AnnotatedSet, dict[str, Any]]:
  """The annotated images as records in a folder, and what they came to."""
  from hardmine.components.detection_evaluator.annotated_set import (
    AnnotatedSet,
    SplitRecords,
  )
  from hardmine.pipelines.studies.asking import Failed, ask
  from hardmine.schemas.categories import read_categories

  request = {
    "do": "convert",
    "images": os.path.abspath(args.images),
    "annotations": os.path.abspath(args.annotations),
    "only": args.only and os.path.abspath(args.only),
    "records": folder,
  }
  try:
    with waiting("reading the annotated images", quiet=args.json):
      facts = ask(request, limit_seconds=_LIMIT_SECONDS)
  except Failed as error:
    raise RuntimeError(f"the annotated images cannot be read: {error}") from error
  images = SplitRecords(folder, args.max_images)
  return AnnotatedSet.of(images, read_categories(folder)), facts


def _study(
  args: argparse.Namespace, records: Records, data: AnnotatedSet, facts: dict[str, Any]
) -> Study:
  from hardmine.pipelines.studies.ensemble import Study, recipes
  from hardmine.pipelines.studies.passes import Passes

  passes = Passes(data, facts["digest"], records, args.threads)
  views = recipes(args.crops, args.flip)
  return Study(data, passes, views, args.iou_threshold, args.judging_share)


def _finish(
  args: argparse.Namespace,
  records: Records,
  study: Study,
  outcome: Outcome,
  models: list[Model],
  data: AnnotatedSet,
  counts: dict[str, Any],
) -> None:
  """Writes and prints everything."""
  from hardmine.components.evaluation.environment import environment
  from hardmine.pipelines.studies import ensemble_page, ensemble_tables, tables
  from hardmine.pipelines.studies.calibration import num_threads_here
  from hardmine.pipelines.studies.gains import gain
  from hardmine.pipelines.studies.records import machine

  truth = data.truth
  rows = ensemble_tables.flat(outcome)
  facts = {
    "machine": machine(),
    "num_threads": args.threads or num_threads_here(),
    "data": counts,
    "num_choosing": len(study.choosing),
    "num_judging": len(study.judging),
    "choice": ensemble_tables.steps(outcome),
    "gain": gain(truth, outcome.single, outcome.chosen, study.judging),
    "settings": {
      "size": args.size,
      "similarity": args.similarity,
      "iou_threshold": args.iou_threshold,
      "judging_share": args.judging_share,
    },
    "problems": outcome.problems,
    "environment": environment(
      ("hardmine", "onnxruntime", "openvino", "tensorflow", "numpy", "hotcoco")
    ),
    "command": shlex.join(["hardmine", *sys.argv[1:]]),
  }
  texts = {
    "table.csv": tables.to_csv(rows),
    "table.md": tables.markdown_table(*ensemble_tables.shown(rows)),
    "table.json": tables.to_json(rows, facts),
    "index.html": ensemble_page.render(rows, facts),
    "ensemble.json": ensemble_tables.config(
      outcome, models, records.folder, args.iou_threshold
    ).to_file(),
  }
  for name, text in texts.items():
    write_atomically(records.folder / name, text, durable=False)
  files = {name: os.path.join(args.output, name) for name in texts}
  if args.json:
    print(json.dumps({"output": args.output, "files": files, **facts, "rows": rows}))
    return
  heads, cells = ensemble_tables.shown(rows)
  print_table([heads[0], heads[1], *(f">{head}" for head in heads[2:])], cells)
  print(ensemble_tables.told(facts["gain"]))
  print(*map(printable, files.values()), sep="\n")
  for name, why in outcome.problems.items():
    print(
      f"hardmine: {printable(name)} could not be measured: {printable(why)}",
      file=sys.stderr,
    )
