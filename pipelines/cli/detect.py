"""`hardmine detect`: the objects in photographs, as lines, as JSON, and drawn."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch
from hardmine.pipelines.cli.category_arguments import add_categories, chosen_names
from hardmine.pipelines.cli.detect_inputs import read_photograph
from hardmine.pipelines.cli.detect_models import (
  add_models,
  choose_models,
  load,
  model_facts,
  one_model,
)
from hardmine.pipelines.cli.images import IMAGE, encode_image
from hardmine.pipelines.cli.inference_arguments import add_job_arguments, wants_job
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument
from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.categories import Categories
from hardmine.schemas.config import require
from hardmine.schemas.outputs import OutputFile, check_folder

if TYPE_CHECKING:
  import numpy as np

  from hardmine.pipelines.cli.detect_results import ResultsFile
  from hardmine.trainers.detection.detector import Detections, Detector
  from hardmine.trainers.detection.ensembles.ensemble import Ensemble

HELP = (
  "Finds objects in photographs: one line an object, the surest first, with its "
  "category, score and box in pixels (x and y of the upper left corner, then width "
  "x height). Photographs that cannot be used are named and the others done; the exit "
  "status is then 2, or 1 where one could not be read or written."
)
PASSES_ON = True  # Beam's own flags, for `--beam`
_MIN_SCORE = 0.3
_MAX_SHOWN = 20  # more lines and boxes of one photograph nobody looks at


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "paths",
    nargs="+",
    metavar="IMAGE",
    help="JPEG, PNG, WebP, ...; `-` is the standard input; patterns in quotes; "
    "folders, searched with those below",
  )
  add_models(parser)
  add_runtime_argument(parser)
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
    metavar="X",
    help=f"leave out what scores less, 0 to 1 (default: {_MIN_SCORE}; with --images "
    "all that the model finds)",
  )
  parser.add_argument(
    "--max-boxes",
    type=int,
    metavar="N",
    help="leave out all but the surest N of a photograph (default: "
    f"{_MAX_SHOWN} in lines and drawings, all in --json)",
  )
  parser.add_argument(
    "--proposals",
    type=int,
    metavar="N",
    help="how many places a model of two stages (Faster R-CNN, R-FCN) looks at: fewer "
    "are faster and find less (default: all that it was exported with)",
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
  add_job_arguments(parser, "the detections")


def run(args: argparse.Namespace) -> int:
  """Detects in every image, prints, and draws where asked to.

  Raises:
    ValueError: no such model, or an output that would replace an input or another
      output.
    OSError: the model or the annotations cannot be read.
  """
  if wants_job(args):
    from hardmine.pipelines.cli import inference_job

    args.model = one_model(args)
    return inference_job.detect(args)
  args.min_score = _MIN_SCORE if args.min_score is None else args.min_score
  require(0 <= args.min_score <= 1, "0 to 1", min_score=args.min_score)
  require(
    args.max_boxes is None or args.max_boxes > 0, "1 or more", max_boxes=args.max_boxes
  )
  chosen = choose_models(args)
  if args.output is not None:
    check_folder(args.output)
  items = _items(args)

  from hardmine.pipelines.cli.detect_results import results_file

  results = results_file(args, [item.source for item in items])
  detector, runtime = load(args, chosen, batch.num_at_once(items))
  categories = _categories(args, detector)
  if results is not None:
    results.match(categories)
  work = _Work(args, items, detector, categories)
  report = batch.run(
    items,
    work.detect,
    verb="detecting",
    noun="images",
    args=args,
    key="image",
    settle=None if results is None else lambda done: _keep(results, done),
  )
  if results is not None:
    try:
      results.write()
    except Exception as error:  # what was found is told all the same
      report.fail(args.coco, error, traced=args.traceback)
  _print_end(
    report, len(items), args, detector, {**model_facts(chosen), "runtime": runtime}
  )
  return report.status


def _items(args: argparse.Namespace) -> list[batch.Item]:
  """The images, and where each is drawn."""
  return batch.several(args, _drawn_ending, what="image")


def _drawn_ending(name: str) -> str:
  suffix = Path(name).suffix
  return suffix if suffix.lower() in (".jpg", ".jpeg") else ".png"


def _categories(args: argparse.Namespace, detector: Detector | Ensemble) -> Categories:
  """Those that are looked for."""
  if args.categories is None:
    return detector.categories
  known = detector.categories
  names = chosen_names(args.categories, known.names, "the model")
  return Categories(
    categories=tuple(one for one in known.categories if one.name in names)
  )


class _Work:
  """What is done with each image, in one of several threads."""

  def __init__(
    self,
    args: argparse.Namespace,
    items: list[batch.Item],
    detector: Detector | Ensemble,
    categories: Categories,
  ):
    self._args, self._detector, self._categories = args, detector, categories
    # Whatever --overwrite says, no drawing is to replace a photograph.
    drawn = {item.target for item in items if os.path.lexists(item.target)}
    self._read = _identities(item.source for item in items) if drawn else set()

  def detect(self, done: batch.Done) -> None:
    """Detects in one image, draws it where asked to, and makes lines and facts."""
    from hardmine.trainers.detection.results.objects import to_objects

    args, item = self._args, done.item
    done.facts["image"] = item.source
    output = self._output(item) if item.target else None
    image = read_photograph(item.source)
    found = self._detector.detect(image).of(self._categories.ids)
    above = found.above(args.min_score)
    shown = above.surest(args.max_boxes or _MAX_SHOWN)
    done.facts["height_px"], done.facts["width_px"], _ = image.shape
    done.value = found
    listed = shown if args.max_boxes else above
    done.facts["objects"] = to_objects(listed, self._detector.categories)
    done.facts["num_below_min_score"] = len(found) - len(above)
    done.facts["num_above_max_boxes"] = len(above) - len(listed)
    if not args.json:
      _tell(
        done,
        to_objects(shown, self._detector.categories),
        _Counts.of(found, above, shown),
        args.min_score,
      )
    if output is not None:
      drawn = _drawn(image, shown, self._categories)
      output.write(encode_image(item.target, drawn))
      done.facts["drawn"] = item.target

  def _output(self, item: batch.Item) -> OutputFile:
    output = OutputFile(
      item.target,
      IMAGE,
      overwrite=self._args.overwrite,
      sources=[item.source],
      makes_folder=True,
    )
    require(
      not _identities([output.path]) & self._read,
      "another file than one that is read",
      path=item.target,
    )
    return output


def _identities(paths: Iterable[str | os.PathLike]) -> set[tuple[int, int]]:
  """What tells files apart that have several names; of those that are there."""
  found = set()
  for path in paths:
    with contextlib.suppress(OSError):
      status = os.stat(path)
      found.add((status.st_dev, status.st_ino))
  return found


def _keep(results: ResultsFile, done: batch.Done) -> None:
  facts = done.facts
  results.add(facts["image"], facts["height_px"], facts["width_px"], done.value)
  done.value = None


def _print_end(
  report: batch.Report,
  num_images: int,
  args: argparse.Namespace,
  detector: Detector | Ensemble,
  facts: dict[str, Any],
) -> None:
  """The one object that `--json` promises, and how many images failed."""
  if args.json:
    answer = {
      "model_id": detector.model_id.hex(),
      **facts,
      "min_score": args.min_score,
      "images": report.results,
    }
    print(json.dumps({**answer, **({"skipped": args.skipped} if args.skipped else {})}))
  from hardmine.trainers.detection.ensembles.ensemble import WITHOUT_AREA

  left_out = getattr(detector, "num_left_out", {}).get(WITHOUT_AREA, 0)
  if left_out:
    print(f"hardmine: {left_out} boxes without area left out", file=sys.stderr)
  if report.num_failed and num_images > 1:
    counts = f"{report.num_failed} of {num_images} images"
    print(f"hardmine: {counts} could not be done", file=sys.stderr)


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


def _tell(
  done: batch.Done, objects: list[dict[str, Any]], counts: _Counts, min_score: float
) -> None:
  """Objects for whoever reads the output, what is not shown for who looks on."""
  name = printable(done.item.source)
  for one in objects:
    x, y, width, height = (round(value) for value in one["box_xywh_px"])
    done.lines.append(
      f"{name}: {printable(one['category'])} {one['score']:.3f} at {x},{y} "
      f"{width}x{height}"
    )
  if not objects:
    best = f"; the best of {counts.below} scores {counts.best:.2g}" * bool(counts.below)
    done.lines.append(f"{name}: nothing scores {min_score:g} or more{best}")
  elif counts.below or counts.cut:
    total = counts.shown + counts.cut
    cut = f" of {total}; --max-boxes {total} shows all" * bool(counts.cut)
    below = f"; {counts.below} more score below {min_score:g}" * bool(counts.below)
    done.notes.append(f"{name}: {counts.shown} shown{cut}{below}")


def _drawn(image: np.ndarray, found: Detections, categories: Categories) -> np.ndarray:
  from hardmine.trainers.detection.results.drawing import draw_boxes

  names = dict(zip(categories.ids, categories.names))
  captions = [
    f"{names[category_id]} {score:.2f}"
    for category_id, score in zip(found.category_ids.tolist(), found.scores.tolist())
  ]
  return draw_boxes(image, found.boxes_yxyx_px, captions, found.category_ids)
