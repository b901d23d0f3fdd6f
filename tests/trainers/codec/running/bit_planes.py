"""A codec of bit planes and deflate: exact, monotone, and done in no time.

Pictures are of one colour a block of 16 pixels; iteration i tells bit 7 - i of each of
its three numbers, in 3 of the 32 bits of a position.
"""

from __future__ import annotations

import io
import zlib

import numpy as np

from hardmine.trainers.codec.codec import Codec

ITERATIONS = 8
MODEL_ID = "0123456789abcdef"


def picture(rows, columns, height_px=None, width_px=None, seed=0):
  """uint8, of random blocks, perhaps cut."""
  blocks = np.random.default_rng(seed).integers(0, 256, (rows, columns, 3), np.uint8)
  image = blocks.repeat(16, axis=0).repeat(16, axis=1)
  return image[: height_px or 16 * rows, : width_px or 16 * columns]


class BitPlanes:
  """See `hardmine.trainers.codec.running.coding_network.CodingNetwork`."""

  takes_heights = True
  is_lazy = True

  def __init__(self):
    self.num_encoded = 0  # iterations

  def encode(self, image, iterations, heights=None):
    del heights  # what is beyond them is not written
    self.num_encoded += iterations
    blocks = image[::16, ::16]
    codes = np.zeros((iterations, *blocks.shape[:2], 32), np.uint8)
    for index in range(min(iterations, ITERATIONS)):
      codes[index, ..., :3] = blocks >> (7 - index) & 1
    return codes, np.zeros(iterations, np.uint8)

  def decode(self, codes, gains, height_px, width_px, heights=None):
    del gains
    blocks = np.zeros((*codes.shape[1:3], 3), np.uint8)
    for index, plane in enumerate(codes[:ITERATIONS]):
      if heights is not None:
        plane = plane * (heights > index)[..., None]
      blocks |= plane[..., :3] << np.uint8(7 - index)
    image = blocks.repeat(16, axis=0).repeat(16, axis=1)
    return image[:height_px, :width_px]

  def reconstruct(self, image, iterations, heights=None):
    codes, gains = self.encode(image, iterations)
    return np.stack(
      [
        self.decode(codes[: n + 1], gains, *image.shape[:2], heights)
        for n in range(iterations)
      ]
    )

  def planes(self, image, iterations, heights=None):
    codes, gains = self.encode(image, iterations)
    self.num_encoded -= iterations
    for plane, gain in zip(codes, gains.tolist()):
      self.num_encoded += 1
      yield plane, gain

  def steps(self, image, iterations, heights=None):
    codes, gains = [], []
    for plane, gain in self.planes(image, iterations):
      codes.append(plane)
      gains.append(gain)
      yield plane, gain, self.decode(np.stack(codes), gains, *image.shape[:2], heights)


class Deflate:
  """See `hardmine.trainers.codec.entropy.coder.EntropyCoder`."""

  entropy_id = b"deflated"

  def encoding(self, iterations):
    return _Encoding(iterations)

  def decoding(self, payloads, raw_bytes):
    return _Decoding(payloads, raw_bytes)


class _Encoding:
  def __init__(self, iterations):
    self._planes = [b""] * iterations

  def add(self, codes, gains, heights=None, *, first=0):
    del gains
    for index, plane in enumerate(codes[first:], first):
      there = plane if heights is None else plane[heights > index]
      self._planes[index] += np.packbits(there).tobytes()

  def payloads(self):
    return [zlib.compress(plane, 9) for plane in self._planes]


class _Decoding:
  def __init__(self, payloads, raw_bytes):
    self._planes = [
      io.BytesIO(one if len(one) == size else zlib.decompress(one))
      for one, size in zip(payloads, raw_bytes)
    ]

  def next(self, shape, gains, heights=None):
    del gains
    codes = np.zeros((len(self._planes), *shape, 32), np.uint8)
    for index, plane in enumerate(self._planes):
      there = np.ones(shape, bool) if heights is None else heights > index
      bits = np.frombuffer(plane.read(4 * int(there.sum())), np.uint8)
      codes[index, there] = np.unpackbits(bits).reshape(-1, 32)
    return codes


def codec(coder=None, iterations=ITERATIONS):
  """The codec and its network."""
  network = BitPlanes()
  facts = {
    "model_id": MODEL_ID,
    "config": {"reconstruction": "additive", "width": 1 / 16},
    "iterations": iterations,
  }
  return Codec(network, facts, coder=coder), network
