"""Writes checkpoints as TensorFlow 1 does: a value a name."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from hardmine.trainers.detection.tf1_checkpoints.names import family_of, norm_name


def write(prefix, values):
  """A checkpoint of the second format.

  Args:
    prefix: its path without `.index`.
    values: name to array.
  """
  names = sorted(values)
  tf.raw_ops.SaveV2(
    prefix=str(prefix),
    tensor_names=names,
    shape_and_slices=[""] * len(names),
    tensors=[tf.constant(values[name]) for name in names],
  )


def randomize(model, seed=0):
  """Weights of a size that networks have; all of a normalisation's differ from 0, 1."""
  rng = np.random.default_rng(seed)
  for layer in model.leaf_layers if hasattr(model, "leaf_layers") else model.layers:
    for weight in layer.weights:
      positive = "variance" in weight.name or "gamma" in weight.name
      if positive:
        value = rng.uniform(0.5, 1.5, weight.shape)
      elif len(weight.shape) > 1:
        fan_in = np.prod(weight.shape[:-1])
        value = rng.normal(0, fan_in**-0.5, weight.shape)
      else:
        value = rng.normal(0, 0.1, weight.shape)
      weight.assign(value.astype("float32"))


def layer_values(layers, name, scope):
  """A convolution and the normalisation behind it under slim's names."""
  by_name = {layer.name: layer for layer in layers}
  layer, norm = by_name[name], by_name.get(norm_name(name))
  weights = [np.asarray(weight) for weight in layer.weights]
  values = {}
  if layer.use_bias:
    values[f"{scope}/biases"] = weights.pop()
  if isinstance(layer, keras.layers.SeparableConv2D):
    kinds = ["depthwise_weights", "pointwise_weights"]
  elif isinstance(layer, keras.layers.DepthwiseConv2D):
    kinds = ["depthwise_weights"]
  else:
    kinds = ["weights"]
  values |= {f"{scope}/{kind}": value for kind, value in zip(kinds, weights)}
  for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
    if norm is not None and getattr(norm, kind, None) is not None:
      values[f"{scope}/BatchNorm/{kind}"] = np.asarray(getattr(norm, kind))
  return values


def backbone_values(layers, extractor, prefix=""):
  """A backbone under slim's names, as `names` has them."""
  family, values = family_of(extractor), {}
  for layer in layers:
    if extractor.block_of(layer.name) is None or not layer.weights:
      continue
    for scope in family.scopes_of(layer.name)[:1]:
      values |= layer_values(layers, layer.name, f"{prefix}{family.root}/{scope}")
  return values
