"""Views of a picture (the whole, parts of it, mirrored), and the way back from each.

Whatever a detector finds in a view is told in the pixels of the whole picture. A part
shows some objects cut: a box that ends at a border inside the picture is no box of the
object and is left out, and that part counts for none who may have seen the object.
Neighbouring parts share half of their sides, so that what is no larger than half a
part is whole in one of them; what is larger, the whole picture shows.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import Views
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.detection.ensembles.fusing import EVERYWHERE

# How near to an inner border a box ends that is cut by it, as a share of the part.
_CUT_SHARE = 0.02


@dataclasses.dataclass(frozen=True)
class View:
  """A part of a picture, as a detector sees it.

  Attributes:
    window_yxyx_px: ymin, xmin, ymax, xmax of the part, in the picture's pixels.
    size_px: height and width of the picture.
    flipped: mirrored left to right.
  """

  window_yxyx_px: tuple[int, int, int, int]
  size_px: tuple[int, int]
  flipped: bool = False

  def cut(self, image: np.ndarray) -> np.ndarray:
    """Its pixels, [rows, columns, 3] of [height, width, 3].

    Raises:
      ValueError: the picture is of another size.
    """
    require(
      image.shape[:2] == self.size_px,
      "the picture that the view is of",
      shape=image.shape,
      size_px=self.size_px,
    )
    top, left, bottom, right = self.window_yxyx_px
    part = image[top:bottom, left:right]
    return np.ascontiguousarray(part[:, ::-1]) if self.flipped else part

  @property
  def whole_yxyx_px(self) -> tuple[float, float, float, float]:
    """Within these bounds an object is seen whole: beyond any border of the picture,
    and not quite to a border inside it."""
    top, left, bottom, right = self.window_yxyx_px
    height, width = self.size_px
    down = max(1.0, _CUT_SHARE * (bottom - top))
    across = max(1.0, _CUT_SHARE * (right - left))
    return (
      top + down if top > 0 else EVERYWHERE[0],
      left + across if left > 0 else EVERYWHERE[1],
      bottom - down if bottom < height else EVERYWHERE[2],
      right - across if right < width else EVERYWHERE[3],
    )

  def back(self, found: Detections) -> Detections:
    """What was found in the view, with boxes in pixels of the whole picture."""
    top, left, _, right = self.window_yxyx_px
    boxes = found.boxes_yxyx_px.astype(np.float64)
    if self.flipped:
      width = right - left
      boxes = np.stack(
        [boxes[:, 0], width - boxes[:, 3], boxes[:, 2], width - boxes[:, 1]], axis=1
      )
    boxes = boxes + np.array([top, left, top, left], np.float64)
    return dataclasses.replace(found, boxes_yxyx_px=boxes)


def views_of(height_px: int, width_px: int, views: Views) -> list[View]:
  """All views of a picture, the whole one first."""
  require(
    height_px > 0 and width_px > 0,
    "a picture with pixels",
    size=f"{width_px}x{height_px}",
  )
  windows = [(0, 0, height_px, width_px)]
  if views.crops > 1:
    rows, columns = (_spans(size, views.crops) for size in (height_px, width_px))
    windows += [
      (top, left, bottom, right)
      for (top, bottom), (left, right) in itertools.product(rows, columns)
    ]
  size = (height_px, width_px)
  mirrored = (False, True) if views.flip else (False,)
  return [View(window, size, flipped) for flipped in mirrored for window in windows]


def _spans(size: int, num: int) -> list[tuple[int, int]]:
  """Starts and ends of parts that share half of their sides and cover all."""
  length = min(size, math.ceil(2 * size / (num + 1)))
  starts = [round(index * (size - length) / (num - 1)) for index in range(num)]
  return [(start, start + length) for start in starts]
