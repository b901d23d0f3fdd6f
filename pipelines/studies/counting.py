"""What a detector costs, without running it: its parameters and its multiply-adds.

A multiply-add is one multiplication and the addition behind it, counted once, as the
study does. Counted are convolutions, dense layers and products of matrices; what is
done number by number (normalisation, activations, pooling, decoding of boxes,
suppression) is not. Cutting crops out of a map is told apart: four neighbours for each
number of a crop.

Parameters are all numbers that the weights of the exported network hold, the statistics
of batch normalisation among them.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any

from hardmine.pipelines.studies.combinations import Combination
from hardmine.schemas.config import require

CONVOLUTION, POINTWISE, DEPTHWISE, DENSE, CROP = KINDS = (
  "convolution",  # kernels of more than one position
  "pointwise",  # of one
  "depthwise",
  "dense",  # and products of matrices
  "crop",
)
_TAPS = 4  # of a bilinear sample


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cost:
  """What one picture costs.

  Attributes:
    parameters: of all weights.
    first_stage: multiply-adds by kind, of everything where there is one stage.
    second_stage: of all proposals together; empty where there is one stage.
  """

  parameters: int
  first_stage: Mapping[str, int]
  second_stage: Mapping[str, int]

  @property
  def multiply_adds(self) -> int:
    """Of the network, crops left out."""
    return sum(
      count
      for stage in (self.first_stage, self.second_stage)
      for kind, count in stage.items()
      if kind != CROP
    )

  @property
  def crop_multiply_adds(self) -> int:
    """Of cutting the proposals out."""
    return self.second_stage.get(CROP, 0)

  def by_kind(self) -> dict[str, int]:
    """Of both stages."""
    return dict(
      collections.Counter(self.first_stage) + collections.Counter(self.second_stage)
    )


class Counter:
  """Counts combinations; each network is built once, without its weights' values."""

  def __init__(self) -> None:
    self._network = ""
    self._model: Any = None
    self._stages: dict[Any, dict[Any, int]] = {}

  def cost(self, one: Combination) -> Cost:
    """What a combination costs.

    Raises:
      ValueError: such a network cannot be built.
    """
    if one.network != self._network:
      import keras

      keras.backend.clear_session()  # of the network before
      self._stages = {}
      self._model, self._network = built(one), one.network
    model, num = self._model, one.num_proposals
    parameters = sum(
      math.prod(weight.shape) for layer in model.leaf_layers for weight in layer.weights
    )
    if num is None:
      return Cost(
        parameters=parameters,
        first_stage=self._once("whole", lambda: layer_costs(model, one.size_px)),
        second_stage={},
      )
    size = one.size_px
    first = self._once(size, lambda: layer_costs(model.first_stage, size))
    looked_at = self._once((size, "boxes"), lambda: _second_stage_costs(model, size))
    second: collections.Counter[str] = collections.Counter()
    for (kind, of_each), count in looked_at.items():
      second[kind] += num * count if of_each else count
    return Cost(parameters=parameters, first_stage=first, second_stage=second)

  def _once(self, key: Any, count: Any) -> dict[Any, int]:
    if key not in self._stages:
      self._stages[key] = count()
    return self._stages[key]


def built(one: Combination, *, with_values: bool = False) -> Any:
  """The network of a combination.

  Args:
    one: what is built.
    with_values: random ones; without, weights have shapes alone, and take no memory.
  """
  import keras

  from hardmine.trainers.detection.meta_architectures.known import meta_architecture

  scope = (
    contextlib.nullcontext()
    if with_values
    else keras.StatelessScope(initialize_variables=False)
  )
  with scope:
    return meta_architecture(one.config)(one.config, one.num_categories)


def layer_costs(model: Any, size_px: tuple[int, int]) -> dict[str, int]:
  """Multiply-adds by kind of a functional Keras model for one picture.

  Args:
    model: maps pixels [b, h, w, 3] to whatever.
    size_px: rows and columns of the picture.

  Raises:
    ValueError: the picture's shape does not tell that of every layer.
  """
  import keras

  inputs = keras.Input((*size_px, 3), batch_size=1)
  found: collections.Counter[str] = collections.Counter()
  for (kind, _), count in _walked(model, inputs).items():
    found[kind] += count
  return dict(found)


