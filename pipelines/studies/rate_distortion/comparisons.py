"""Parts of pictures as files of equal size show them, to be looked at side by side."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from hardmine.components.codec_evaluator.figures import middle
from hardmine.pipelines.studies.rate_distortion.height_picture import (
  MOST_DRAWN,
  drawn,
)
from hardmine.pipelines.studies.rate_distortion.pictures import Picture, Pictures
from hardmine.pipelines.studies.rate_distortion.studied import File, Studied
from hardmine.pipelines.studies.rate_distortion.sweep import Say, Step, Sweep
from hardmine.pipelines.studies.records import Records, key_of
from hardmine.serving.pages.pictures import jpeg_uri, webp_uri
from hardmine.trainers.metrics.ms_ssim import ms_ssim

RATES_BPP = (0.125, 0.25, 0.5, 1.0)
CROP_PX = (384, 512)  # height, width: true pixels tell more than a shrunk photograph
SAME_SIZE = 0.1  # a file that differs by more than this share is told to


@dataclasses.dataclass(frozen=True, kw_only=True)
class View:
  """What one codec's file shows.

  Attributes:
    title: of the codec.
    setting: in words.
    num_bytes: of the file.
    bpp: likewise, in bits per pixel of the whole picture.
    ms_ssim: of the whole picture.
    is_as_large: whether it is as large as those that it stands beside, about.
    uri: the part that is shown.
    map_uri: where its bits went, of the whole picture; empty where the file tells no
      heights.
    mean_iterations: of its positions, where it does.
  """

  title: str
  setting: str
  num_bytes: int
  bpp: float
  ms_ssim: float
  is_as_large: bool
  uri: str
  map_uri: str = ""
  mean_iterations: float | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Comparison:
  """A picture at several rates.

  Attributes:
    name: of the picture.
    height_px: of it.
    width_px: likewise.
    shown_px: height and width of the part that is shown.
    original: that part.
    views: by rate, those of all codecs that could make one.
  """

  name: str
  height_px: int
  width_px: int
  shown_px: tuple[int, int]
  original: str
  views: dict[float, tuple[View, ...]]


class Comparing:
  """Makes comparisons, and keeps what each codec makes of a picture at once.

  Attributes:
    problems: what failed, in sentences.
  """

  def __init__(self, sweep: Sweep, source: Pictures, records: Records, say: Say):
    self.problems: list[str] = []
    self._sweep, self._source = sweep, source
    self._records, self._say = records, say

  def of(
    self,
    pictures: Sequence[Picture],
    codecs: Sequence[Studied],
    on_step: Step | None = None,
  ) -> list[Comparison]:
    """One a picture.

    Where there is a model, the first one's file that is closest to a rate says how
    large those of the others are to be.

    Args:
      pictures: to show.
      codecs: models first; those without `shown` are left out.
      on_step: is given (done, total).

    Raises:
      OSError: a picture cannot be kept.
    """
    codecs = [one for one in codecs if one.shown is not None]
    total, done, found = len(pictures) * len(RATES_BPP) * len(codecs), 0, []
    for picture in pictures:
      views = {}
      for bpp in RATES_BPP:
        num_bytes = max(1, round(bpp * picture.num_pixels / 8))
        of_rate = []
        for codec in codecs:
          if on_step:
            on_step(done, total)
          done += 1
          view = self._view(picture, codec, num_bytes)
          if view is None:
            continue
          if codec.is_model and not of_rate:
            num_bytes = view["num_bytes"]
          of_rate.append(_view(codec, view, num_bytes, picture.num_pixels))
        views[bpp] = tuple(of_rate)
      found.append(_comparison(picture, self._source.pixels(picture), views))
    if on_step:
      on_step(total, total)
    return found

  def _view(
    self, picture: Picture, codec: Studied, num_bytes: int
  ) -> dict[str, Any] | None:
    assert codec.shown is not None
    facts = {
      **self._sweep.facts(picture, codec, "view"),
      "curve": codec.shown.key if not codec.is_model else None,
      "num_bytes": num_bytes,
      "settings": [codec.settings[0], codec.settings[-1]] if codec.is_model else None,
      "crop_px": list(CROP_PX),
    }
    found = self._records.find(key_of(facts))
    if found is not None:
      return found
    try:
      pixels = self._source.pixels(picture)
      found = _plain(pixels, codec.nearest(pixels, num_bytes))
    except Exception as error:  # see `sweep`
      why = " ".join(str(error).split()) or type(error).__name__
      line = f"{codec.shown.title} cannot be shown: {picture.name}: {why}"
      self.problems.append(line)
      self._say(line)
      return None
    self._records.keep(key_of(facts), {"name": picture.name, **facts}, found)
    return found


def _plain(pixels: np.ndarray, file: File) -> dict[str, Any]:
  stream, heights = file.stream, {}
  if stream is not None and stream.heights is not None:
    heights = {
      "map_uri": jpeg_uri(drawn(pixels, stream, MOST_DRAWN)),
      "mean_iterations": float(stream.heights.mean()),
    }
  return {
    **heights,
    "setting": file.setting,
    "num_bytes": file.num_bytes,
    "ms_ssim": ms_ssim(pixels, file.pixels),
    "uri": webp_uri(middle(file.pixels, *CROP_PX)),
  }


def _view(
  codec: Studied, found: dict[str, Any], num_bytes: int, num_pixels: int
) -> View:
  assert codec.shown is not None
  setting, is_model = found["setting"], codec.is_model
  noun = codec.setting_is.removesuffix("s") if setting == 1 else codec.setting_is
  return View(
    title=codec.shown.title,
    setting=f"{setting} {noun}" if is_model else f"{noun} {setting}",
    num_bytes=found["num_bytes"],
    bpp=8 * found["num_bytes"] / num_pixels,
    ms_ssim=found["ms_ssim"],
    is_as_large=abs(found["num_bytes"] / num_bytes - 1) <= SAME_SIZE,
    uri=found["uri"],
    map_uri=found.get("map_uri", ""),
    mean_iterations=found.get("mean_iterations"),
  )


def _comparison(
  picture: Picture, pixels: np.ndarray, views: dict[float, tuple[View, ...]]
) -> Comparison:
  part = middle(pixels, *CROP_PX)
  height_px, width_px, _ = pixels.shape
  return Comparison(
    name=picture.name,
    height_px=height_px,
    width_px=width_px,
    shown_px=(part.shape[0], part.shape[1]),
    original=webp_uri(part),
    views={bpp: of_rate for bpp, of_rate in views.items() if of_rate},
  )
