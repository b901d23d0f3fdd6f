"""The light form of a codec: one step of encoding and one of decoding, as ONNX.

    encode_step.onnx   image, estimate, gain, iteration, encoder_*
                       -> values, exponents, new_encoder_*
    decode_step.onnx   codes, exponents, iteration, decoder_*, estimate, gain
                       -> new_decoder_*, new_estimate, new_gain

In the first iteration both run `priming` times more, in the others `diffusion` times,
where the facts have such a number, and of what that gives only the new states of
encoder and decoder are taken, neither estimate nor gain.

Everything is float32 [1, channels, rows, columns] of free sizes but `exponents`, int32
[1], and `iteration`, int32 []; what a network does not use is missing. `values` above
zero are bits of 1; `codes` are -1 and +1. `facts.json` says the rest.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.exported_model import LIGHT_FACTS, light_graph
from hardmine.schemas.files import write_atomically
from hardmine.trainers import onnx_export
from hardmine.trainers.codec.exports.light_check import check_step
from hardmine.trainers.codec.exports.reach import reach_facts
from hardmine.trainers.codec.network.model import RecurrentCodec
from hardmine.trainers.graph_form import light_form
from hardmine.trainers.onnx_blocks import in_blocks
from hardmine.trainers.onnx_gates import split_gates
from hardmine.trainers.onnx_half import stored_in_half
from hardmine.trainers.onnx_layout import FIRST, channels_first

ENCODE_STEP, DECODE_STEP = STEPS = ("encode_step", "decode_step")
FORMAT = 1  # of the facts
FORMAT_PRIMED = 2  # the same, with passes that readers of 1 know nothing of


def write_light_form(codec: RecurrentCodec, model_dir: str | os.PathLike) -> None:
  """Adds the light form to the folder of an export.

  Args:
    codec: with the weights of the export, built for nothing but running.
    model_dir: the folder.

  Raises:
    RuntimeError: what was converted does not compute what the model does.
  """
  import tensorflow as tf

  Path(model_dir, LIGHT_FACTS).parent.mkdir(parents=True, exist_ok=True)
  states = _States(codec)
  primed = {
    name: passes
    for name in ("priming", "diffusion")
    if (passes := getattr(codec.config, name))
  }
  facts: dict[str, Any] = {
    "format": FORMAT_PRIMED if primed else FORMAT,
    **primed,
    "layout": "NCHW",
    "stride_px": STRIDE_PX,
    "padding_px": codec.config.padding_px,
    "normalisation": {"divisor": 255.0, "offset": -0.5},
    "code_channels": codec.config.code_depth,
    "encoder_states": states.encoder,
    "decoder_states": states.decoder,
    "side_scales": sorted({1.0, *states.scales().values()}),
    **reach_facts(codec.config),
    "opset": onnx_export.OPSET,
    "versions": onnx_export.versions(),
  }
  for name, step in zip(
    STEPS, (_EncodeStep(codec, states), _DecodeStep(codec, states))
  ):
    with light_form(), tf.device("/cpu:0"):
      model = channels_first(onnx_export.to_onnx(step, step.signature))
    model = in_blocks(split_gates(model))
    _name_sides(model, states.scales())
    path = light_graph(model_dir, name)
    write_atomically(path, stored_in_half(model).SerializeToString())
    check_step(name, path, step, states.scales())
    facts[name] = {
      "inputs": [one.name for one in model.graph.input],
      "outputs": [one.name for one in model.graph.output],
    }
  text = json.dumps(facts, indent=2, sort_keys=True) + "\n"
  write_atomically(Path(model_dir, LIGHT_FACTS), text)


def _name_sides(model: Any, scales: dict[str, float]) -> None:
  """Gives equal sides of inputs one name: runtimes fuse what they know to be equal."""
  for one in model.graph.input:
    dims = one.type.tensor_type.shape.dim
    if len(dims) != len(FIRST):
      continue
    for dim, side in zip(dims[2:], ("rows", "columns")):
      dim.dim_param = f"{side}_{scales.get(one.name, 1):g}"
  del model.graph.value_info[:]
  for one in model.graph.output:
    if len(one.type.tensor_type.shape.dim) == len(FIRST):
      one.type.tensor_type.ClearField("shape")


class _States:
  """The states of a codec as named tensors.

  Attributes:
    encoder: facts of each of the encoder's: name, channels, positions a code position,
      and the one value that it begins with.
    decoder: likewise, the estimate and, where it is a map, the gain behind them.
  """

  def __init__(self, codec: RecurrentCodec):
    import tensorflow as tf

    self._nest = tf.nest
    self._encoders = [codec.encoder_states(1, *grid) for grid in _GRIDS]
    self._decoders = [codec.decoder_states(1, *grid) for grid in _GRIDS]
    self.encoder = self._facts("encoder", self._encoders)
    self.decoder = self._facts("decoder", [one[0] for one in self._decoders])
    estimates, self._gains = ([one[k] for one in self._decoders] for k in (1, 2))
    self.decoder.append(_state_facts("estimate", estimates))
    self._has_gain = self._gains[0].shape != self._gains[1].shape
    if self._has_gain:
      self.decoder.append(_state_facts("gain", self._gains))

  def _facts(self, prefix: str, examples: Sequence[Any]) -> list[dict[str, Any]]:
    return [
      _state_facts(f"{prefix}_{number}", tensors)
      for number, tensors in enumerate(zip(*map(self._nest.flatten, examples)))
    ]

  def scales(self) -> dict[str, float]:
    """Positions a code position of everything of four axes that is no code."""
    states = {one["name"]: one["scale"] for one in (*self.encoder, *self.decoder)}
    return {"image": STRIDE_PX, "gain": 1, **states}

  def encoder_states(self, flat: Sequence[Any]) -> Any:
    """As the codec has them."""
    return self._nest.pack_sequence_as(self._encoders[0], list(flat))

  def decoder_states(self, flat: Sequence[Any], iteration: Any) -> list[Any]:
    """As the codec has them."""
    flat = list(flat) if self._has_gain else [*flat, self._gains[0]]
    *cells, estimate, gain = flat
    cells = self._nest.pack_sequence_as(self._decoders[0][0], cells)
    return [cells, estimate, gain, iteration]

  def named(self, facts: Sequence[dict[str, Any]], states: Any) -> dict[str, Any]:
    """New states by the names of a graph's outputs."""
    flat = self._nest.flatten(states)
    return {f"new_{one['name']}": value for one, value in zip(facts, flat)}


