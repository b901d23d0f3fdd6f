"""A trained model's mean average precision, by the project's own evaluator."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

SPLIT = "study"


def converted(request: dict[str, Any]) -> dict[str, Any]:
  """Writes annotated images as records that `evaluated` reads.

  Args:
    request: `images` and `annotations`, as of `hardmine coco`, and `records`, a folder
      that does not exist.

  Returns:
    `digest`, which names what was written, and `counts`, of what was kept and what not.
  """
  from hardmine.components.coco_gen.job import run_job
  from hardmine.pipelines.beam_runners import beam_log, direct, pipeline_maker
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

  source = AnnotatedFolder(
    images=request["images"], annotations=request["annotations"], split=SPLIT
  )
  config = ConversionConfig(sources=(source,), num_shards=1)
  with beam_log():
    manifest = run_job(
      config, request["records"], make_pipeline=pipeline_maker(direct())
    )
  digest = hashlib.sha256()
  for name, facts in sorted(manifest["files"].items()):
    if name.endswith(".gz"):
      digest.update(facts["sha256"].encode())
  counts = manifest["counts"]
  names = ("images", "used", "dead", "annotations", "objects", "skipped")
  return {
    "digest": digest.hexdigest()[:20],
    "counts": {name: counts[name] for name in names},
  }


def evaluated(request: dict[str, Any]) -> dict[str, Any]:
  """Finds objects in every image of the records, and compares.

  Args:
    request: `model`, a folder; `records`; `max_images`, or None; `num_proposals`, or
      None; `num_threads`, or None.

  Returns:
    `summary`, COCO's twelve numbers, -1 where there is nothing to measure on;
    `latency_seconds`, the mean of whole detections of these images as they are;
    `num_images` and `num_objects`.
  """
  from hardmine.components.detection_evaluator.annotated_set import (
    AnnotatedSet,
    SplitRecords,
  )
  from hardmine.components.detection_evaluator.measurement import measure_detector
  from hardmine.schemas.categories import read_categories
  from hardmine.trainers.detection.detector import Detector

  options = {}
  if request["num_proposals"] is not None:
    options["max_proposals"] = request["num_proposals"]
  detector = Detector.load(
    request["model"], num_threads=request["num_threads"], **options
  )
  records = Path(request["records"])
  data = AnnotatedSet.of(
    SplitRecords(records, request["max_images"]), read_categories(str(records))
  )
  found = measure_detector(detector, data, request["model"])
  return {
    "summary": found.coco.summary,
    "latency_seconds": found.latency_seconds,
    "num_images": len(data.names),
    "num_objects": data.num_objects,
  }
