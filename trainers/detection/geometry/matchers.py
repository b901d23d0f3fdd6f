"""Which anchor answers for which object (1611.10012, section 2.1 and table 1).

Objects are padded: [batch, G] of them with a mask, G at least 1. A match is the
index of an anchor's object, or one of the two marks below.
"""

from __future__ import annotations

from typing import Any

from keras import ops

BACKGROUND = -1
IGNORED = -2  # of no consequence to the loss


def argmax_matches(
  iou: Any,
  valid: Any,
  matched_iou: float = 0.5,
  unmatched_iou: float | None = None,
  claims: bool = True,
) -> Any:
  """Every anchor takes its best object, and every object has its best anchor.

  An anchor takes the object that it overlaps most (the first of equals) when their
  IoU reaches `matched_iou`. It is background when it overlaps all objects by less than
  `unmatched_iou`, or none at all, and is ignored in between. Then every object claims
  the anchor that overlaps it most (the first of equals), whatever their IoU and
  whatever that anchor took before. Two objects that claim one anchor: the first has
  it, and the second keeps what it matched by threshold. An object that overlaps no
  anchor claims nothing.

  Args:
    iou: [batch, N, G], of anchors (or proposals) and objects.
    valid: bool [batch, G], false for padding.
    matched_iou: in (0, 1].
    unmatched_iou: up to `matched_iou`; None is as much, and nothing is ignored.
    claims: whether objects claim their best anchors. Proposals are not claimed.

  Returns:
    int32 [batch, N].
  """
  valid = ops.expand_dims(ops.cast(valid, "bool"), 1)
  iou = ops.where(valid, iou, 0)
  own = ops.cast(ops.argmax(iou, axis=2), "int32")
  best = ops.max(iou, axis=2)
  matches = ops.where(best >= matched_iou, own, BACKGROUND)
  if unmatched_iou is not None:
    between = ops.logical_and(best < matched_iou, best >= unmatched_iou)
    between = ops.logical_and(between, best > 0)
    matches = ops.where(between, IGNORED, matches)
  if not claims:
    return matches

  num_anchors, num_objects = ops.shape(iou)[1:]
  anchors = ops.reshape(ops.arange(num_anchors, dtype="int32"), (1, -1, 1))
  objects = ops.reshape(ops.arange(num_objects, dtype="int32"), (1, 1, -1))
  best_anchor = ops.cast(ops.argmax(iou, axis=1, keepdims=True), "int32")
  touches = ops.max(iou, axis=1, keepdims=True) > 0
  claimed = ops.logical_and(best_anchor == anchors, touches)
  first = ops.min(ops.where(claimed, objects, num_objects), axis=2)
  return ops.where(first < num_objects, first, matches)


def bipartite_matches(iou: Any, valid: Any) -> Any:
  """One anchor for every object, the best pairs first.

  Greedy: the pair of the highest IoU is matched and leaves, then the highest of the
  rest, and so on (of equals the first anchor, then the first object). Pairs that
  share nothing are never matched, and an object without another is left out.

  Args:
    iou: [batch, N, G], of anchors and objects.
    valid: bool [batch, G], false for padding.

  Returns:
    int32 [batch, N].
  """
  valid = ops.expand_dims(ops.cast(valid, "bool"), 1)
  iou = ops.where(valid, iou, 0)
  num_anchors, num_objects = ops.shape(iou)[1:]
  anchors = ops.expand_dims(ops.arange(num_anchors, dtype="int32"), 0)
  objects = ops.expand_dims(ops.arange(num_objects, dtype="int32"), 0)

  # Two that are each other's best leave together whatever the others do, so a round
  # takes all such pairs at once; the overall best is always one of them. A few
  # rounds then do what one pair at a time would in G.
  def take_pairs(iou: Any, matches: Any) -> tuple[Any, Any]:
    own = ops.cast(ops.argmax(iou, axis=2), "int32")  # [batch, N]
    best_anchor = ops.cast(ops.argmax(iou, axis=1), "int32")  # [batch, G]
    paired = ops.take_along_axis(best_anchor, own, axis=1) == anchors
    paired = ops.logical_and(paired, ops.max(iou, axis=2) > 0)
    placed = ops.take_along_axis(own, best_anchor, axis=1) == objects
    gone = ops.logical_or(ops.expand_dims(paired, 2), ops.expand_dims(placed, 1))
    return ops.where(gone, 0, iou), ops.where(paired, own, matches)

  matches = ops.full_like(iou[:, :, 0], BACKGROUND, dtype="int32")
  _, matches = ops.while_loop(
    lambda iou, matches: ops.any(iou > 0), take_pairs, (iou, matches)
  )
  return matches


def center_matches(iou: Any, valid: Any, is_central: Any) -> Any:
  """Every object has one anchor, of the cell where its centre lies.

  As YOLO does it (1506.02640, section 2; "box center" in table 1 of 1611.10012), with
  what that leaves open decided so: of all anchors of that cell, and of the cells of
  all maps where there are several, the one that overlaps the object most has it (the
  first of equals), whatever their IoU. Of two objects that want one anchor, the one
  that it overlaps more has it (the first of equals), and the other has none. All
  other anchors are background. An object whose centre is in no cell has none.

  Args:
    iou: [batch, N, G], of anchors and objects.
    valid: bool [batch, G], false for padding.
    is_central: bool [batch, N, G], whether an object's centre is in an anchor's cell
      (`anchors.ssd_cells`, `boxes.contains_center`).

  Returns:
    int32 [batch, N].
  """
  valid = ops.expand_dims(ops.cast(valid, "bool"), 1)
  apart = -1.0  # no overlap is as small
  iou = ops.where(valid & is_central, iou, apart)
  anchors = ops.reshape(ops.arange(ops.shape(iou)[1], dtype="int32"), (1, -1, 1))
  best_anchor = ops.cast(ops.argmax(iou, axis=1, keepdims=True), "int32")
  wanted = ops.where(best_anchor == anchors, iou, apart)
  own = ops.cast(ops.argmax(wanted, axis=2), "int32")
  return ops.where(ops.max(wanted, axis=2) > apart, own, BACKGROUND)
