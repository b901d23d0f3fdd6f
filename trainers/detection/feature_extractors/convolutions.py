"""The layer that every backbone is made of: a convolution, its norm, its activation."""

from __future__ import annotations

from typing import Any

import keras

MIN_DEPTH = 8  # of a narrowed layer


def scaled(depth: int, width: float) -> int:
  """A depth times a width, at least `MIN_DEPTH` unless it was less from the start."""
  return max(min(MIN_DEPTH, depth), int(depth * width))


class Convolutions:
  """Makes the convolutions of one backbone.

  Args:
    width: multiplier of all depths.
    batch_norm_momentum: of the moving statistics.
    epsilon: of batch normalisation.
    scale: whether it has a factor of its own.
    padding: `same`, or `valid`, where strided layers are not padded.
    first: number of the first layer without a name. Those are numbered as Keras
      numbers the layers of a process's first model.
  """

  def __init__(
    self,
    width: float,
    batch_norm_momentum: float,
    *,
    epsilon: float = 1e-3,
    scale: bool = True,
    padding: str = "same",
    first: int = 0,
  ):
    self.width = width
    self.padding = padding
    self._momentum, self._epsilon, self._scale = batch_norm_momentum, epsilon, scale
    self._next = first

  def __call__(
    self,
    features: Any,
    depth: int,
    kernel: int | tuple[int, int],
    strides: int = 1,
    *,
    name: str | None = None,
    norm_name: str | None = None,
    padding: str | None = None,
    dilation: int = 1,
    use_bias: bool = False,
    activation: str | None = "relu",
  ) -> Any:
    """A convolution of `depth` times the width, normalised and activated.

    Args:
      features: Keras tensor.
      depth: at width 1.
      kernel: its side or sides.
      strides: likewise.
      name: of the convolution; None takes the next number.
      norm_name: of its normalisation; None is `NAME_bn`.
      padding: None is that of the backbone where there are strides, else `same`.
      dilation: of the kernel.
      use_bias: has a bias, behind which there may be a normalisation too.
      activation: behind it, or None.
    """
    if name is None:
      suffix = f"_{self._next}" if self._next else ""
      name, norm_name = f"conv2d{suffix}", f"batch_normalization{suffix}"
      self._next += 1
    features = keras.layers.Conv2D(
      scaled(depth, self.width),
      kernel,
      strides,
      padding=padding or (self.padding if strides > 1 else "same"),
      dilation_rate=dilation,
      use_bias=use_bias,
      name=name,
    )(features)
    features = self.normalized(features, norm_name or f"{name}_bn")
    return features if activation is None else keras.ops.relu(features)

  def normalized(self, features: Any, name: str) -> Any:
    """A batch normalisation as all of this backbone are."""
    return keras.layers.BatchNormalization(
      momentum=self._momentum,
      epsilon=self._epsilon,
      scale=self._scale,
      name=name,
    )(features)

  def linear(self, features: Any, depth: int, name: str) -> Any:
    """A 1x1 convolution with a bias and nothing behind it; `depth` is as it stands."""
    return keras.layers.Conv2D(depth, 1, name=name)(features)

  def chain(self, features: Any, *steps: tuple[Any, ...], dilation: int = 1) -> Any:
    """One convolution behind the other: each step a depth, a kernel and strides."""
    for step in steps:
      features = self(features, *step, dilation=dilation)
    return features


def average_pool(features: Any) -> Any:
  """The mean of 3x3 positions around each."""
  return keras.layers.AveragePooling2D(3, 1, padding="same")(features)


def max_pool(features: Any, strides: int = 2, padding: str = "same") -> Any:
  """The largest of 3x3 positions."""
  return keras.layers.MaxPooling2D(3, strides, padding=padding)(features)


def joined(*branches: Any) -> Any:
  """All channels of all branches."""
  return keras.layers.Concatenate()(list(branches))
