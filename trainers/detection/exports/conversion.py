"""A detector that was exported before, exported again as detectors are today."""

from __future__ import annotations

import json
import os

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import detector_from_json
from hardmine.schemas.exported_model import read_facts
from hardmine.trainers import saved_model
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.known import meta_architecture

_WRITTEN_ANEW = ("config", "model_id", "categories")


def convert_detector(
  model_dir: str | os.PathLike, target_dir: str | os.PathLike
) -> None:
  """Writes the same detector, SavedModel and light form, with the same facts.

  Args:
    model_dir: the export.
    target_dir: a folder that does not exist yet or is empty.

  Raises:
    ValueError: it is no exported detector, or its config names a class that is not
      there.
    RuntimeError: the weights are not those that its id was made of.
  """
  facts = read_facts(model_dir, "detector")
  config = detector_from_json(json.dumps(facts["config"]))
  categories = Categories(
    categories=tuple(Category(**one) for one in facts["categories"])
  )
  model = meta_architecture(config)(config, len(categories))
  saved_model.read_variables(model_dir, "model", model)
  found = model.model_id().hex()
  saved_model.check_id(model_dir, facts, found)
  kept = {name: facts[name] for name in facts if name not in _WRITTEN_ANEW}
  export_detector(model, categories, target_dir, **kept)
