"""Photographs to detections: a line each, as COCO's results have them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hardmine.components.inference.inference_job import InferenceJob, Outcome
from hardmine.components.inference.staged_model import LoadedModel, staged_model
from hardmine.components.jobs.shard_job import Workplace
from hardmine.components.jobs.sources import Source
from hardmine.schemas.folders import Folder, copy_file, read_lines
from hardmine.schemas.inference_config import DetectionJobConfig
from hardmine.schemas.manifest import file_facts
from hardmine.schemas.outputs import DETECTIONS
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.results.coco_results import number_of, to_results
from hardmine.trainers.images import Photograph

IMAGES = "images"  # the list of the photographs, with their ids
RESULTS = "detections.json"  # all shards as one JSON array


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionJob(InferenceJob):
  """Writes lines of COCO's results, and a line a photograph into `images.jsonl`.

  A label is the photograph's id.
  """

  noun = "detections"
  kind = DETECTIONS
  config_class = DetectionJobConfig
  stem = "detections"

  def load(self, place: Workplace, runtime: str) -> LoadedModel:
    return staged_model(place.scratch, runtime, Detector.load)

  def label(self, ids: Sequence[str]) -> dict[str, Any]:
    return image_ids(ids)

  def ask(
    self,
    model: LoadedModel,
    config: DetectionJobConfig,
    photograph: Photograph,
    source: Source,
    label: int,
    place: Workplace,
  ) -> Outcome:
    detector: Detector = model.model
    with model.turn:
      found = detector.detect(photograph.pixels, config.min_score)
    names = dict(zip(detector.categories.ids, detector.categories.names))
    if config.categories is not None:
      found = found.of(n for n, name in names.items() if name in config.categories)
    if config.max_boxes is not None:
      found = found.surest(config.max_boxes)
    results = to_results(found, label, dict(zip(names, names)))
    objects: dict[str, int] = {}
    for result in results:
      name = names[result["category_id"]]
      objects[name] = objects.get(name, 0) + 1
    height_px, width_px, _ = photograph.pixels.shape
    image = {
      "id": label,
      "file_name": source.id,
      "width": width_px,
      "height": height_px,
    }
    return Outcome(
      records=[json.dumps(result).encode() for result in results],
      counts={"without_objects": int(not results), "objects": objects},
      image=image,
    )

  def lists(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, list[dict[str, Any]]]:
    reports = list(reports)
    images = [image for report in reports for image in report["listed"]]
    return {**super().lists(reports, remarks), IMAGES: sorted(images, key=self.order)}

  def order(self, line: Mapping[str, Any]) -> Any:
    return super().order(line) if "source" in line else line["file_name"]

  def finished(self, place: Workplace, done: Mapping[str, Any]) -> dict[str, Any]:
    """Adds the photographs, and the results as other programs read them."""
    images = f"{IMAGES}.jsonl"
    copy_file(place.scratch, images, place.shards, images)
    _as_array(place.shards, sorted(done["files"]), RESULTS)
    return {name: file_facts(place.shards, name) for name in (images, RESULTS)}


def image_ids(names: Sequence[str]) -> dict[str, int]:
  """Ids of photographs: the numbers that their files are called by, as COCO's are.

  Where one is called otherwise, or two are called alike, they are numbered from 1 in
  the order in which they are given.
  """
  try:
    numbers = [number_of(name) for name in names]
  except ValueError:
    numbers = []
  if len(set(numbers)) != len(names):
    numbers = range(1, len(names) + 1)
  return dict(zip(names, numbers))


def _as_array(place: Folder, shards: Iterable[str], name: str) -> None:
  """Writes lines of JSON as one array, never all of it in memory."""
  with place.new_file(name) as file:
    before = b"["
    for shard in shards:
      for line in read_lines(place, shard):
        file.write(before + b"\n" + line.rstrip(b"\n"))
        before = b","
    file.write(b"[]\n" if before == b"[" else b"\n]\n")
