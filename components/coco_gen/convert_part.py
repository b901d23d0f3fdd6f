"""Converting the images of a part: what one Beam worker does at a time."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from apache_beam.metrics import Metrics

from hardmine.components.coco_gen.annotations import Fault, ListedImage
from hardmine.components.coco_gen.convert_image import Converted, convert_image
from hardmine.components.coco_gen.image_files import ImageFolder
from hardmine.components.coco_gen.pictures import Picture, write_pictures
from hardmine.components.coco_gen.row_sorting import read_rows
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.shards import PARTS, Part, write_part
from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.conversion_config import ConversionConfig
from hardmine.schemas.files import write_atomically

PLANS = "plans"  # the folder of what each part takes, below the staging folder
ROWS = "sorted_rows"  # the file of all parts' annotations


def convert_part(
  part: Part, config: ConversionConfig, categories: Categories, staging_dir: str
) -> tuple[str, str]:
  """Converts a part into its file, and reports what happened.

  Its plan is `plans/NAME.json` with `images` ([source, id, file, width, height]
  each, all of one source) and `rows` (from, to). Faults go to `parts/NAME.letters`,
  what pictures the records hold to `parts/NAME.pictures`.

  Returns:
    (path of the shard, name of the part).
  """
  staging = Path(staging_dir)
  plan = json.loads((staging / PLANS / f"{part.name}.json").read_text("utf-8"))
  rows = read_rows(staging / ROWS, *plan["rows"])
  # Of an image's annotations, the order of the file is kept.
  rows = rows[np.argsort(rows["image_id"], kind="stable")]
  report = _empty_report()
  letters: list[dict[str, Any]] = []
  pictures: list[Picture] = []
  folders = [ImageFolder(source.images) for source in config.sources]

  def examples() -> Iterator[bytes]:
    for source_number, *facts in plan["images"]:
      source = config.sources[source_number]
      listed = ListedImage(**dict(zip(("id", "file", "width_px", "height_px"), facts)))
      mine = _of_image(rows, listed.id)
      found = folders[source_number].read(listed)
      if not isinstance(found, Fault):
        found = convert_image(
          found,
          listed,
          mine,
          categories,
          max_pixels=config.max_pixels,
          source=source_number,
        )
      faults = found.faults if isinstance(found, Converted) else [found]
      letters.extend(fault.line(source.annotations) for fault in faults)
      _count(report, found, len(mine))
      if isinstance(found, Converted):
        sha256, path = found.image.sha256, f"{source.images.rstrip('/')}/{listed.file}"
        pictures.append(Picture(sha256=sha256, path=path))
        yield serialize(found.image)

  def records() -> Iterator[bytes]:
    yield from examples()
    write_pictures(pictures, staging, part)
    if letters:
      path = staging / PARTS / f"{part.name}.letters"
      write_atomically(path, dead_letters.lines(letters))

  return write_part(part, staging_dir, records(), report)


def _empty_report() -> dict[str, Any]:
  return {
    "notes": collections.Counter(),
    "dead": collections.Counter(),
    "skipped": collections.Counter(),
    "objects": collections.Counter(),  # by category id
    "without_objects": 0,
    "crowds": 0,
    "clipped": 0,
    "lost": 0,  # annotations of dead images
  }


def _of_image(rows: np.ndarray, image_id: int) -> np.ndarray:
  ids = rows["image_id"]
  return rows[np.searchsorted(ids, image_id) : np.searchsorted(ids, image_id, "right")]


def _count(report: dict[str, Any], found: Converted | Fault, num_rows: int) -> None:
  Metrics.counter("hardmine", "images-read").inc()
  if isinstance(found, Fault):
    Metrics.counter("hardmine", f"images-dead-{found.reason}").inc()
    report["dead"][found.reason] += 1
    report["lost"] += num_rows
    return
  image = found.image
  Metrics.counter("hardmine", "objects-kept").inc(len(image.labels))
  for fault in found.faults:
    Metrics.counter("hardmine", f"annotations-skipped-{fault.reason}").inc()
    report["skipped"][fault.reason] += 1
  report["notes"].update(found.notes)
  report["objects"].update(map(str, image.category_ids.tolist()))
  report["without_objects"] += not len(image.labels)
  report["crowds"] += int(image.is_crowd.sum())
  report["clipped"] += found.num_clipped
