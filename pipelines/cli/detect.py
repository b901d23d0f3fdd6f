"""`hardmine detect`: the objects in photographs, as lines, as JSON, and drawn."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.category_arguments import add_categories, chosen_names
from hardmine.pipelines.cli.detect_inputs import read_photograph
from hardmine.pipelines.cli.images import IMAGE, PIPE, encode_image
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.pipelines.cli.tables import os_error_line, printable
from hardmine.schemas.categories import Categories
from hardmine.schemas.config import require
from hardmine.schemas.outputs import OutputFile, check_folder

if TYPE_CHECKING:
  import numpy as np

  from hardmine.pipelines.cli.detect_results import ResultsFile
  from hardmine.trainers.detection.detector import Detections, Detector

HELP = (
  "Finds objects in photographs: one line an object, the surest first, with its "
  "category, score and box in pixels (x and y of the upper left corner, then width "
  "x height). Photographs that cannot be used are named and the others done; the exit "
  "status is then 2, or 1 where one could not be read or written."
)
_MAX_SHOWN = 20  # more lines and boxes of one photograph nobody looks at


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "images",
    nargs="+",
    metavar="IMAGE",
    help="JPEG, PNG, WebP, ...; `-` is the standard input",
  )
  add_model_argument(parser)
  parser.add_argument(
    "--output",
    metavar="DIR",
    help="gets the images with their boxes drawn: JPEG for JPEG, else PNG",
  )
  parser.add_argument(
    "--overwrite", action="store_true", help="replace files that were made before"
  )
  parser.add_argument(
    "--min-score",
    type=float,
    default=0.3,
    metavar="X",
    help="leave out what scores less, 0 to 1 (default: %(default)s)",
  )
  parser.add_argument(
    "--max-boxes",
    type=int,
    metavar="N",
    help="leave out all but the surest N of a photograph (default: "
    f"{_MAX_SHOWN} in lines and drawings, all in --json)",
  )
  add_categories(parser, "find only objects of these categories")
  parser.add_argument("--json", action="store_true", help="print one JSON object")
  results = parser.add_argument_group("results in COCO's format")
  results.add_argument(
    "--coco",
    metavar="FILE",
    help="gets every detection, whatever its score, as `hardmine evaluate coco "
    "--detections FILE` reads it: image_id, category_id, bbox, score",
  )
  results.add_argument(
    "--annotations",
    metavar="FILE",
    help="a COCO file whose ids are written to --coco: images are found by the names "
    "of their files, categories by theirs (default: file names that are numbers, such "
    "as 000000397133.jpg, and the model's own category ids)",
  )


def run(args: argparse.Namespace) -> int:
  """Detects in every image, prints, and draws where asked to.

  Raises:
    ValueError: no such model, or an output that would replace an input or another
      output.
    OSError: the model or the annotations cannot be read.
  """
  require(0 <= args.min_score <= 1, "0 to 1", min_score=args.min_score)
  require(
    args.max_boxes is None or args.max_boxes > 0, "1 or more", max_boxes=args.max_boxes
  )
  require(args.images.count(PIPE) <= 1, "`-` once, as a pipe is read once", images=PIPE)
  model_dir = choose_model(args.model, kind="detector")
  outputs = _outputs(args)

  from hardmine.pipelines.cli.detect_results import results_file
  from hardmine.trainers.detection.detector import Detector

  results = results_file(args)
  detector = Detector.load(model_dir)
  categories = _categories(args, detector)
  if results is not None:
    results.match(categories)
  batch = _Batch(args, detector, categories, results)
  for path, output in zip(args.images, outputs):
    batch.add(path, output)
  if results is not None:
    batch.attempt(args.coco, results.write)
  if args.json:
    batch.print_json(str(model_dir))
  batch.print_failures()
  return batch.status


def _categories(args: argparse.Namespace, detector: Detector) -> Categories:
  """Those that are looked for."""
  if args.categories is None:
    return detector.categories
  known = detector.categories
  names = chosen_names(args.categories, known.names, "the model")
  return Categories(
    categories=tuple(one for one in known.categories if one.name in names)
  )


class _Batch:
  """All images of one call; what goes wrong with one does not end the others.

  Attributes:
    status: 0, or that of the failures: 1 if one may succeed another time, else 2.
  """

  def __init__(
    self,
    args: argparse.Namespace,
    detector: Detector,
    categories: Categories,
    results: ResultsFile | None,
  ):
    self._args, self._detector, self._categories = args, detector, categories
    self._results = results
    self._facts: list[dict[str, Any]] = []
    self._num_failed = self.status = 0

  def add(self, path: str, output: tuple[Path, OutputFile] | None) -> None:
    """Detects in one image; prints and draws what was found."""
    fact: dict[str, Any] = {"image": path}
    self._facts.append(fact)
    error = self.attempt(path, lambda: self._detect(path, output, fact))
    if error is not None:
      self._num_failed += 1
      fact["error"] = error

  def attempt(self, path: str, work: Any) -> str | None:
    """Calls `work`; what it raises is printed, counted and given as one line."""
    try:
      work()
      return None
    except Exception as error:
      if self._args.traceback:
        traceback.print_exc()
      line, status = _told(path, error)
    print(f"hardmine: {printable(line)}", file=sys.stderr)
    self.status = min(filter(None, (self.status, status)))
    return line

  def _detect(
    self, path: str, output: tuple[Path, OutputFile] | None, fact: dict[str, Any]
  ) -> None:
    from hardmine.trainers.detection.objects import to_objects

    args = self._args
    image = read_photograph(path)
    found = self._detector.detect(image).of(self._categories.ids)
    if self._results is not None:
      self._results.add(path, image, found)
    above = found.above(args.min_score)
    shown = above.surest(args.max_boxes or _MAX_SHOWN)
    fact["height_px"], fact["width_px"], _ = image.shape
    listed = shown if args.max_boxes else above
    fact["objects"] = to_objects(listed, self._detector.categories)
    fact["num_below_min_score"] = len(found) - len(above)
    fact["num_above_max_boxes"] = len(above) - len(listed)
    if not args.json:
      lines = to_objects(shown, self._detector.categories)
      _print(path, lines, _Counts.of(found, above, shown), args.min_score)
    if output is not None:
      drawn_path, file = output
      file.write(encode_image(drawn_path, _drawn(image, shown, self._categories)))
      fact["drawn"] = str(drawn_path)

  def print_json(self, model_dir: str) -> None:
    """The one object that `--json` promises."""
    answer = {
      "model_id": self._detector.model_id.hex(),
      "model_dir": model_dir,
      "min_score": self._args.min_score,
      "images": self._facts,
    }
    print(json.dumps(answer))

  def print_failures(self) -> None:
    """A line about all of them, where there are several images."""
    if self._num_failed and len(self._facts) > 1:
      counts = f"{self._num_failed} of {len(self._facts)} images"
      print(f"hardmine: {counts} could not be done", file=sys.stderr)


def _told(path: str, error: Exception) -> tuple[str, int]:
  """A line about what went wrong with a file, and the exit status."""
  line = " ".join(str(error).split())
  if isinstance(error, OSError):
    line = os_error_line(error)
  elif not isinstance(error, (ValueError, RuntimeError)):
    line = f"{type(error).__name__}: {line} (--traceback says where)"
  if not line.startswith(f"{path}: "):
    line = f"{path}: {line}"
  return line, 2 if isinstance(error, ValueError) else 1


def _outputs(args: argparse.Namespace) -> list[tuple[Path, OutputFile] | None]:
  """Where each image is drawn, looked at: its name, and the file."""
  if args.output is None:
    return [None] * len(args.images)
  check_folder(args.output)
  outputs: dict[Path, OutputFile] = {}
  for given in args.images:
    image = Path("stdin.png" if given == PIPE else given)
    suffix = image.suffix if image.suffix.lower() in (".jpg", ".jpeg") else ".png"
    path = Path(args.output) / f"{image.stem}{suffix}"
    require(path not in outputs, "images of different names", image=str(image))
    outputs[path] = OutputFile(
      path, IMAGE, overwrite=args.overwrite, sources=args.images, makes_folder=True
    )
  return list(outputs.items())


@dataclasses.dataclass(frozen=True)
class _Counts:
  """Of one image: what is shown and what not, and the best score of all."""

  shown: int
  cut: int
  below: int
  best: float

  @classmethod
  def of(cls, found: Detections, above: Detections, shown: Detections) -> _Counts:
    best = float(found.scores[0]) if len(found) else 0.0
    return cls(len(shown), len(above) - len(shown), len(found) - len(above), best)


def _print(
  path: str, objects: list[dict[str, Any]], counts: _Counts, min_score: float
) -> None:
  """Objects for whoever reads the output, what is not shown for who looks on."""
  name = printable(path)
  for one in objects:
    x, y, width, height = (round(value) for value in one["box_xywh_px"])
    print(
      f"{name}: {printable(one['category'])} {one['score']:.3f} at {x},{y} "
      f"{width}x{height}",
      flush=True,
    )
  if not objects:
    best = f"; the best of {counts.below} scores {counts.best:.2g}" * bool(counts.below)
    print(f"{name}: nothing scores {min_score:g} or more{best}", flush=True)
  elif counts.below or counts.cut:
    total = counts.shown + counts.cut
    cut = f" of {total}; --max-boxes {total} shows all" * bool(counts.cut)
    below = f"; {counts.below} more score below {min_score:g}" * bool(counts.below)
    print(f"{name}: {counts.shown} shown{cut}{below}", file=sys.stderr, flush=True)


def _drawn(image: np.ndarray, found: Detections, categories: Categories) -> np.ndarray:
  from hardmine.trainers.detection.drawing import draw_boxes

  names = dict(zip(categories.ids, categories.names))
  captions = [
    f"{names[category_id]} {score:.2f}"
    for category_id, score in zip(found.category_ids.tolist(), found.scores.tolist())
  ]
  return draw_boxes(image, found.boxes_yxyx_px, captions, found.category_ids)
