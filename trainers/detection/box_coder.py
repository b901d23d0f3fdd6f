"""Boxes as differences from anchors (1611.10012, table 1; 1506.01497, section 3.1.2).

With (y, x) the centre, (h, w) the size and a the anchor:

    ty = 10 (y - ya) / ha     tx = 10 (x - xa) / wa
    th = 5 ln(h / ha)         tw = 5 ln(w / wa)

The factors bring all four to about unit variance; they are the constants of the
authors' released code. The order is y first.
"""

from __future__ import annotations

import math
from typing import Any

from keras import ops

from hardmine.trainers.detection.boxes import from_centers, to_centers

CENTER_FACTOR = 10.0
SIZE_FACTOR = 5.0
# Boxes of no size have no logarithm; 1e-8 is far below a pixel in any unit.
MIN_SIZE = 1e-8
# A decoded side is at most 62.5 anchors long: an untrained network must not
# overflow the exponential. The finest SSD anchor is a tenth of the image.
MAX_LOG_RATIO = math.log(1000 / 16)


def encode(boxes_yxyx: Any, anchors_yxyx: Any) -> Any:
  """Codes of boxes, each relative to its own anchor.

  Args:
    boxes_yxyx: [..., n, 4]; sides below `MIN_SIZE` count as that long.
    anchors_yxyx: [n, 4] or any shape that broadcasts, in the same unit.

  Returns:
    [..., n, 4] as (ty, tx, th, tw).
  """
  y, x, height, width = ops.unstack(to_centers(boxes_yxyx), 4, axis=-1)
  ya, xa, ha, wa = ops.unstack(to_centers(anchors_yxyx), 4, axis=-1)
  height, width, ha, wa = (ops.maximum(v, MIN_SIZE) for v in (height, width, ha, wa))
  return ops.stack(
    [
      CENTER_FACTOR * (y - ya) / ha,
      CENTER_FACTOR * (x - xa) / wa,
      SIZE_FACTOR * ops.log(height / ha),
      SIZE_FACTOR * ops.log(width / wa),
    ],
    axis=-1,
  )


def decode(codes: Any, anchors_yxyx: Any) -> Any:
  """The inverse of `encode` for boxes up to 62.5 times as long as their anchors.

  Args:
    codes: [..., n, 4] as (ty, tx, th, tw); th and tw above
      5 `MAX_LOG_RATIO` = 20.7 count as that.
    anchors_yxyx: [n, 4] or any shape that broadcasts.

  Returns:
    Boxes yxyx, [..., n, 4], in the anchors' unit and not clipped to anything.
  """
  ty, tx, th, tw = ops.unstack(codes, 4, axis=-1)
  ya, xa, ha, wa = ops.unstack(to_centers(anchors_yxyx), 4, axis=-1)
  height, width = (
    ops.exp(ops.minimum(size / SIZE_FACTOR, MAX_LOG_RATIO)) * side
    for size, side in ((th, ha), (tw, wa))
  )
  y, x = ty / CENTER_FACTOR * ha + ya, tx / CENTER_FACTOR * wa + xa
  return from_centers(ops.stack([y, x, height, width], axis=-1))
