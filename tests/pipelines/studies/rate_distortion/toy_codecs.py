"""Codecs without a network, whose files are real: pixels of a few bits, deflated."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from hardmine.components.codec_evaluator.measurement import Scorer
from hardmine.components.jobs.sources import find_sources
from hardmine.pipelines.studies.rate_distortion.pictures import Pictures
from hardmine.pipelines.studies.rate_distortion.studied import (
  CurveOf,
  File,
  Point,
)

SIDES_PX = (170, 180)


class Levels:
  """Setting k keeps k bits of every sample.

  Attributes:
    asked: pictures' shapes and settings, in the order in which they were asked for.
  """

  settings = (1, 2, 3)
  setting_is = "bits a sample"
  wave = 2

  def __init__(self, key="levels", *, is_model=False, fails_on=(), times=1):
    self.curves = (CurveOf(key=key, title=key.title(), detail="zlib"),)
    self.shown = self.curves[0]
    self.is_model = is_model
    self.facts = {"key": key, "times": times}
    self.asked: list[tuple[int, int]] = []
    self._fails_on, self._times = fails_on, times

  def facts_at(self, setting):
    return {"bits": setting}

  def points(self, pixels, settings):
    for setting in settings:
      first = int(pixels[0, 0, 0])
      self.asked.append((first, setting))
      if first in self._fails_on:
        raise FloatingPointError("the encoder gave NaN")
      data, kept = self._coded(pixels, setting)
      yield (
        setting,
        [
          Point(
            num_bytes=self._times * len(data),
            header_bytes=2 * self._times,
            encode_seconds=0.25 if setting != 2 else None,
            decode_seconds=0.125 if setting != 2 else None,
            scores=Scorer(pixels)(kept),
          )
        ],
      )

  def nearest(self, pixels, num_bytes):
    files = [(k, *self._coded(pixels, k)) for k in self.settings]
    k, data, kept = min(files, key=lambda one: abs(len(one[1]) - num_bytes))
    return File(setting=k, num_bytes=len(data), pixels=kept)

  @staticmethod
  def _coded(pixels, bits):
    kept = (pixels >> (8 - bits) << (8 - bits)) + (128 >> bits)
    return zlib.compress(kept.tobytes()), kept.astype(np.uint8)


def photograph(first: int) -> Image.Image:
  """Smooth colours; the red of its first pixel tells it from the others."""
  rng = np.random.default_rng(first)
  small = Image.fromarray(rng.integers(0, 256, (6, 7, 3), np.uint8))
  image = np.array(small.resize(SIDES_PX[::-1], Image.Resampling.BICUBIC))
  image[0, 0, 0] = first
  return Image.fromarray(image)


def looked_at(folder: Path, numbers) -> tuple[list, Pictures]:
  """Photographs 0.png, 1.png, ... in a folder, as a study finds them."""
  folder.mkdir(exist_ok=True)
  for number in numbers:
    photograph(number).save(folder / f"{number}.png")
  source = Pictures()
  pictures, left_out = source.look(find_sources([str(folder)]).sources)
  assert not left_out
  return pictures, source
