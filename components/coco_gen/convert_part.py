"""Converting the images of a part: what one Beam worker does at a time."""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
from apache_beam.metrics import Metrics

from hardmine.components.coco_gen.annotations import Fault, ListedImage
from hardmine.components.coco_gen.convert_image import Converted, convert_image
from hardmine.components.coco_gen.image_files import ImageFolder
from hardmine.components.jobs.shard_job import Part, Workplace, parsed
from hardmine.components.jobs.shards import write_part
from hardmine.schemas.categories import Categories
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.conversion_config import ConversionConfig

CATEGORIES = "categories.json"  # told to the workers by who read the annotations


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)  # arrays do not compare
class ConvertPart(Part):
  """Some images of one shard, all of one source.

  Attributes:
    images: (source, id, file, width, height) each, as a `ListedImage` has them.
    rows: `ROW` [n], their annotations.
  """

  images: tuple[tuple[Any, ...], ...]
  rows: np.ndarray


def convert_part(
  part: ConvertPart, config: ConversionConfig, place: Workplace
) -> dict[str, Any]:
  """Converts a part into its file.

  Returns:
    Its report: counts, `letters` about what cannot be used, and `pictures`, the SHA-256
    and path of each image that can.
  """
  categories = parsed(Categories, place.told_once(CATEGORIES))
  # Of an image's annotations, the order of the file is kept.
  rows = part.rows[np.argsort(part.rows["image_id"], kind="stable")]
  report = _empty_report()
  folders = [ImageFolder(source.images) for source in config.sources]

  def examples() -> Iterator[bytes]:
    for source_number, *facts in part.images:
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
      report["letters"].extend(fault.line(source.annotations) for fault in faults)
      _count(report, found, len(mine))
      if isinstance(found, Converted):
        path = f"{source.images.rstrip('/')}/{listed.file}"
        report["pictures"].append((found.image.sha256, path))
        yield serialize(found.image)

  return write_part(part, place, examples(), report)


def _empty_report() -> dict[str, Any]:
  return {
    "letters": [],
    "pictures": [],
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
