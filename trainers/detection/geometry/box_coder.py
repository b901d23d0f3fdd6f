"""Boxes as differences from anchors, in the codings that detectors have used.

With (y, x) the centre, (h, w) the size, (ymin, xmin, ymax, xmax) the corners and a the
anchor:

    log      ty = 10 (y - ya) / ha               tx = 10 (x - xa) / wa
             th = 5 ln(h / ha)                   tw = 5 ln(w / wa)
    sqrt     ty, tx as above
             th = 10 (sqrt(h / ha) - 1)          tw = 10 (sqrt(w / wa) - 1)
    corners  10 (ymin - ymina) / ha              10 (xmin - xmina) / wa
             10 (ymax - ymaxa) / ha              10 (xmax - xmaxa) / wa

`log` is that of SSD, Faster R-CNN and R-FCN (1506.01497, section 3.1.2; 1611.10012,
section 2.2). The survey of the latter (table 1) also names the corners themselves, of
Multibox (1312.2249), and the centre with the square roots of the sizes, of YOLO
(1506.02640). Those two told boxes from the image; here they are told from anchors too,
so that a code means the same wherever the anchor is and however large.

The factors bring all codes to about unit variance: those of `log` are the constants of
the released code of 1611.10012, and the others have its slopes where a box is its
anchor. The order is y first.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from keras import ops

from hardmine.schemas.config import require
from hardmine.trainers.detection.geometry.boxes import from_centers, to_centers

Coding = Literal["log", "corners", "sqrt"]

CENTER_FACTOR = 10.0
SIZE_FACTOR = 5.0
# Boxes of no size have no logarithm; 1e-8 is far below a pixel in any unit.
MIN_SIZE = 1e-8
# A decoded side is at most 62.5 anchors long: an untrained network must not
# overflow the exponential. The finest SSD anchor is a tenth of the image.
MAX_LOG_RATIO = math.log(1000 / 16)
MAX_ROOT = math.sqrt(1000 / 16)
# Codes beyond are that far out in no image; they would overflow areas.
MAX_OFFSET = 1e4


def encode(boxes_yxyx: Any, anchors_yxyx: Any, coding: Coding = "log") -> Any:
  """Codes of boxes, each relative to its own anchor.

  Args:
    boxes_yxyx: [..., n, 4]; sides below `MIN_SIZE` count as that long.
    anchors_yxyx: [n, 4] or any shape that broadcasts, in the same unit.
    coding: one of the module's table.

  Returns:
    [..., n, 4], in the order of the module's table.
  """
  _require_known(coding)
  ya, xa, ha, wa = ops.unstack(to_centers(anchors_yxyx), 4, axis=-1)
  ha, wa = (ops.maximum(side, MIN_SIZE) for side in (ha, wa))
  if coding == "corners":
    sides = ops.stack([ha, wa, ha, wa], axis=-1)
    return CENTER_FACTOR * (boxes_yxyx - anchors_yxyx) / sides
  y, x, height, width = ops.unstack(to_centers(boxes_yxyx), 4, axis=-1)
  height, width = (ops.maximum(side, MIN_SIZE) for side in (height, width))
  return ops.stack(
    [
      CENTER_FACTOR * (y - ya) / ha,
      CENTER_FACTOR * (x - xa) / wa,
      _size_code(height / ha, coding),
      _size_code(width / wa, coding),
    ],
    axis=-1,
  )


def decode(codes: Any, anchors_yxyx: Any, coding: Coding = "log") -> Any:
  """The inverse of `encode` for boxes up to 62.5 times as long as their anchors.

  Finite codes give finite boxes. Sizes above 62.5 anchors count as that, in `corners`
  offsets above a thousand anchors. Of `sqrt` a negative root is squared like others;
  boxes of `corners` may be inverted, and have no area then.

  Args:
    codes: [..., n, 4], in the order of the module's table.
    anchors_yxyx: [n, 4] or any shape that broadcasts.
    coding: one of the module's table.

  Returns:
    Boxes yxyx, [..., n, 4], in the anchors' unit and not clipped to anything.
  """
  _require_known(coding)
  ya, xa, ha, wa = ops.unstack(to_centers(anchors_yxyx), 4, axis=-1)
  if coding == "corners":
    sides = ops.stack([ha, wa, ha, wa], axis=-1)
    codes = ops.clip(codes, -MAX_OFFSET, MAX_OFFSET)
    return codes / CENTER_FACTOR * sides + anchors_yxyx
  ty, tx, th, tw = ops.unstack(codes, 4, axis=-1)
  height, width = _ratio(th, coding) * ha, _ratio(tw, coding) * wa
  y, x = ty / CENTER_FACTOR * ha + ya, tx / CENTER_FACTOR * wa + xa
  return from_centers(ops.stack([y, x, height, width], axis=-1))


def _size_code(ratio: Any, coding: Coding) -> Any:
  """The code of a side, given as a multiple of the anchor's."""
  if coding == "log":
    return SIZE_FACTOR * ops.log(ratio)
  return 2 * SIZE_FACTOR * (ops.sqrt(ratio) - 1)


def _ratio(code: Any, coding: Coding) -> Any:
  """The inverse of `_size_code`, up to 62.5."""
  if coding == "log":
    return ops.exp(ops.minimum(code / SIZE_FACTOR, MAX_LOG_RATIO))
  return ops.square(ops.clip(code / (2 * SIZE_FACTOR) + 1, -MAX_ROOT, MAX_ROOT))


def _require_known(coding: str) -> None:
  require(coding in ("log", "corners", "sqrt"), "log, corners or sqrt", coding=coding)
