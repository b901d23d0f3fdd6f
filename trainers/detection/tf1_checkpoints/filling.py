"""Fills layers of Keras from the variables of slim, by name, all of them or none.

What the two do not have in common is brought over so that the function is the same:
slim's normalisation may lack the factor gamma (one), ours may lack it (it goes into
the kernel and the mean), its convolutions have no biases where Keras' ResNet has
(zero), and an epsilon that differs is made up for in the variance.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from hardmine.trainers.detection.tf1_checkpoints.names import norm_name
from hardmine.trainers.detection.tf1_checkpoints.reading import Checkpoint
from hardmine.trainers.detection.tf1_checkpoints.report import Report

Change = Callable[[np.ndarray], np.ndarray]

_ZERO_BIASES = "convolutions without biases: ours are zero"
_FOLDED = "gamma, which our normalisation lacks, is in the kernels and means"
_NO_GAMMA = "normalisation without gamma: ours is one"
_NO_NORM = "normalisation that our layer lacks is in its kernel and bias"
_NO_SOURCE_NORM = "our normalisation, which the checkpoint lacks, changes nothing"
_EPSILON = "another epsilon of normalisation is made up for in the variances"
_BGR = "the first layer's input is turned from RGB to BGR"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
  """Where a layer's variables are.

  Attributes:
    scopes: that they may have; the first that is there counts.
    change: makes the layer's own output channels of the checkpoint's, along the last
      axis of kernel and bias.
  """

  scopes: tuple[str, ...]
  change: Change | None = None


def fill(
  layers: Iterable[Any],
  places: Mapping[str, Place],
  checkpoint: Checkpoint,
  epsilon: float,
  bgr_layer: str | None = None,
) -> Report:
  """Assigns every weight of the named layers and of the normalisations behind them.

  Args:
    layers: of a network.
    places: of convolutions and dense layers, by their names.
    checkpoint: holds the variables.
    epsilon: of its normalisation.
    bgr_layer: the layer that sees BGR where the checkpoint's sees RGB.

  Returns:
    What was found; nothing is assigned unless it `fits`.
  """
  by_name = {layer.name: layer for layer in layers}
  filling = _Filling(checkpoint, epsilon)
  for name, place in places.items():
    if name in by_name:
      norm = by_name.get(norm_name(name))
      filling.add(by_name[name], norm, place, is_bgr=name == bgr_layer)
  report = filling.report()
  if report.fits:
    for variable, value in filling.values:
      variable.assign(value)
  return report


@dataclasses.dataclass
class _Source:
  """The values of one convolution in the checkpoint, as they become ours."""

  kernels: list[np.ndarray]
  bias: np.ndarray | None
  norm: dict[str, np.ndarray]


class _Filling:
  def __init__(self, checkpoint: Checkpoint, epsilon: float):
    self._checkpoint, self._epsilon = checkpoint, epsilon
    self._used: list[str] = []
    self._missing: list[str] = []
    self._mismatched: list[str] = []
    self._notes: dict[str, int] = {}
    self._num_weights = 0
    self.values: list[tuple[Any, np.ndarray]] = []

  def add(self, layer: Any, norm: Any, place: Place, *, is_bgr: bool) -> None:
    """One convolution or dense layer, with the normalisation behind it or None."""
    wanted = [*layer.weights, *(norm.weights if norm is not None else [])]
    self._num_weights += len(wanted)
    names = _kernel_names(layer)
    scope = next((s for s in place.scopes if self._has(f"{s}/{names[0]}")), None)
    if scope is None:
      first = place.scopes[0]
      self._missing += [f"{layer.name} ({first}/{names[0]})"] * len(wanted)
      return
    source = self._read(scope, names, place.change)
    if is_bgr:
      source.kernels[0] = source.kernels[0][:, :, ::-1]
      self._note(_BGR)
    self._fit(layer, norm, source, scope)

  def report(self) -> Report:
    used = set(self._used)
    unused = [name for name in self._checkpoint.shapes if name not in used]
    notes = [
      note if count == 1 else f"{note} ({count} times)"
      for note, count in self._notes.items()
    ]
    return Report(
      source=self._checkpoint.title,
      num_weights=self._num_weights,
      matched=tuple(self._used),
      missing=tuple(self._missing),
      mismatched=tuple(self._mismatched),
      unused=tuple(unused),
      ignored=dict(self._checkpoint.ignored),
      notes=tuple(notes),
    )

  def _has(self, name: str) -> bool:
    return name in self._checkpoint.shapes

  def _get(self, name: str) -> np.ndarray | None:
    if not self._has(name):
      return None
    self._used.append(name)
    return self._checkpoint.get(name)

  def _note(self, note: str) -> None:
    self._notes[note] = self._notes.get(note, 0) + 1

  def _read(self, scope: str, names: list[str], change: Change | None) -> _Source:
    kernels = [self._get(f"{scope}/{name}") for name in names]
    bias = self._get(f"{scope}/biases")
    norm = {
      name: value
      for name in ("gamma", "beta", "moving_mean", "moving_variance")
      if (value := self._get(f"{scope}/BatchNorm/{name}")) is not None
    }
    found = [kernel for kernel in kernels if kernel is not None]
    if change is not None:
      found[-1] = change(found[-1])
      bias = None if bias is None else change(bias)
    return _Source(found, bias, norm)

  def _fit(self, layer: Any, norm: Any, source: _Source, scope: str) -> None:
    """Brings the values to the layers that we have, and notes what does not fit."""
    kernels = layer.weights[: len(layer.weights) - bool(layer.use_bias)]
    shapes = [tuple(kernel.shape) for kernel in kernels]
    found = [kernel.shape for kernel in source.kernels]
    if shapes != found:
      self._mismatched.append(f"{layer.name} {shapes} where {scope} has {found}")
      return
    depth = (
      shapes[-1][-1]
      if len(shapes) > 1 or not _is_depthwise(layer)
      else (shapes[0][-2] * shapes[0][-1])
    )
    parts = {**source.norm, **({} if source.bias is None else {"bias": source.bias})}
    wrong = [name for name, value in parts.items() if value.shape != (depth,)]
    if wrong:
      self._mismatched.append(f"{scope}: {', '.join(wrong)}, not of {depth} values")
      return
    lost = [
      f"{layer.name} ({scope}/BatchNorm/{name})"
      for name in ("beta", "moving_mean", "moving_variance")
      if source.norm and name not in source.norm
    ]
    if lost:
      self._missing += lost
      return
    if source.norm and norm is None:
      self._fold_norm(layer, source)
    elif norm is not None:
      self._norm(layer, norm, source)
    bias = source.bias
    if layer.use_bias:
      if bias is None and norm is None:
        self._missing.append(f"{layer.name}/bias ({scope}/biases)")
        return
      if bias is None:
        self._note(_ZERO_BIASES)
        bias = np.zeros(depth, "float32")
      self.values.append((layer.bias, bias))
    elif bias is not None:
      self._mismatched.append(f"{layer.name} without bias where {scope} has biases")
    self.values += list(zip(kernels, source.kernels))

  def _fold_norm(self, layer: Any, source: _Source) -> None:
    norm, bias = source.norm, source.bias
    gamma = norm.get("gamma", np.float32(1))
    factor = gamma / np.sqrt(norm["moving_variance"] + self._epsilon)
    source.kernels[-1] = _scaled(layer, source.kernels[-1], factor)
    before = np.float32(0) if bias is None else bias
    source.bias = (norm["beta"] + (before - norm["moving_mean"]) * factor).astype("f4")
    self._note(_NO_NORM)

  def _norm(self, layer: Any, norm: Any, source: _Source) -> None:
    values = dict(source.norm)
    if not values:  # x times 1, with the bias behind
      depth = norm.beta.shape[0]
      bias = source.bias if source.bias is not None else np.zeros(depth, "float32")
      values = {"beta": bias, "moving_mean": np.zeros(depth, "float32")}
      values["moving_variance"] = np.full(depth, 1 - self._epsilon, "float32")
      source.bias = np.zeros(depth, "float32") if layer.use_bias else None
      self._note(_NO_SOURCE_NORM)
    elif source.bias is not None and not layer.use_bias:
      values["moving_mean"] = values["moving_mean"] - source.bias
      source.bias = None
    gamma = values.pop("gamma", None)
    if norm.gamma is not None:
      if gamma is None:
        self._note(_NO_GAMMA)
        gamma = np.ones(norm.gamma.shape[0], "float32")
      self.values.append((norm.gamma, gamma))
    elif gamma is not None:
      self._note(_FOLDED)
      source.kernels[-1] = _scaled(layer, source.kernels[-1], gamma)
      values["moving_mean"] = values["moving_mean"] * gamma
      if source.bias is not None:
        source.bias = source.bias * gamma
    if norm.epsilon != self._epsilon:
      self._note(_EPSILON)
      shift = np.float32(self._epsilon - norm.epsilon)
      values["moving_variance"] = values["moving_variance"] + shift
    self.values += [(getattr(norm, name), value) for name, value in values.items()]


def _kernel_names(layer: Any) -> list[str]:
  """slim's names of a layer's kernels, in Keras' order of them."""
  if isinstance(layer, keras.layers.SeparableConv2D):
    return ["depthwise_weights", "pointwise_weights"]
  return ["depthwise_weights" if _is_depthwise(layer) else "weights"]


def _is_depthwise(layer: Any) -> bool:
  return isinstance(layer, keras.layers.DepthwiseConv2D)


def _scaled(layer: Any, kernel: np.ndarray, factor: np.ndarray) -> np.ndarray:
  """A kernel times a factor of each output channel."""
  if _is_depthwise(layer):
    factor = np.reshape(factor, kernel.shape[2:])
  return (kernel * factor).astype("float32")
