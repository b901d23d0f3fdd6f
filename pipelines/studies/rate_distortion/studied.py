"""What a study asks of a codec, whichever it is."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from hardmine.trainers.codec.streams.stream import Stream

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
  """A picture at an operating point of a codec.

  Attributes:
    num_bytes: of the whole file.
    header_bytes: of these, those that say nothing about the picture; None where
      nobody can tell.
    encode_seconds: None where it was not timed.
    decode_seconds: likewise.
    scores: in the order of `METRICS`.
  """

  num_bytes: int
  header_bytes: int | None
  encode_seconds: float | None
  decode_seconds: float | None
  scores: tuple[float, ...]

  def plain(self) -> dict[str, Any]:
    """JSON values of which `of` makes it again."""
    return dataclasses.asdict(self)

  @classmethod
  def of(cls, plain: dict[str, Any]) -> Point:
    """What `plain` was of."""
    return cls(**{**plain, "scores": tuple(plain["scores"])})


@dataclasses.dataclass(frozen=True, kw_only=True)
class CurveOf:
  """A curve that a codec gives; those of one codec have the same pixels.

  Attributes:
    key: unique, fit for a file name.
    title: for people.
    detail: software, version and flags, so that others can repeat it.
  """

  key: str
  title: str
  detail: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class File:
  """A file of about the wanted size, and what it shows.

  Attributes:
    setting: that it was made with.
    num_bytes: of it.
    pixels: uint8 [height, width, 3], decoded.
    stream: of it, where it has a height map.
  """

  setting: int
  num_bytes: int
  pixels: np.ndarray
  stream: Stream | None = None


class Studied(Protocol):
  """A codec.

  Attributes:
    curves: that come of it.
    shown: the one whose pictures are shown, or None.
    settings: operating points, of rising rate.
    setting_is: what a setting is, in words.
    wave: of so many settings at a time it is asked whether the rest is needed.
    is_model: one of ours, and no conventional codec.
    facts: all that its numbers depend on, as JSON values.
  """

  curves: tuple[CurveOf, ...]
  shown: CurveOf | None
  settings: tuple[int, ...]
  setting_is: str
  wave: int
  is_model: bool
  facts: dict[str, Any]

  def facts_at(self, setting: int) -> dict[str, Any]:
    """What a point depends on beside `facts`."""
    ...

  def points(
    self, pixels: np.ndarray, settings: Sequence[int]
  ) -> Iterator[tuple[int, list[Point]]]:
    """Settings, in any order, each as soon as it is measured, with a point a curve.

    Args:
      pixels: uint8 [height, width, 3].
      settings: some of `settings`.
    """
    ...

  def nearest(self, pixels: np.ndarray, num_bytes: int) -> File:
    """The file of `shown` whose size is closest, by ratio."""
    ...


def timed(call: Callable[[], T]) -> tuple[T, float]:
  """What a call gives, and the seconds it took."""
  started = time.perf_counter()
  found = call()
  return found, time.perf_counter() - started
