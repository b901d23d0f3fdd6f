"""Keras' own models, narrowed and padded as ours are: what our layers must compute."""

from __future__ import annotations

import re

import keras
import numpy as np

from hardmine.trainers.detection.feature_extractors.convolutions import scaled

NARROW = 1 / 16


def changed(build, width, changes=lambda layer: {}, **arguments):
  """A model of `keras.applications` with other settings of its layers.

  Args:
    build: of `keras.applications`.
    width: multiplier of its depths.
    changes: the settings of a layer that are to be others.
    **arguments: of `build`.
  """

  def clone(layer):
    config = layer.get_config()
    if width != 1 and type(layer) is keras.layers.Conv2D:
      config["filters"] = scaled(config["filters"], width)
    config.update(changes(layer))
    return type(layer).from_config(config)

  model = build(include_top=False, weights=None, **arguments)
  return keras.models.clone_model(model, clone_function=clone)


def randomize(model):
  """Statistics, factors and biases that are not the trivial ones."""
  generator = np.random.default_rng(0)
  for weight in model.weights:
    if "variance" in weight.name or weight.name == "gamma":
      weight.assign(generator.uniform(0.5, 1.5, weight.shape))
    elif len(weight.shape) == 1:
      weight.assign(generator.uniform(-0.2, 0.2, weight.shape))


def joined_depths(layer):
  """Inception-ResNet V2's, of layers whose output is added to a map.

  That has the depth of all that was joined to it: a sum of narrowed depths.
  """
  match = re.match(r"block(\d+)_\d+_conv$", layer.name)
  if match is None:
    return {}
  depths = [96, 64, 96, 64]
  if match[1] != "35":
    depths += [384, 384]
  if match[1] == "8":
    depths += [384, 288, 320]
  return {"filters": sum(scaled(depth, NARROW) for depth in depths)}
