"""A codec of bit planes and deflate: exact, monotone, and done in no time.

Pictures are of one colour a block of 16 pixels; iteration i tells bit 7 - i of each of
its three numbers, in 3 of the 32 bits of a position.
"""

from __future__ import annotations

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
  """See `hardmine.trainers.codec.coding_network.CodingNetwork`."""

  def __init__(self):
    self.num_encoded = 0  # iterations

  def encode(self, image, iterations):
    self.num_encoded += iterations
    blocks = image[::16, ::16]
    codes = np.zeros((iterations, *blocks.shape[:2], 32), np.uint8)
    for index in range(min(iterations, ITERATIONS)):
      codes[index, ..., :3] = blocks >> (7 - index) & 1
    return codes, np.zeros(iterations, np.uint8)

  def decode(self, codes, gains, height_px, width_px):
    del gains
    blocks = np.zeros((*codes.shape[1:3], 3), np.uint8)
    for index, plane in enumerate(codes[:ITERATIONS]):
      blocks |= plane[..., :3] << np.uint8(7 - index)
    image = blocks.repeat(16, axis=0).repeat(16, axis=1)
    return image[:height_px, :width_px]

  def reconstruct(self, image, iterations):
    codes, gains = self.encode(image, iterations)
    return np.stack(
      [self.decode(codes[: n + 1], gains, *image.shape[:2]) for n in range(iterations)]
    )

  def steps(self, image, iterations):
    codes, gains = self.encode(image, iterations)
    self.num_encoded -= iterations
    for index in range(iterations):
      self.num_encoded += 1
      part = self.decode(codes[: index + 1], gains, *image.shape[:2])
      yield codes[index], int(gains[index]), part


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

  def add(self, codes, gains):
    del gains
    for index, plane in enumerate(codes):
      self._planes[index] += np.packbits(plane).tobytes()

  def payloads(self):
    return [zlib.compress(plane, 9) for plane in self._planes]


class _Decoding:
  def __init__(self, payloads, raw_bytes):
    self._planes = [
      one if len(one) == raw_bytes else zlib.decompress(one) for one in payloads
    ]
    self._place = 0

  def next(self, shape, gains):
    del gains
    size = shape[0] * shape[1] * 4
    start, self._place = self._place, self._place + size
    return np.stack(
      [
        np.unpackbits(np.frombuffer(one[start : start + size], np.uint8)).reshape(
          *shape, 32
        )
        for one in self._planes
      ]
    )


def codec(coder=None, iterations=ITERATIONS):
  """The codec and its network."""
  network = BitPlanes()
  facts = {
    "model_id": MODEL_ID,
    "config": {"reconstruction": "additive", "width": 1 / 16},
    "iterations": iterations,
  }
  return Codec(network, facts, coder=coder), network
