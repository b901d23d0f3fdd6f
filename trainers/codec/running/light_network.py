"""A codec's network without TensorFlow: a graph a step, run once an iteration."""

from __future__ import annotations

import collections
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hardmine.schemas.exported_model import light_graph, read_light_facts
from hardmine.trainers.runtime.choice import ONNX_RUNTIME, open_graph
from hardmine.trainers.runtime.freed_memory import give_back
from hardmine.trainers.runtime.graph import Graph, Value

_NEW = "new_"  # before a state's name where it is an output
_ESTIMATE = "estimate"


class LightNetwork:
  """See `hardmine.trainers.codec.running.coding_network.CodingNetwork`.

  Several threads may use one.
  """

  takes_heights = True
  is_lazy = True

  def __init__(
    self,
    model_dir: str | os.PathLike,
    runtime: str,
    num_threads: int | None = None,
  ):
    """See `hardmine.trainers.codec.running.coding_network.open_network`."""
    self._facts = read_light_facts(model_dir)
    scales = self._facts["side_scales"]
    self._graphs = _Graphs(model_dir, runtime, scales, num_threads)

  def encode(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> tuple[np.ndarray, np.ndarray]:
    """Codes and gains."""
    codes, gains = zip(*self.planes(image, iterations, heights))
    return np.stack(codes), np.array(gains, np.uint8)

  def decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None = None,
  ) -> np.ndarray:
    """The picture."""
    picture = self._decode(codes, gains, height_px, width_px, heights)
    _give_back(height_px * width_px)
    return picture

  def _decode(
    self,
    codes: np.ndarray,
    gains: np.ndarray,
    height_px: int,
    width_px: int,
    heights: np.ndarray | None,
  ) -> np.ndarray:
    step = self._graphs.get("decode_step", *codes.shape[1:3])
    states = self._beginning("decoder_states", *codes.shape[1:3])
    for iteration, (plane, gain) in enumerate(zip(codes, gains)):
      states = self._decoded(step, plane > 0, gain, iteration, states, heights)
    return _to_pixels(states[_ESTIMATE], height_px, width_px)

  def reconstruct(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> np.ndarray:
    """The picture after every iteration."""
    return np.stack(
      [picture for _, _, picture in self.steps(image, iterations, heights)]
    )

  def planes(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int]]:
    """Codes and gain of every iteration."""
    for values, gain, _ in self._run(image, iterations, heights, seen=False):
      yield (values > 0).astype(np.uint8), gain

  def steps(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None = None
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray]]:
    """Codes, gain and picture of every iteration."""
    for values, gain, picture in self._run(image, iterations, heights, seen=True):
      assert picture is not None
      yield (values > 0).astype(np.uint8), gain, picture

  def _run(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None, seen: bool
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray | None]]:
    """Values [rows, columns, depth], the gain and the picture of every iteration.

    Where pictures are not to be seen, they are None, and the decoder's pass runs when
    the next iteration is asked for.
    """
    try:
      yield from self._passes(image, iterations, heights, seen)
    finally:  # also for whoever has enough
      _give_back(image.shape[0] * image.shape[1])

  def _passes(
    self, image: np.ndarray, iterations: int, heights: np.ndarray | None, seen: bool
  ) -> Iterator[tuple[np.ndarray, int, np.ndarray | None]]:
    """As `_run`, with all that it holds meanwhile."""
    height, width, _ = image.shape
    pixels = self._padded(image)
    rows, columns = (side // self._facts["stride_px"] for side in pixels.shape[2:])
    grid = (rows, columns)
    encode_step = self._graphs.get("encode_step", *grid)
    encoder = self._beginning("encoder_states", *grid)
    decoder = self._beginning("decoder_states", *grid)
    for iteration in range(iterations):
      clock = np.array(iteration, np.int32)
      for _ in range(self._extra_passes(iteration)):
        found = encode_step.run(
          {"image": pixels, "iteration": clock, **encoder, **decoder}
        )
        encoder = _states(found, "encoder_")
      # by no name of its own, which would keep the old states for the decoding
      found = encode_step.run(
        {"image": pixels, "iteration": clock, **encoder, **decoder}
      )
      values = found.pop("values").numpy()[0].transpose(1, 2, 0)
      gain = int(found.pop("exponents").numpy()[0]) if "exponents" in found else 0
      encoder = _next(found)
      if not seen:
        yield values, gain, None
        if iteration + 1 == iterations:
          return
      decode_step = self._graphs.get("decode_step", *grid)
      decoder = self._decoded(
        decode_step, values > 0, gain, iteration, decoder, heights
      )
      if seen:
        yield values, gain, _to_pixels(decoder[_ESTIMATE], height, width)

  def _decoded(
    self,
    step: Graph,
    bits: np.ndarray,
    gain: int,
    iteration: int,
    states: Mapping[str, Any],
    heights: np.ndarray | None,
  ) -> dict[str, Any]:
    """The decoder's states after the bits [rows, columns, depth] of an iteration."""
    there = None if heights is None else heights > iteration
    codes = np.where(bits, np.float32(1), np.float32(-1))
    if there is not None:
      codes *= there[:, :, np.newaxis]
    codes = np.ascontiguousarray(codes.transpose(2, 0, 1)[np.newaxis])
    for _ in range(self._extra_passes(iteration)):
      primed = _decoded(step, codes, gain, iteration, states)
      states = {**states, **_states(primed, "decoder_")}
    new = _decoded(step, codes, gain, iteration, states)
    if there is not None and not there.all():
      new[_ESTIMATE] = _kept(states[_ESTIMATE], new[_ESTIMATE], there)
    return new

  def _extra_passes(self, iteration: int) -> int:
    """Of which only the states are taken, before those of an iteration."""
    return self._facts.get("diffusion" if iteration else "priming", 0)

  def _beginning(self, states: str, rows: int, columns: int) -> dict[str, Any]:
    """States before the first iteration."""
    return {
      one["name"]: np.full(
        (1, one["channels"], *(int(side * one["scale"]) for side in (rows, columns))),
        one["initial"],
        np.float32,
      )
      for one in self._facts[states]
    }

  def _padded(self, image: np.ndarray) -> np.ndarray:
    """uint8 [h, w, 3] to float32 [1, 3, H, W] in [-0.5, 0.5], edges repeated."""
    multiple = self._facts["padding_px"]
    missing = [(0, -side % multiple) for side in image.shape[:2]]
    pixels = np.pad(image, [*missing, (0, 0)], mode="edge").transpose(2, 0, 1)
    numbers = self._facts["normalisation"]
    pixels = pixels[np.newaxis].astype(np.float32)
    pixels /= np.float32(numbers["divisor"])
    pixels += np.float32(numbers["offset"])
    return np.ascontiguousarray(pixels)


class _Graphs:
  """The graphs of a model, opened when they are first asked for.

  A graph for one size of picture is a fifth to a third faster; opening it takes as long
  as a small picture does, which therefore goes through a graph for any size.
  """

  def __init__(
    self,
    model_dir: str | os.PathLike,
    runtime: str,
    scales: Sequence[float],
    num_threads: int | None,
  ):
    # Now, since whoever loads a model may remove its folder afterwards.
    self._models = {
      name: light_graph(model_dir, name).read_bytes()
      for name in ("encode_step", "decode_step")
    }
    self._runtime, self._scales = runtime, scales
    self._num_threads = num_threads
    self._lock = threading.Lock()
    self._opened: collections.OrderedDict[tuple[str, Any], Graph] = (
      collections.OrderedDict()
    )

  def get(self, name: str, rows: int, columns: int) -> Graph:
    """The graph of a step for a code grid."""
    own = self._runtime == ONNX_RUNTIME and rows * columns >= _OWN_GRAPH_CODES
    key = (name, (rows, columns) if own else None)
    with self._lock:
      if key not in self._opened:
        self._opened[key] = open_graph(
          self._models[name],
          self._runtime,
          self._num_threads,
          self._sides(rows, columns) if own else None,
        )
      self._opened.move_to_end(key)
      if len(self._opened) > _OPEN_GRAPHS:
        self._opened.popitem(last=False)
      return self._opened[key]

  def _sides(self, rows: int, columns: int) -> dict[str, int]:
    return {
      f"{name}_{scale:g}": int(size * scale)
      for scale in self._scales
      for name, size in (("rows", rows), ("columns", columns))
    }


def _give_back(pixels: int) -> None:
  if pixels >= _LARGE_PX:
    give_back()


_LARGE_PX = 500_000  # from here on, what a picture took is worth giving back
_OPEN_GRAPHS = 6  # of any sizes; each holds the weights of its step
_OWN_GRAPH_CODES = 256  # 256x256 pixels


def _decoded(
  step: Graph, codes: np.ndarray, gain: int, iteration: int, states: Mapping[str, Any]
) -> dict[str, Any]:
  """The decoder's states after codes [1, depth, rows, columns], -1, +1 or 0."""
  return _next(
    step.run(
      {
        "codes": codes,
        "exponents": np.array([gain], np.int32),
        "iteration": np.array(iteration, np.int32),
        **states,
      }
    )
  )


def _kept(before: Any, after: Any, there: np.ndarray) -> np.ndarray:
  """An estimate that is new where positions have bits, and else as it was."""
  before, after = (
    one if isinstance(one, np.ndarray) else one.numpy() for one in (before, after)
  )
  side = after.shape[2] // there.shape[0]
  return np.where(np.kron(there, np.ones((side, side), bool)), after, before)


def _states(found: Mapping[str, Value], prefix: str) -> dict[str, Value]:
  """The units' alone, of what a step gives."""
  return {k: value for k, value in _next(found).items() if k.startswith(prefix)}


def _next(found: Mapping[str, Value]) -> dict[str, Value]:
  """What a step gives, as the next one takes it."""
  return {name.removeprefix(_NEW): value for name, value in found.items()}


def _to_pixels(estimate: Any, height: int, width: int) -> np.ndarray:
  """float32 [1, 3, H, W] around [-0.5, 0.5] to uint8 [h, w, 3], rounded."""
  image = estimate if isinstance(estimate, np.ndarray) else estimate.numpy()
  image = image[0, :, :height, :width].transpose(1, 2, 0)
  return np.clip(np.rint((image + 0.5) * 255.0), 0, 255).astype(np.uint8)
