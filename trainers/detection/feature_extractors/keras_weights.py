"""ImageNet's weights of the networks that Keras brings, under stable names."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from hardmine.schemas.config import require

_NUMBERED = re.compile(r"(conv2d|batch_normalization)(?:_(\d+))?$")


def imagenet_weights(
  build: Callable[..., keras.Model], width: float
) -> dict[str, np.ndarray]:
  """What Keras' own model holds, by `LAYER/WEIGHT`, where it has one width alone.

  Args:
    build: of `keras.applications`.
    width: of the backbone.

  Raises:
    ValueError: a width other than 1.
    RuntimeError: they cannot be downloaded.
  """
  name = build.__name__
  require(width == 1, f"width 1, which {name}'s ImageNet weights have", width=width)
  return downloaded_weights(build, name)


def downloaded_weights(
  build: Callable[..., keras.Model], title: str, **arguments: Any
) -> dict[str, np.ndarray]:
  """What a model of `keras.applications` holds, by `LAYER/WEIGHT`.

  Args:
    build: makes it.
    title: of the model, for errors.
    **arguments: of `build`.

  Raises:
    RuntimeError: the weights cannot be had.
  """
  try:
    model = build(include_top=False, weights="imagenet", **arguments)
  except Exception as error:  # Keras raises plain Exception for a failed download
    raise RuntimeError(
      f"Keras' ImageNet weights of {title} cannot be had ({error}); give the path of "
      "an .npz in initial_weights, or none to start from nothing"
    ) from error
  return named_weights(model)


def named_weights(model: keras.Model) -> dict[str, np.ndarray]:
  """The weights of a model of Keras by `LAYER/WEIGHT`.

  Layers without a name of their own are counted through the whole process by Keras;
  here each model's begin at nothing, as those of a process's first model do.
  """
  numbers: dict[str, list[int]] = {}
  for layer in model.layers:
    match = _NUMBERED.match(layer.name)
    if match:
      numbers.setdefault(match[1], []).append(int(match[2] or 0))
  firsts = {kind: min(found) for kind, found in numbers.items()}
  return {
    f"{_name(layer.name, firsts)}/{variable.name}": np.asarray(variable)
    for layer in model.layers
    for variable in layer.weights
  }


def _name(layer_name: str, firsts: dict[str, Any]) -> str:
  match = _NUMBERED.match(layer_name)
  if match is None:
    return layer_name
  number = int(match[2] or 0) - firsts[match[1]]
  return f"{match[1]}_{number}" if number else match[1]
