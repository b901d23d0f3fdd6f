"""Which test images take part: means compare codecs only where all have the same ones.

An image that one codec cannot write is left out of every curve, and named.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.metrics.ms_ssim import MIN_SIDE_PX

MAX_SIDE_PX = 16_383  # of a WebP

Images = Sequence[tuple[str, np.ndarray]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LeftOut:
  """A test image that takes part in nothing.

  Attributes:
    image: its name.
    reason: a word to count by: `too_small`, `too_long` or `not_encoded`.
    detail: what was expected and what it is.
  """

  image: str
  reason: str
  detail: str

  def __str__(self) -> str:
    return f"left out of all curves: {self.image} ({self.reason}): {self.detail}"


def comparable(images: Images) -> tuple[list[tuple[str, np.ndarray]], list[LeftOut]]:
  """Looks at sizes.

  Args:
    images: names and uint8 [height, width, 3] pixels.

  Returns:
    (those that all codecs and metrics can deal with, the others).
  """
  kept, left_out = [], []
  for name, pixels in images:
    height_px, width_px, _ = pixels.shape
    received = f"Received: {width_px}x{height_px}"
    if min(height_px, width_px) < MIN_SIDE_PX:
      text = f"Expected {MIN_SIDE_PX} pixels a side or more, for MS-SSIM's five scales"
      left_out.append(
        LeftOut(image=name, reason="too_small", detail=f"{text}. {received}")
      )
    elif max(height_px, width_px) > MAX_SIDE_PX:
      text = f"Expected {MAX_SIDE_PX:,} pixels a side at most, WebP's limit"
      left_out.append(
        LeftOut(image=name, reason="too_long", detail=f"{text}. {received}")
      )
    else:
      kept.append((name, pixels))
  return kept, left_out


def require_some(kept: Images, left_out: Sequence[LeftOut]) -> None:
  """Raises ValueError where no image takes part."""
  told = left_out[0].detail if left_out else "there is none"
  require(
    len(kept) > 0,
    f"at least one image that can be measured ({told})",
    left_out=[one.image for one in left_out][:3],
  )
