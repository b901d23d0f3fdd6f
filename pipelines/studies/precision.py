"""A trained model's mean average precision, by the project's own evaluator."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from hardmine.schemas.exported_model import LIGHT_FACTS, read_light_facts
from hardmine.trainers.detection.inputs.preparation import Prepared

SPLIT = "study"


def converted(request: dict[str, Any]) -> dict[str, Any]:
  """Writes annotated images as records that `evaluated` reads.

  Args:
    request: `images`, `annotations` and perhaps `only`, as of `hardmine coco`, and
      `records`, a folder that does not exist.

  Returns:
    `digest`, which names what was written, and `counts`, of what was kept and what not.
  """
  from hardmine.components.coco_gen.job import run_job
  from hardmine.pipelines.beam_runners import beam_log, direct, pipeline_maker
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

  source = AnnotatedFolder(
    images=request["images"],
    annotations=request["annotations"],
    split=SPLIT,
    only=request.get("only"),
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
    request: `one`, a combination with a model; `records`; `max_images` and
      `num_threads`, or None.

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
  from hardmine.pipelines.studies.combinations import Combination
  from hardmine.schemas.categories import read_categories
  from hardmine.trainers.detection.detector import Detector

  one = Combination.of(request["one"])
  assert one.model is not None
  with tempfile.TemporaryDirectory(prefix="hardmine-study-") as scratch:
    detector = Detector.load(
      _resizing(one, Path(scratch, "model")),
      num_threads=request["num_threads"],
      max_proposals=one.num_proposals,
    )
  records = Path(request["records"])
  data = AnnotatedSet.of(
    SplitRecords(records, request["max_images"]), read_categories(str(records))
  )
  found = measure_detector(detector, data, one.name)
  return {
    "summary": found.coco.summary,
    "latency_seconds": found.latency_seconds,
    "num_images": len(data.names),
    "num_objects": data.num_objects,
  }


def _resizing(one: Any, folder: Path) -> str:
  """The model's folder, or a view of it that resizes pictures as the combination says.

  Args:
    one: a combination with a model.
    folder: of the view, where one is needed.
  """
  if one.num_proposals is None:
    return one.model
  preparation = json.loads(Prepared(preparation=one.config.resizer).to_json())
  facts = read_light_facts(one.model)
  if facts["preparation"] == preparation["preparation"]:
    return one.model
  shutil.copytree(os.path.abspath(one.model), folder, copy_function=os.symlink)
  (folder / LIGHT_FACTS).unlink()
  (folder / LIGHT_FACTS).write_text(json.dumps({**facts, **preparation}), "utf-8")
  return str(folder)
