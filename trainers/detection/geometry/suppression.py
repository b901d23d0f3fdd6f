"""From overlapping predictions to detections, without TensorFlow.

The rules of `nms`, and from the same numbers the same answers to the last bit: among
equal scores the order is box, then category.

The best few hundred candidates of all categories are settled together; what they
suppress falls away everywhere; where too few were kept, the best of the rest follow.
Most images end with the first look, at 256 of up to 150,000 candidates. Where many were
kept of a great many, as among the boxes that become proposals, the rest is compared
with them only as its turn comes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from hardmine.schemas.detector_config import PostprocessingConfig

MIN_AREA = 1e-12  # as a share of the image; `nms` drops smaller boxes too
_FIRST_LOOK, _LAST_LOOK = 256, 1024
_PAIRS_AT_ONCE = 2**19  # of boxes kept and others, that are compared ahead of time
_NONE = np.float32(-1)  # the score of what is no candidate


class Found(NamedTuple):
  """What an image shows, best first.

  Attributes:
    boxes_yxyx_norm: float32 [n, 4] in [0, 1].
    scores: float32 [n].
    labels: int32 [n], from 1.
  """

  boxes_yxyx_norm: np.ndarray
  scores: np.ndarray
  labels: np.ndarray


def detections(
  boxes_yxyx_norm: np.ndarray, scores: np.ndarray, config: PostprocessingConfig
) -> Found:
  """What one image shows, by the rules of `nms.detections`.

  Args:
    boxes_yxyx_norm: float32 [N, 4] where all categories share them, [N, C, 4] where
      each has its own.
    scores: float32 [N, C] in [0, 1], without the background.
    config: thresholds and limits.
  """
  boxes, (num_boxes, num_categories) = boxes_yxyx_norm, scores.shape
  with np.errstate(invalid="ignore", over="ignore"):  # boxes that are dropped
    visible = _visible(boxes)
    if boxes.ndim == 2:
      visible = visible[:, np.newaxis]
    counts = (scores > np.float32(config.score_threshold)) & visible
    scores = np.where(counts, scores, _NONE)
    if config.class_agnostic:
      best = scores.argmax(axis=1)
      boxes = _chosen(boxes, np.arange(num_boxes), best)
      surest = scores[np.arange(num_boxes), best][:, np.newaxis]
      kept = _suppress(boxes, surest, config, config.max_detections)
      categories = best[kept]
    else:
      places = _suppress(boxes, scores.copy(), config, config.max_per_class)
      kept, categories = np.divmod(places, num_categories)
  found = _chosen(boxes, kept, categories)
  return Found(
    boxes_yxyx_norm=np.clip(found, np.float32(0), np.float32(1)),
    scores=scores[kept, categories],
    labels=(categories + 1).astype(np.int32),
  )


def _chosen(boxes: np.ndarray, of_box: Any, of_category: Any) -> np.ndarray:
  """Boxes of [N, 4] or [N, C, 4] by their numbers and categories: [..., 4]."""
  return boxes[of_box] if boxes.ndim == 2 else boxes[of_box, of_category]


def _visible(boxes: np.ndarray) -> np.ndarray:
  """Which of [..., 4] have finite coordinates, and an area inside the image: [...]."""
  inside = np.clip(boxes, np.float32(0), np.float32(1))
  upright = (boxes[..., 2] > boxes[..., 0]) & (boxes[..., 3] > boxes[..., 1])
  visible = upright & (_area(inside) >= np.float32(MIN_AREA))
  return visible & np.isfinite(boxes).all(axis=-1)


def _suppress(
  boxes: np.ndarray,
  scores: np.ndarray,
  config: PostprocessingConfig,
  max_per_category: int,
) -> np.ndarray:
  """Places of what stays, best first; a place is box * C + category.

  Args:
    boxes: [N, 4] or [N, C, 4].
    scores: [N, C], `_NONE` where a box is no candidate; used up.
    config: gives the threshold and how many are wanted in all.
    max_per_category: how many are wanted of one.
  """
  num_categories = scores.shape[1]
  room = np.full(num_categories, max_per_category)
  # what was kept, and those of it with which not all others have been compared
  found, pending = [np.zeros(0, np.intp)], np.zeros(0, np.intp)
  wanted, look = config.max_detections, _FIRST_LOOK
  best_of_box = scores.max(axis=1)
  while wanted and best_of_box.max(initial=_NONE) > _NONE:
    places = _best(scores, best_of_box, look)
    scores.ravel()[places] = _NONE
    if len(pending):
      places = places[~_rivals(boxes, places, pending, num_categories, config).any(1)]
    rivals = _rivals(boxes, places, places, num_categories, config)
    of_category = places % num_categories
    kept = places[_greedy(rivals, of_category, room, wanted)]
    found.append(kept)
    wanted -= len(kept)
    scores[:, room == 0] = _NONE
    best_of_box = scores.max(axis=1)
    rest = np.flatnonzero(best_of_box > _NONE)
    if len(kept) * len(rest) > _PAIRS_AT_ONCE:
      pending = np.concatenate([pending, kept])
    elif wanted and len(rest):
      _drop_rivals(boxes, scores, kept, rest, config)
      best_of_box = scores.max(axis=1)
    look = min(2 * look, _LAST_LOOK)
  return np.concatenate(found)


def _rivals(
  boxes: np.ndarray,
  first: np.ndarray,
  second: np.ndarray,
  num_categories: int,
  config: PostprocessingConfig,
) -> np.ndarray:
  """bool [n, m]: which pairs of places are of a category and overlap too much."""
  of_box, of_category = np.divmod(first, num_categories)
  others, of_others = np.divmod(second, num_categories)
  rivals = of_category[:, np.newaxis] == of_others
  rivals &= _overlap(
    _chosen(boxes, of_box, of_category), _chosen(boxes, others, of_others), config
  )
  return rivals


def _drop_rivals(
  boxes: np.ndarray,
  scores: np.ndarray,
  kept: np.ndarray,
  rest: np.ndarray,
  config: PostprocessingConfig,
) -> None:
  """Makes no candidates of what kept places [k] suppress among boxes [r]."""
  of_box, categories = np.divmod(kept, scores.shape[1])
  # of own boxes [k, r, 4]: of every other those of the category that was kept
  others = boxes[rest] if boxes.ndim == 2 else boxes[rest, categories[:, np.newaxis]]
  overlap = _overlap(_chosen(boxes, of_box, categories), others, config)
  for rivals, category in zip(overlap, categories):
    scores[rest[rivals], category] = _NONE


def _best(scores: np.ndarray, best_of_box: np.ndarray, num: int) -> np.ndarray:
  """Places of the best so many candidates, best first; the first ones of equals."""
  # Of more than so many boxes, so many reach this at least: the best are among those
  # that do, who are few.
  least = np.partition(best_of_box, -num)[-num] if len(best_of_box) > num else _NONE
  scores = scores.ravel()
  places = np.flatnonzero(scores >= least if least > _NONE else scores > _NONE)
  values = scores[places]
  if len(places) > num:
    least = np.partition(values, -num)[-num]
    above, equal = np.flatnonzero(values > least), np.flatnonzero(values == least)
    chosen = np.sort(np.concatenate([above, equal[: num - len(above)]]))
    places, values = places[chosen], values[chosen]
  return places[np.argsort(-values, kind="stable")]


def _overlap(
  first: np.ndarray, second: np.ndarray, config: PostprocessingConfig
) -> np.ndarray:
  """bool [n, m]: which pairs overlap by more than is allowed.

  Of [n, 4] and [m, 4]; or of [n, 4] and [n, m, 4], which gives each its own others.
  In the order of operations of TensorFlow's kernels, so that both round alike.
  """
  ymin, xmin, ymax, xmax = (edge[:, np.newaxis] for edge in first.T)
  heights = np.minimum(ymax, second[..., 2]) - np.maximum(ymin, second[..., 0])
  widths = np.minimum(xmax, second[..., 3]) - np.maximum(xmin, second[..., 1])
  shared = np.maximum(heights, np.float32(0)) * np.maximum(widths, np.float32(0))
  either = (ymax - ymin) * (xmax - xmin) + _area(second) - shared
  return shared / either > np.float32(config.iou_threshold)


def _area(boxes: np.ndarray) -> np.ndarray:
  return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def _greedy(
  rivals: np.ndarray, categories: np.ndarray, room: np.ndarray, wanted: int
) -> list[int]:
  """Which of n candidates stay: each one that no better one that stays rivals.

  Args:
    rivals: bool [n, n], best first.
    categories: [n].
    room: [C], how many more of a category may stay; counted down.
    wanted: how many more may stay in all.
  """
  # Sets of candidates as the bits of one number: Python's fastest.
  suppressed_by = _bits(rivals)
  alive, kept = (1 << len(rivals)) - 1, []
  while alive and len(kept) < wanted:
    lowest = alive & -alive
    index = lowest.bit_length() - 1
    kept.append(index)
    alive &= ~(suppressed_by[index] | lowest)
    category = categories[index]
    room[category] -= 1
    if not room[category]:
      (others,) = _bits(categories[np.newaxis] == category)
      alive &= ~others
  return kept


def _bits(rows: np.ndarray) -> list[int]:
  """Each row of bool [n, m] as a number whose bit k is its k-th value."""
  packed = np.packbits(rows, axis=1, bitorder="little")
  return [int.from_bytes(row.tobytes(), "little") for row in packed]
