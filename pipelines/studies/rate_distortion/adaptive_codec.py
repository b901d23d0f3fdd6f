"""A trained codec with a height map a picture, as a study asks it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.measurement import Scorer
from hardmine.pipelines.studies.rate_distortion.model_codec import ModelCodec
from hardmine.pipelines.studies.rate_distortion.studied import (
  CurveOf,
  File,
  Point,
  timed,
)
from hardmine.schemas.config import require
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.adaptive import AdaptiveEncoder
from hardmine.trainers.codec.running.rate_control import MAX_LEVEL, Compressed, Target
from hardmine.trainers.codec.streams import bitstream

_STEP = 5  # of levels: about an eighth of a bit per pixel in the middle
_TIMED = 20
_METHOD = 1  # counted up where levels come to mean something else


class AdaptiveCodec:
  """A model of ours whose files have height maps; see `studied.Studied`.

  Its settings are levels (`hardmine.trainers.codec.running.adaptive`). One of them is
  encoded and decoded by itself, and timed; the others share the pass that finds out
  what iterations are worth.
  """

  setting_is = "level"
  is_model = True

  def __init__(self, codec: Codec, plain: ModelCodec):
    """Takes a loaded model.

    Args:
      codec: to measure.
      plain: the same without height maps, whose names it takes.

    Raises:
      ValueError: the model cannot do it.
    """
    require(
      codec.can_adapt,
      "models that run on onnxruntime or openvino for --adaptive",
      model=plain.curves[0].title,
    )
    self._codec, self._most = codec, plain.settings[-1]
    self._encoders: list[tuple[np.ndarray, AdaptiveEncoder]] = []
    self.settings = tuple(range(_STEP, MAX_LEVEL + 1, _STEP))
    self.wave = len(self.settings)
    (curve,) = plain.curves
    self.curves: tuple[CurveOf, ...] = (
      CurveOf(
        key=f"{curve.key}_adaptive",
        title=f"{curve.title}, adaptive",
        detail=f"{curve.detail}; a height map a picture",
      ),
    )
    self.shown: CurveOf | None = self.curves[0]
    adaptive = {"method": _METHOD, "most": self._most}
    self.facts: dict[str, Any] = {**plain.facts, "adaptive": adaptive}

  def facts_at(self, setting: int) -> dict[str, Any]:
    """Whether it was timed."""
    return {"timed": setting == _TIMED}

  def points(
    self, pixels: np.ndarray, settings: Sequence[int]
  ) -> Iterator[tuple[int, list[Point]]]:
    """One after the other."""
    score = Scorer(pixels)
    for level in settings:
      encoding = decoding = None
      if level == _TIMED:
        found, encoding = timed(lambda: self._new(pixels).to(Target(level=_TIMED)))
        picture, decoding = timed(lambda data=found.data: self._codec.decompress(data))
      else:
        found = self._encoder(pixels).to(Target(level=level))
        picture = found.picture
        assert picture is not None  # as of every level that is asked for
      yield level, [_point(found, score(picture), encoding, decoding)]

  def nearest(self, pixels: np.ndarray, num_bytes: int) -> File:
    """The finest level of at most so many bytes, or the coarsest."""
    encoder = self._encoder(pixels)
    try:
      found = encoder.to(Target(max_bytes=num_bytes))
    except ValueError:  # not even the coarsest
      found = encoder.to(Target(level=0))
    return File(
      setting=found.level or 0,
      num_bytes=len(found.data),
      pixels=self._codec.decompress(found.data),
      stream=bitstream.unpack(found.data),
    )

  def _encoder(self, pixels: np.ndarray) -> AdaptiveEncoder:
    """The one of the picture that was asked for last, which knows more by now."""
    for known, encoder in self._encoders:
      if np.array_equal(known, pixels):
        return encoder
    encoder = self._new(pixels)
    self._encoders = [(pixels, encoder)]
    return encoder

  def _new(self, pixels: np.ndarray) -> AdaptiveEncoder:
    return self._codec.adaptive_encoder(pixels, self._most)


def _point(
  found: Compressed,
  scores: tuple[float, ...],
  encode_seconds: float | None,
  decode_seconds: float | None,
) -> Point:
  header = bitstream.read_header(found.data)
  chunks = found.iterations + len(header.side)
  return Point(
    num_bytes=len(found.data),
    header_bytes=header.size_bytes + chunks * bitstream.CHUNK_OVERHEAD_BYTES,
    encode_seconds=encode_seconds,
    decode_seconds=decode_seconds,
    scores=scores,
  )
