"""A trained codec, as a study asks it."""

from __future__ import annotations

import itertools
import math
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.measurement import Scorer
from hardmine.pipelines.studies.rate_distortion.studied import (
  CurveOf,
  File,
  Point,
  timed,
)
from hardmine.pipelines.studies.records import runtime_version
from hardmine.schemas.config import require
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.streams import bitstream


class ModelCodec:
  """A model of ours; see `studied.Studied`.

  Its settings are iterations. After 1, 2, 4, 8, ... and all of them a picture is
  really encoded and decoded, each time anew, and that is timed. What is between comes
  from one more pass: the sizes of the beginnings of the whole file, and the pictures
  that `Codec.reconstructions` gives of them.
  """

  setting_is = "iterations"
  is_model = True

  def __init__(
    self,
    codec: Codec,
    *,
    key: str,
    title: str,
    runtime: str,
    num_threads: int | None = None,
    iterations: int | None = None,
  ):
    """Takes a loaded model.

    Args:
      codec: to measure.
      key: unique among those that are studied together.
      title: for people.
      runtime: that the codec runs on.
      num_threads: that it was loaded with.
      iterations: None takes those that help, as the model says.

    Raises:
      ValueError: the model has not so many iterations.
    """
    last = codec.iterations if iterations is None else iterations
    require(
      1 <= last <= codec.max_iterations,
      f"1 to {codec.max_iterations} iterations of {title}",
      iterations=last,
    )
    self._codec = codec
    self.settings = tuple(range(1, last + 1))
    self.wave = last
    self._timed = {1 << power for power in range(last.bit_length())} | {last}
    self._warm: set[tuple[int, ...]] = set()
    entropy_id = codec.entropy_id
    coder = f"entropy model {entropy_id.hex()}" if entropy_id else "no entropy coding"
    self.curves: tuple[CurveOf, ...] = (
      CurveOf(
        key=key, title=title, detail=f"model {codec.model_id.hex()}; {coder}; {runtime}"
      ),
    )
    self.shown: CurveOf | None = self.curves[0]
    self.facts: dict[str, Any] = {
      "model_id": codec.model_id.hex(),
      "entropy_id": entropy_id.hex() if entropy_id else None,
      "runtime": runtime,
      "version": runtime_version(runtime),
      "num_threads": num_threads,
    }

  def facts_at(self, setting: int) -> dict[str, Any]:
    """Whether it was timed."""
    return {"timed": setting in self._timed}

  def points(
    self, pixels: np.ndarray, settings: Sequence[int]
  ) -> Iterator[tuple[int, list[Point]]]:
    """What is timed first, then what one pass gives."""
    score, codec = Scorer(pixels), self._codec
    self._warm_up(pixels)
    for count in sorted(self._timed & set(settings)):
      data, encoding = timed(lambda n=count: codec.compress(pixels, iterations=n))
      picture, decoding = timed(lambda file=data: codec.decompress(file))
      yield count, [_point(data, count, score(picture), encoding, decoding)]
    others = [count for count in settings if count not in self._timed]
    if others:
      last = max(others)
      data = codec.compress(pixels, iterations=last)
      pictures = codec.reconstructions(pixels, last)
      for count in others:
        yield count, [_point(data, count, score(pictures[count - 1]))]

  def nearest(self, pixels: np.ndarray, num_bytes: int) -> File:
    """The beginning of a file of all iterations."""
    data = self._codec.compress(pixels, iterations=self.settings[-1])
    sizes = bitstream.prefix_bytes(data)
    count = 1 + int(np.argmin([abs(math.log(size / num_bytes)) for size in sizes]))
    picture = self._codec.decompress(data, iterations=count)
    return File(setting=count, num_bytes=sizes[count - 1], pixels=picture)

  def _warm_up(self, pixels: np.ndarray) -> None:
    """Runtimes make room when they first see a size; later pictures find it."""
    if pixels.shape not in self._warm:
      self._codec.decompress(self._codec.compress(pixels, iterations=1))
      self._warm.add(pixels.shape)


def _point(
  data: bytes,
  count: int,
  scores: tuple[float, ...],
  encode_seconds: float | None = None,
  decode_seconds: float | None = None,
) -> Point:
  """Of a stream's first `count` iterations."""
  header = bitstream.read_header(data)
  return Point(
    num_bytes=bitstream.prefix_bytes(data)[count - 1],
    header_bytes=header.size_bytes + count * bitstream.CHUNK_OVERHEAD_BYTES,
    encode_seconds=encode_seconds,
    decode_seconds=decode_seconds,
    scores=scores,
  )


def names_of(refs: Sequence[str], taken: Iterable[str] = ()) -> list[tuple[str, str]]:
  """A key, fit for a file name, and a title for each model, no two alike.

  Args:
    refs: as people wrote them; their last two parts tell most.
    taken: keys that are used already.
  """
  used, found = set(taken), []
  for ref in refs:
    title = "/".join(os.path.normpath(ref).strip("/").split("/")[-2:])
    name = re.sub(r"[^A-Za-z0-9.-]+", "_", title).strip("_.") or "model"
    number = next(
      number for number in itertools.count(1) if _numbered(name, number) not in used
    )
    key = _numbered(name, number)
    used.add(key)
    found.append((key, title if number == 1 else f"{title} ({number})"))
  return found


def _numbered(name: str, number: int) -> str:
  return name if number == 1 else f"{name}-{number}"
