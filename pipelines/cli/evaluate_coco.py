"""`hardmine evaluate coco`: mean average precision of detections in a file."""

from __future__ import annotations

import argparse
import json
import os
import re
from typing import TYPE_CHECKING

from hardmine.schemas.outputs import FileKind, OutputFile, check_folder

if TYPE_CHECKING:
  from hardmine.trainers.metrics.coco_map import CocoMap, DetectedBoxes, GroundTruth

HELP = (
  "Prints the twelve numbers of COCO, as pycocotools computes and orders them, and "
  "those of every category: average precisions (AP) and recalls (AR), from 0 to 1. A "
  "dash (-1 in JSON) says that the annotations have no such object."
)
SUMMARY = "a detector's mean average precision"
OUTPUT = "metrics.json"
METRICS = FileKind("numbers of an evaluation", re.compile(rb'(?s)\{.*"num_images"'))


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments."""
  parser.add_argument(
    "--annotations",
    required=True,
    metavar="FILE",
    help="true boxes, in COCO's format; all its images and categories are evaluated",
  )
  parser.add_argument(
    "--detections",
    required=True,
    metavar="FILE",
    help="a JSON list of image_id, category_id, bbox (x, y, width, height in pixels "
    "of the original image) and score",
  )
  parser.add_argument("--output", metavar="DIR", help=f"gets {OUTPUT}")
  parser.add_argument(
    "--overwrite", action="store_true", help=f"replace an earlier {OUTPUT}"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Measures, writes the file and prints the numbers.

  Raises:
    ValueError: a file is not what it should be, or the numbers may not be written.
    OSError: a file cannot be read or written.
  """
  output = _output(args)
  from hardmine.trainers.metrics.coco_map import (
    coco_map,
    read_detections,
    read_ground_truth,
  )

  ground_truth = read_ground_truth(args.annotations)
  detections = read_detections(args.detections, ground_truth)
  metrics = _metrics(ground_truth, detections, coco_map(ground_truth, detections))
  files = {}
  if output is not None:
    files[OUTPUT] = os.path.join(args.output, OUTPUT)
    output.write(json.dumps(metrics, indent=2) + "\n")
  if args.json:
    print(json.dumps({**metrics, "files": files}))
  else:
    _print_tables(metrics)
    print(*files.values(), sep="\n", end="\n" if files else "")
  return 0


def _output(args: argparse.Namespace) -> OutputFile | None:
  """Where the numbers go, looked at; None where nobody wants a file."""
  if args.output is None:
    return None
  check_folder(args.output)
  return OutputFile(
    os.path.join(args.output, OUTPUT),
    METRICS,
    overwrite=args.overwrite,
    sources=[args.annotations, args.detections],
    makes_folder=True,
  )


def _metrics(
  ground_truth: GroundTruth, detections: DetectedBoxes, result: CocoMap
) -> dict:
  """What metrics.json holds; crowds are no boxes here."""
  countable = ground_truth.box_category_ids[~ground_truth.is_crowd]
  names = ground_truth.category_names or map(str, ground_truth.category_ids)
  return {
    "num_images": len(ground_truth.image_ids),
    "num_boxes": len(countable),
    "num_detections": len(detections.scores),
    "summary": result.summary,
    "per_category": {
      str(category): {
        "name": name,
        "num_boxes": int((countable == category).sum()),
        **values,
      }
      for (category, values), name in zip(result.per_category.items(), names)
    },
  }


def _print_tables(metrics: dict) -> None:
  from rich.console import Console
  from rich.markup import escape
  from rich.table import Table

  console = Console(soft_wrap=True)
  table = Table(box=None, pad_edge=False)
  for title in ("", "overlap (IoU)", "objects", "detections an image", "value"):
    table.add_column(title, justify="right" if title == "value" else "left")
  for name, value in metrics["summary"].items():
    table.add_row(name, *_conditions(name), _shown(value))
  console.print(table)
  console.print(
    "\n{num_detections} detections, {num_boxes} boxes, {num_images} images\n".format(
      **metrics
    )
  )
  table = Table(box=None, pad_edge=False)
  table.add_column("category")
  rows = metrics["per_category"].values()
  titles = [name for name in next(iter(rows), {}) if name not in ("name", "num_boxes")]
  for title in ("boxes", *titles):
    table.add_column(title, justify="right")
  for row in rows:
    shown = (_shown(row[title]) for title in titles)
    table.add_row(escape(row["name"]), str(row["num_boxes"]), *shown)
  console.print(table)


def _conditions(name: str) -> tuple[str, str, str]:
  """Overlaps, sizes and detections per image and category of one of the twelve."""
  kind, _, condition = name.partition("_")
  overlaps = {"AP50": "0.50", "AP75": "0.75"}.get(kind, "0.50 to 0.95")
  if condition.isdigit():
    return overlaps, "all", condition
  return overlaps, condition or "all", "100"


def _shown(value: float) -> str:
  return "-" if value < 0 else f"{value:.3f}"
