"""What is measured of one codec: rates and qualities of images at several points."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.serving.pages.conventions import METRICS
from hardmine.trainers.metrics.ms_ssim import MsSsim
from hardmine.trainers.metrics.psnr import psnr
from hardmine.trainers.metrics.psnr_hvs import psnr_hvs
from hardmine.trainers.metrics.rate_distortion import Curve, mean_curve


class Scorer:
  """Scores reconstructions of one photograph by every metric in `METRICS`.

  Args:
    reference: uint8 [height, width, 3].
  """

  def __init__(self, reference: np.ndarray):
    ms_ssim = MsSsim(reference)
    self._metrics: dict[str, Callable[[np.ndarray], float]] = {
      "ms_ssim": ms_ssim.score,
      "psnr_hvs": lambda image: psnr_hvs(reference, image),
      "psnr": lambda image: psnr(reference, image),
    }

  def __call__(self, image: np.ndarray) -> tuple[float, ...]:
    """One score per metric, in the order of `METRICS`."""
    return tuple(self._metrics[name](image) for name in METRICS)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
  """One codec on all test images.

  Attributes:
    key: short name, as in `jpeg_420`.
    title: for people.
    detail: software, version and flags, so that others can repeat it.
    points: what distinguishes the operating points: iterations, or the quality
      settings of a conventional codec.
    images: the names of the test images.
    bpp: float64 [num_images, num_points], bits per true pixel that say something
      about the picture, without headers: the papers' networks have none.
    file_bpp: likewise, of the whole file as it would lie on disk.
    scores: float64 [num_images, num_points, num_metrics], in the order of `METRICS`.
  """

  key: str
  title: str
  detail: str
  points: tuple[int, ...]
  images: tuple[str, ...]
  bpp: np.ndarray
  file_bpp: np.ndarray
  scores: np.ndarray

  def __post_init__(self):
    shape = (len(self.images), len(self.points))
    require(
      min(shape) > 0
      and self.bpp.shape == self.file_bpp.shape == shape
      and self.scores.shape == (*shape, len(METRICS)),
      f"bpp {shape} and scores {(*shape, len(METRICS))}",
      bpp=self.bpp.shape,
      file_bpp=self.file_bpp.shape,
      scores=self.scores.shape,
    )

  def curve(self, metric: str, *, files: bool = False) -> Curve:
    """Mean over the images, point by point, over `bpp` or over `file_bpp`."""
    rates_of = self.file_bpp if files else self.bpp
    column = list(METRICS).index(metric)
    return mean_curve(
      [
        Curve(bpp=tuple(rates.tolist()), value=tuple(scores.tolist()))
        for rates, scores in zip(rates_of, self.scores[..., column])
      ]
    )

  def areas(self) -> dict[str, float | None]:
    """The areas under the mean curves from 0.125 to 2 bits per pixel.

    Returns:
      `<metric>_auc` over rates without headers, `<metric>_auc_files` over those of
      whole files; None where no mean rate lies there.
    """
    curves = {
      f"{metric}_auc{suffix}": self.curve(metric, files=bool(suffix))
      for suffix in ("", "_files")
      for metric in METRICS
    }
    return {name: c.area() if c.reaches() else None for name, c in curves.items()}

  def known_areas(self) -> dict[str, float]:
    """Those of `areas` that there are."""
    return {name: area for name, area in self.areas().items() if area is not None}

  def only(self, images: Collection[str]) -> Measurement:
    """What was measured of these images, in the same order."""
    rows = [row for row, name in enumerate(self.images) if name in images]
    return dataclasses.replace(
      self,
      images=tuple(self.images[row] for row in rows),
      bpp=self.bpp[rows],
      file_bpp=self.file_bpp[rows],
      scores=self.scores[rows],
    )

  def to_plain(self) -> dict[str, Any]:
    """For `metrics.json`: the mean curves, the areas, and every image."""
    return {
      "title": self.title,
      "detail": self.detail,
      "points": list(self.points),
      "bpp": self.bpp.mean(axis=0).tolist(),
      "file_bpp": self.file_bpp.mean(axis=0).tolist(),
      **{metric: list(self.curve(metric).value) for metric in METRICS},
      **self.areas(),
      "images": {
        name: {
          "bpp": self.bpp[row].tolist(),
          "file_bpp": self.file_bpp[row].tolist(),
          **{
            metric: self.scores[row, :, column].tolist()
            for column, metric in enumerate(METRICS)
          },
        }
        for row, name in enumerate(self.images)
      },
    }
