"""`hardmine evaluate coco`: mean average precision of detections in a file."""

from __future__ import annotations

import argparse
import json
import os
import re
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.category_arguments import add_categories, chosen_names
from hardmine.pipelines.cli.detection_sets import detections_file
from hardmine.pipelines.cli.tables import print_table
from hardmine.schemas.config import require
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
    help="true boxes, in COCO's format; all its images and categories are evaluated "
    "unless chosen from",
  )
  parser.add_argument(
    "--detections",
    required=True,
    metavar="FILE",
    help="a JSON list of image_id, category_id, bbox (x, y, width, height in pixels "
    "of the original image) and score, as `hardmine detect --coco` writes it; or the "
    "folder or URL of a set that `hardmine detect --images` made",
  )
  chosen = parser.add_argument_group("a part of the set")
  chosen.add_argument(
    "--image-ids",
    metavar="ID,...",
    action="append",
    help="only these images, as pycocotools' params.imgIds",
  )
  chosen.add_argument(
    "--images-of",
    metavar="FILE",
    help="only images that this COCO file lists too, by their ids",
  )
  add_categories(chosen, "only these categories, as pycocotools' params.catIds")
  parser.add_argument("--output", metavar="DIR", help=f"gets {OUTPUT}")
  parser.add_argument(
    "--overwrite", action="store_true", help=f"replace an earlier {OUTPUT}"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Measures, writes the file and prints the numbers.

  Raises:
    ValueError: a file is not what it should be, an image or a category that was chosen
      is not there, or the numbers may not be written.
    OSError: a file cannot be read or written.
  """
  output = _output(args)
  from hardmine.trainers.metrics.coco_map import (
    coco_map,
    read_detections,
    read_ground_truth,
  )

  ground_truth = read_ground_truth(args.annotations)
  with detections_file(args.detections) as path:
    detections = read_detections(path, ground_truth)
  num_read = len(detections.scores)
  ground_truth, detections = _part(args, ground_truth, detections)
  metrics = _metrics(ground_truth, detections, coco_map(ground_truth, detections))
  metrics["num_detections_left_out"] = num_read - len(detections.scores)
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


def _part(
  args: argparse.Namespace, ground_truth: GroundTruth, detections: DetectedBoxes
) -> tuple[GroundTruth, DetectedBoxes]:
  """The images and categories that were chosen; all of them where none were."""
  import numpy as np

  from hardmine.trainers.metrics.coco_boxes import restricted

  images = categories = None
  if args.image_ids is not None:
    images = np.array(_ids(args.image_ids), np.int64)
  if args.images_of is not None:
    from hardmine.trainers.detection.results.coco_results import Listing

    also = np.array(sorted(Listing.read(args.images_of).image_ids), np.int64)
    if images is None:
      images = ground_truth.image_ids
    images = np.intersect1d(images, also)
    require(len(images) > 0, "an image that both files list", images_of=args.images_of)
  if args.categories is not None:
    names = ground_truth.category_names
    chosen = chosen_names(args.categories, names, args.annotations)
    categories = ground_truth.category_ids[[name in chosen for name in names]]
  return restricted(ground_truth, detections, image_ids=images, category_ids=categories)


def _ids(given: list[str]) -> list[int]:
  """Whole numbers between commas."""
  words = [word.strip() for text in given for word in text.split(",")]
  for word in words:
    require(
      re.fullmatch(r"-?[0-9]{1,18}", word) is not None,
      "--image-ids as whole numbers with commas between, such as 7,12",
      image_id=word,
    )
  return [int(word) for word in words]


def _output(args: argparse.Namespace) -> OutputFile | None:
  """Where the numbers go, looked at; None where nobody wants a file."""
  if args.output is None:
    return None
  check_folder(args.output)
  return OutputFile(
    os.path.join(args.output, OUTPUT),
    METRICS,
    overwrite=args.overwrite,
    sources=[args.annotations, args.detections, *filter(None, [args.images_of])],
    makes_folder=True,
  )


def _metrics(
  ground_truth: GroundTruth, detections: DetectedBoxes, result: CocoMap
) -> dict:
  """What metrics.json holds; crowds are no boxes here."""
  countable = ground_truth.box_category_ids[~ground_truth.is_crowd]
  names = ground_truth.category_names or map(str, ground_truth.category_ids)
  found_in = set(detections.image_ids.tolist())
  return {
    "num_images": len(ground_truth.image_ids),
    "num_images_without_detections": len(ground_truth.image_ids) - len(found_in),
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
  print_table(
    ("", "overlap (IoU)", "objects", "detections an image", ">value"),
    [
      (name, *_conditions(name), _shown(value))
      for name, value in metrics["summary"].items()
    ],
  )
  print(
    "\n{num_detections} detections, {num_boxes} boxes, {num_images} images "
    "({num_images_without_detections} of them without a detection)".format(**metrics)
  )
  if metrics["num_detections_left_out"]:
    print(f"{metrics['num_detections_left_out']} detections are of none of these")
  print()
  rows = metrics["per_category"].values()
  titles = [name for name in next(iter(rows), {}) if name not in ("name", "num_boxes")]
  print_table(
    ("category", ">boxes", *(f">{title}" for title in titles)),
    [
      (row["name"], str(row["num_boxes"]), *(_shown(row[title]) for title in titles))
      for row in rows
    ],
  )


def _conditions(name: str) -> tuple[str, str, str]:
  """Overlaps, sizes and detections per image and category of one of the twelve."""
  kind, _, condition = name.partition("_")
  overlaps = {"AP50": "0.50", "AP75": "0.75"}.get(kind, "0.50 to 0.95")
  if condition.isdigit():
    return overlaps, "all", condition
  return overlaps, condition or "all", "100"


def _shown(value: float) -> str:
  return "-" if value < 0 else f"{value:.3f}"
