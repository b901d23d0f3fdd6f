"""`hardmine detect`: the objects in photographs, as lines, as JSON, and drawn."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.images import IMAGE, encode_image, read_image
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.schemas.config import require
from hardmine.schemas.outputs import OutputFile, check_folder

if TYPE_CHECKING:
  import numpy as np

  from hardmine.schemas.categories import Categories
  from hardmine.trainers.detection.detector import Detections

HELP = (
  "Finds objects in photographs: one line an object, the surest first, with its "
  "category, score and box in pixels (x and y of the upper left corner, then width "
  "x height)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("images", nargs="+", metavar="IMAGE", help="JPEG, PNG, WebP, ...")
  add_model_argument(parser)
  parser.add_argument(
    "--output",
    metavar="DIR",
    help="gets the images with their boxes drawn: JPEG for JPEG, else PNG",
  )
  parser.add_argument(
    "--overwrite", action="store_true", help="replace images of these names in DIR"
  )
  parser.add_argument(
    "--min-score",
    type=float,
    default=0.3,
    metavar="X",
    help="leave out what scores less, 0 to 1 (default: %(default)s)",
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Detects in every image, prints, and draws where asked to.

  Raises:
    ValueError: no such model, an image that cannot be used, or an output that would
      replace an input or another output.
    OSError: an image cannot be read or written.
  """
  require(0 <= args.min_score <= 1, "0 to 1", min_score=args.min_score)
  model_dir = choose_model(args.model, kind="detector")
  outputs = _outputs(args)

  from hardmine.trainers.detection.detector import Detector

  detector = Detector.load(model_dir)
  names = dict(zip(detector.categories.ids, detector.categories.names))
  facts = []
  for path, output in zip(args.images, outputs):
    image = read_image(path)
    found = detector.detect(image, args.min_score)
    fact = _facts(path, image, found, detector.categories)
    if output is not None:
      drawn_path, file = output
      file.write(encode_image(drawn_path, _drawn(image, found, names)))
      fact["drawn"] = str(drawn_path)
    facts.append(fact)
    if not args.json:
      _print(fact, args.min_score)
  if args.json:
    print(
      json.dumps(
        {
          "model_id": detector.model_id.hex(),
          "model_dir": str(model_dir),
          "min_score": args.min_score,
          "images": facts,
        }
      )
    )
  return 0


def _outputs(args: argparse.Namespace) -> list[tuple[Path, OutputFile] | None]:
  """Where each image is drawn, looked at: its name, and the file."""
  if args.output is None:
    return [None] * len(args.images)
  check_folder(args.output)
  outputs: dict[Path, OutputFile] = {}
  for image in map(Path, args.images):
    suffix = image.suffix if image.suffix.lower() in (".jpg", ".jpeg") else ".png"
    path = Path(args.output) / f"{image.stem}{suffix}"
    require(path not in outputs, "images of different names", image=str(image))
    outputs[path] = OutputFile(
      path, IMAGE, overwrite=args.overwrite, sources=args.images, makes_folder=True
    )
  return list(outputs.items())


def _facts(
  path: str, image: np.ndarray, found: Detections, categories: Categories
) -> dict[str, Any]:
  """What `--json` prints of one image."""
  from hardmine.trainers.detection.objects import to_objects

  height_px, width_px, _ = image.shape
  return {
    "image": path,
    "width_px": width_px,
    "height_px": height_px,
    "objects": to_objects(found, categories),
  }


def _print(fact: dict[str, Any], min_score: float) -> None:
  if not fact["objects"]:
    print(f"{fact['image']}: nothing scores {min_score:g} or more", flush=True)
  for one in fact["objects"]:
    x, y, width, height = (round(value) for value in one["box_xywh_px"])
    print(
      f"{fact['image']}: {one['category']} {one['score']:.3f} at {x},{y} "
      f"{width}x{height}",
      flush=True,
    )


def _drawn(image: np.ndarray, found: Detections, names: dict[int, str]) -> np.ndarray:
  from hardmine.trainers.detection.drawing import draw_boxes

  captions = [
    f"{names[category_id]} {score:.2f}"
    for category_id, score in zip(found.category_ids.tolist(), found.scores.tolist())
  ]
  return draw_boxes(image, found.boxes_yxyx_px, captions, found.category_ids)