def _second_stage_costs(
  model: Any, size_px: tuple[int, int]
) -> dict[tuple[str, bool], int]:
  """By kind and by whether each proposal costs so much; otherwise all do together."""
  import keras

  stage = model.second_stage
  stride = model.config.output_stride
  rows, columns = (-(-side // stride) for side in size_px)
  depth = stage.input["features"].shape[-1]
  inputs = {
    "features": keras.Input((rows, columns, depth), batch_size=1, name="features"),
    "boxes_yxyx_norm": keras.Input((1, 4), batch_size=1, name="boxes_yxyx_norm"),
  }
  return _walked(stage, inputs)


def _walked(model: Any, inputs: Any) -> dict[tuple[str, bool], int]:
  """Of one picture with one proposal: a batch of unknown size is that of proposals."""
  import keras

  found: collections.Counter[tuple[str, bool]] = collections.Counter()

  def call(layer: Any, *arguments: Any, **options: Any) -> Any:
    if isinstance(layer, keras.Model):
      found.update(_walked(layer, _like(arguments[0])))
    outputs = layer(*arguments, **options)
    for kind, count in _counted(layer, arguments, outputs):
      found[kind, kind == CROP or outputs.shape[0] is None] += count
    return outputs

  with keras.StatelessScope(initialize_variables=False):
    keras.models.clone_model(
      model,
      input_tensors=inputs,
      clone_function=lambda layer: layer,
      call_function=call,
    )
  return dict(found)


def _counted(layer: Any, arguments: Any, outputs: Any) -> Iterator[tuple[str, int]]:
  """Kind and multiply-adds of what one layer does."""
  from keras import layers

  from hardmine.trainers.detection.meta_architectures.two_stage_layers import (
    Crops,
    PositionSensitive,
  )

  if isinstance(layer, Crops):
    yield CROP, _numbers(outputs.shape) * _TAPS
  elif isinstance(layer, PositionSensitive):
    yield CROP, _numbers(outputs.shape) * layer.crop_px**2 * _TAPS
  elif isinstance(layer, layers.SeparableConv2D):
    kernel, pointwise = layer.depthwise_kernel.shape, layer.pointwise_kernel.shape
    places = _numbers(outputs.shape[:-1])
    yield DEPTHWISE, places * math.prod(kernel)
    yield POINTWISE, places * math.prod(pointwise)
  elif isinstance(layer, layers.DepthwiseConv2D):
    rows, columns = layer.kernel_size
    yield DEPTHWISE, _numbers(outputs.shape) * rows * columns
  elif isinstance(layer, layers.Conv2D):
    kernel = tuple(layer.kernel.shape)
    kind = POINTWISE if kernel[:2] == (1, 1) else CONVOLUTION
    yield kind, _numbers(outputs.shape[:-1]) * math.prod(kernel)
  elif isinstance(layer, layers.Dense):
    weights: Any = layer.kernel
    yield DENSE, _numbers(outputs.shape[:-1]) * math.prod(weights.shape)
  elif type(layer).__name__ == "Matmul":  # of `keras.ops`, which has no public name
    yield DENSE, _numbers(outputs.shape) * arguments[0].shape[-1]


def _like(tensors: Any) -> Any:
  """Inputs of the same shapes, for a model inside a model."""
  import keras

  return keras.tree.map_structure(
    lambda one: keras.Input(batch_shape=one.shape, dtype=one.dtype), tensors
  )


def _numbers(shape: Any) -> int:
  """How many numbers a tensor holds; a batch of unknown size is one.

  Raises:
    ValueError: another side is unknown too, and so is the cost.
  """
  first, *others = shape
  require(
    None not in others, "layers whose shapes follow from the picture's", shape=shape
  )
  return (1 if first is None else first) * math.prod(others)
