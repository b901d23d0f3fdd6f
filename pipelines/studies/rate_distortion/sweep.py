"""Measures codecs on pictures, as far as no record has it; a failure ends nothing.

A codec that fails on more than half of the pictures is left out, with a reason. Where
any other fails on a picture, that picture is left out of all curves: means compare
codecs only where all have the same pictures.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.comparable import LeftOut
from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.components.evaluation.environment import environment
from hardmine.pipelines.studies.rate_distortion.pictures import Picture, Pictures
from hardmine.pipelines.studies.rate_distortion.studied import Point, Studied
from hardmine.pipelines.studies.records import Records, key_of, machine
from hardmine.serving.pages.conventions import METRICS
from hardmine.trainers.metrics.rate_distortion import HIGHEST_BPP

Say = Callable[[str], None]
Step = Callable[[int, int], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
  """A curve.

  Attributes:
    measurement: its rates and qualities; without headers the rates are those of whole
      files where nobody can tell the headers.
    knows_headers: whether somebody can.
    encode_seconds: float64 [num_images, num_points], NaN where nothing was timed.
    decode_seconds: likewise.
    is_model: one of ours, and no conventional codec.
    setting_is: what distinguishes the points, in words.
  """

  measurement: Measurement
  knows_headers: bool
  encode_seconds: np.ndarray
  decode_seconds: np.ndarray
  is_model: bool
  setting_is: str


@dataclasses.dataclass
class _Codec:
  """A codec, and what is known of it: by picture and setting, a point a curve."""

  codec: Studied
  points: dict[str, dict[int, list[Point]]]
  settings: list[int]
  failures: dict[str, str]

  @property
  def title(self) -> str:
    return self.codec.curves[0].title


class Sweep:
  """The measuring.

  Attributes:
    pictures: those that take part.
    left_out: the others, and why.
    problems: what went wrong with codecs, in sentences.
    curves: what was found, once `measure` has ended.
  """

  def __init__(
    self,
    pictures: Sequence[Picture],
    source: Pictures,
    records: Records,
    say: Say = lambda line: None,
  ):
    """Measures nothing yet.

    Args:
      pictures: to measure on.
      source: of their pixels.
      records: of earlier calls, and of this one.
      say: is given a line where something fails.
    """
    self.pictures = list(pictures)
    self.left_out: list[LeftOut] = []
    self.problems: list[str] = []
    self.curves: list[Measured] = []
    self._source, self._records, self._say = source, records, say
    self._origin = {
      "machine": machine(),
      "metrics": list(METRICS),
      "hardmine": environment(("hardmine",)).get("hardmine"),
    }

  def measure(self, codecs: Sequence[Studied], on_step: Step | None = None) -> None:
    """Fills `curves`, and takes what failed out of `pictures`.

    What whole codecs have given is there even where this ends early.

    Raises:
      OSError: a measurement cannot be kept.
    """
    total = len(self.pictures) * sum(len(one.settings) for one in codecs)
    done, whole = 0, []
    try:
      for codec in codecs:
        state = _Codec(codec, {}, [], {})
        for _ in self._waves(state):
          if on_step:
            on_step(done + len(state.settings) * len(self.pictures), total)
        done += len(codec.settings) * len(self.pictures)
        whole.append(state)
    finally:
      self._settle(whole)
    if on_step:
      on_step(total, total)

  def facts(self, picture: Picture, codec: Studied, what: str) -> dict[str, Any]:
    """What a record of a codec's work on a picture depends on."""
    origin = {**self._origin, "what": what}
    return {**origin, "picture": picture.digest, "codec": codec.facts}

  def _waves(self, state: _Codec) -> Iterator[None]:
    """Measures; yields after each picture that took part in a wave of settings."""
    settings = state.codec.settings
    for start in range(0, len(settings), state.codec.wave):
      wave = settings[start : start + state.codec.wave]
      rates = []
      for picture in self.pictures:
        if picture.name not in state.failures and self._picture(state, picture, wave):
          found = state.points[picture.name][wave[-1]]
          smallest = min(point.num_bytes for point in found)
          rates.append(8 * smallest / picture.num_pixels)
        yield
      state.settings.extend(wave)
      if not rates or np.mean(rates) > HIGHEST_BPP:
        return

  def _picture(self, state: _Codec, picture: Picture, wave: Sequence[int]) -> bool:
    """Whether all points of a wave are there, at last."""
    codec, found = state.codec, state.points.setdefault(picture.name, {})
    facts = {
      setting: {
        **self.facts(picture, codec, "point"),
        "setting": setting,
        **codec.facts_at(setting),
      }
      for setting in wave
    }
    for setting in wave:
      plain = self._records.find(key_of(facts[setting]))
      if plain is not None:
        found[setting] = [Point.of(one) for one in plain]
    missing = [setting for setting in wave if setting not in found]
    if not missing:
      return True
    points = _tried(lambda: iter(codec.points(self._source.pixels(picture), missing)))
    for one in points:
      if isinstance(one, str):
        state.failures[picture.name] = one
        self._say(f"{state.title}: {picture.name}: {one}")
        return False
      setting, measured = one
      found[setting] = measured
      plain = [point.plain() for point in measured]
      name = {"name": picture.name, "title": state.title}
      self._records.keep(key_of(facts[setting]), {**name, **facts[setting]}, plain)
    return True

  def _settle(self, states: Sequence[_Codec]) -> None:
    """Decides who takes part, and makes curves of them."""
    taking_part = []
    for state in states:
      if 2 * len(state.failures) > len(self.pictures):
        name, why = next(iter(state.failures.items()))
        self.problems.append(
          f"{state.title} is left out: it failed on {len(state.failures)} of "
          f"{len(self.pictures)} pictures, such as {name}: {why}"
        )
      else:
        taking_part.append(state)
    for state in taking_part:
      for name, why in state.failures.items():
        if all(one.image != name for one in self.left_out):
          detail = f"{state.title}: {why}"
          self.left_out.append(LeftOut(image=name, reason="failed", detail=detail))
    lost = {one.image for one in self.left_out}
    self.pictures = [one for one in self.pictures if one.name not in lost]
    if self.pictures:
      self.curves = [
        curve for state in taking_part for curve in _curves(state, self.pictures)
      ]