_GRIDS = ((4, 6), (8, 8))  # code grids by which states are told


def _state_facts(name: str, examples: Sequence[Any]) -> dict[str, Any]:
  """What is known of a state, by how it begins on each of `_GRIDS`."""
  arrays = [np.asarray(example) for example in examples]
  scales = {
    size / side
    for array, grid in zip(arrays, _GRIDS)
    for size, side in zip(array.shape[1:3], grid)
  }
  values = {value for array in arrays for value in (array.min(), array.max())}
  if len(scales) != 1 or len(values) != 1 or arrays[0].ndim != 4:
    raise RuntimeError(
      "Expected states of [batch, rows * n, columns * n, channels] that begin with one "
      f"value everywhere. Received: {name}={arrays[0].shape} of a code grid of "
      f"{_GRIDS[0]}; have the cell's initial_states give such"
    )
  return {
    "name": name,
    "channels": arrays[0].shape[-1],
    "scale": scales.pop(),
    "initial": float(values.pop()),
  }


def _specs(states: Sequence[dict[str, Any]]) -> list[Any]:
  """Of states as inputs."""
  import tensorflow as tf

  return [
    tf.TensorSpec([1, None, None, one["channels"]], tf.float32, name=one["name"])
    for one in states
  ]


class _EncodeStep:
  """One iteration of encoding, as a function of tensors."""

  def __init__(self, codec: RecurrentCodec, states: _States):
    import tensorflow as tf

    self._codec, self._states = codec, states
    shape = [1, None, None, 3]
    self.signature = [
      tf.TensorSpec(shape, tf.float32, name="image"),
      tf.TensorSpec(shape, tf.float32, name="estimate"),
      tf.TensorSpec([1, None, None, 1], tf.float32, name="gain"),
      tf.TensorSpec([], tf.int32, name="iteration"),
      *_specs(states.encoder),
    ]

  def __call__(self, image, estimate, gain, iteration, *flat):
    values, exponents, new = self._codec.encoded_values(
      image, self._states.encoder_states(flat), [None, estimate, gain, iteration]
    )
    sent = {"exponents": exponents} if self._codec.config.sent_gain else {}
    return {"values": values, **sent, **self._states.named(self._states.encoder, new)}


class _DecodeStep:
  """One iteration of decoding, as a function of tensors."""

  def __init__(self, codec: RecurrentCodec, states: _States):
    import tensorflow as tf

    self._codec, self._states = codec, states
    depth = codec.config.code_depth
    self.signature = [
      tf.TensorSpec([1, None, None, depth], tf.float32, name="codes"),
      tf.TensorSpec([1], tf.int32, name="exponents"),
      tf.TensorSpec([], tf.int32, name="iteration"),
      *_specs(states.decoder),
    ]

  def __call__(self, codes, exponents, iteration, *flat):
    states = self._states.decoder_states(flat, iteration)
    *new, _ = self._codec.decode_step(codes, exponents, states)
    return self._states.named(self._states.decoder, new)
