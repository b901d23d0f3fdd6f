"""`GET /v1/model`: the model that answers, as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from hardmine.serving.server.follower import Follower
from hardmine.serving.server.limits import Limits
from hardmine.serving.server.loaded_model import LoadedModel


def describe(model: LoadedModel, follower: Follower, limits: Limits) -> dict[str, Any]:
  """What is known of a model, and whether it still is what the alias names."""
  answer: dict[str, Any] = {
    "kind": model.kind,
    "version": model.number,
    "alias": follower.alias,
    "model_id": model.model_id,
    "runtime": model.runtime,
    **model.record,
    "metrics": {  # curves and pictures are the board's
      name: value
      for name, value in model.record["metrics"].items()
      if not isinstance(value, (dict, list))
    },
    "limits": json.loads(limits.to_json()),
    "loading": follower.loading,
    "problem": dataclasses.asdict(follower.problem) if follower.problem else None,
  }
  if model.kind == "detector":
    answer["categories"] = [
      {"id": category.id, "name": category.name}
      for category in model.detector.categories.categories
    ]
  else:
    # The page and other clients go by it: what this model is given, not any.
    answer["limits"]["max_pixels"] = limits.max_codec_pixels(model.codec.needs)
    answer["iterations"] = min(model.codec.iterations, limits.max_iterations)
    answer["padding_px"] = model.codec.padding_px
    answer["can_adapt"] = model.codec.can_adapt
  return _plain(answer)


def _plain(value: Any) -> Any:
  """JSON has no NaN: an unmeasured metric becomes null."""
  if isinstance(value, dict):
    return {str(key): _plain(item) for key, item in value.items()}
  if isinstance(value, (list, tuple)):
    return [_plain(item) for item in value]
  if isinstance(value, float) and not math.isfinite(value):
    return None
  if value is None or isinstance(value, (bool, int, float, str)):
    return value
  return str(value)  # a time, a path