def _tried(points: Callable[[], Iterator[Any]]) -> Iterator[Any]:
  """What an iterator gives; where it fails, why, at its end.

  Encoders raise whatever their library says, and models whatever their runtime does.
  """
  try:
    yield from points()
  except Exception as error:
    yield " ".join(str(error).split()) or type(error).__name__


def _curves(state: _Codec, pictures: Sequence[Picture]) -> Iterator[Measured]:
  for index, curve in enumerate(state.codec.curves):
    rows = [
      [state.points[one.name][setting][index] for setting in state.settings]
      for one in pictures
    ]
    num_pixels = np.array([[one.num_pixels] for one in pictures])
    sizes = _numbers(rows, lambda point: point.num_bytes)
    heads = _numbers(rows, lambda point: point.header_bytes)
    knows_headers = not np.isnan(heads).any()
    yield Measured(
      measurement=Measurement(
        key=curve.key,
        title=curve.title,
        detail=curve.detail,
        points=tuple(state.settings),
        images=tuple(one.name for one in pictures),
        bpp=8 * (sizes - heads if knows_headers else sizes) / num_pixels,
        file_bpp=8 * sizes / num_pixels,
        scores=np.array([[point.scores for point in row] for row in rows]),
      ),
      knows_headers=knows_headers,
      encode_seconds=_numbers(rows, lambda point: point.encode_seconds),
      decode_seconds=_numbers(rows, lambda point: point.decode_seconds),
      is_model=state.codec.is_model,
      setting_is=state.codec.setting_is,
    )


def _numbers(
  rows: Sequence[Sequence[Point]], of: Callable[[Point], float | None]
) -> np.ndarray:
  """float64 [num_images, num_points], NaN for None."""
  return np.array(
    [[np.nan if of(one) is None else of(one) for one in row] for row in rows],
    np.float64,
  )
