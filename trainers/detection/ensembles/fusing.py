"""Several answers about one picture become one: weighted boxes fusion.

Boxes of one category and different answers that overlap enough are of one object
(Solovyev et al., arXiv 1910.13302). Its box is their mean, weighted by score and by the
weight of the answer; its score is the mean of theirs over all answers that could have
found it, so that one that did not counts as 0. The package `ensemble-boxes` gives the
same where each answer has at most one box of an object; it is written anew here since
it brings a compiler (numba), and for three laws:

* an answer gives an object one box at most, so scores stay within [0, 1], and a model
  fused with itself is that model, overlapping boxes of it too;
* the order of answers means nothing, to the last bit;
* an answer about a part of the picture says nothing about objects beyond that part.

Boxes of two categories are never fused, however much they overlap: both stay, as they
stay where one model says both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.ensemble_config import (
  IOU_THRESHOLD,
  require_threshold,
  require_weight,
)

EVERYWHERE = (-np.inf, -np.inf, np.inf, np.inf)
_LEAST = 1e-12  # the weight of a box that scores 0, which has a place all the same


@dataclasses.dataclass(frozen=True, kw_only=True)
class Answer:
  """What was found by one look at a picture; n boxes.

  Attributes:
    boxes_yxyx: [n, 4] ymin, xmin, ymax, xmax, in any unit that the answers share.
    scores: [n] in [0, 1].
    labels: integers [n], which mean the same in all answers.
    weight: beside other answers, above 0.
    whole_yxyx: bounds within which it would have seen an object whole.

  Raises:
    ValueError: unequal lengths, a number that is not finite, a score outside [0, 1], a
      box whose corners are swapped, or a weight that is not above 0.
  """

  boxes_yxyx: np.ndarray
  scores: np.ndarray
  labels: np.ndarray
  weight: float = 1.0
  whole_yxyx: tuple[float, float, float, float] = EVERYWHERE

  def __post_init__(self):
    boxes, scores = self.boxes_yxyx, self.scores
    require(
      boxes.ndim == 2
      and boxes.shape[1] == 4
      and scores.shape == self.labels.shape == boxes.shape[:1],
      "boxes [n, 4], scores [n] and labels [n]",
      boxes=boxes.shape,
      scores=scores.shape,
      labels=self.labels.shape,
    )
    require_weight(self.weight)
    _require_all(np.isfinite(boxes).all(1), "finite boxes", boxes)
    _require_all((scores >= 0) & (scores <= 1), "scores from 0 to 1", scores)
    upright = (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
    _require_all(upright, "boxes as ymin, xmin, ymax, xmax, no corner swapped", boxes)

  def sees(self, boxes_yxyx: np.ndarray) -> np.ndarray:
    """bool [m]: which boxes [m, 4] lie where it sees whole objects."""
    low, high = np.array(self.whole_yxyx[:2]), np.array(self.whole_yxyx[2:])
    return (boxes_yxyx[:, :2] >= low).all(1) & (boxes_yxyx[:, 2:] <= high).all(1)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fused:
  """One answer of several, best first.

  Attributes:
    boxes_yxyx: float64 [n, 4].
    scores: float64 [n] in [0, 1].
    labels: int64 [n].
    num_without_area: boxes that were left out, as they had no area.
    num_cut: boxes that were left out, as their answer saw only a part there.
  """

  boxes_yxyx: np.ndarray
  scores: np.ndarray
  labels: np.ndarray
  num_without_area: int = 0
  num_cut: int = 0


def fuse(answers: Sequence[Answer], iou_threshold: float = IOU_THRESHOLD) -> Fused:
  """Makes one answer of at least one, in any order.

  Args:
    answers: of one picture.
    iou_threshold: boxes of a category that overlap by more are of one object.

  Raises:
    ValueError: there is no answer, or the threshold is not between 0 and 1.
  """
  require(len(answers) > 0, "at least one answer", answers=len(answers))
  require_threshold(iou_threshold)
  answers = sorted(answers, key=_content)
  of_answer = np.repeat(np.arange(len(answers)), [len(one.scores) for one in answers])
  boxes = np.concatenate([one.boxes_yxyx for one in answers]).astype(np.float64)
  scores = np.concatenate([one.scores for one in answers]).astype(np.float64)
  labels = np.concatenate([one.labels for one in answers]).astype(np.int64)
  area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
  whole = np.concatenate([one.sees(one.boxes_yxyx) for one in answers])
  usable = np.flatnonzero(area & whole)
  weights = np.array([one.weight for one in answers], np.float64)
  # The order of equal scores is by place, and never by who said so.
  order = np.lexsort(
    [of_answer[usable], *boxes[usable].T, -(scores * weights[of_answer])[usable]]
  )
  places = usable[order]
  found = [
    _of_label(
      boxes[rows], scores[rows], of_answer[rows], answers, weights, iou_threshold
    )
    for rows in (places[labels[places] == label] for label in np.unique(labels[places]))
  ]
  fused_labels = np.repeat(np.unique(labels[places]), [len(one[1]) for one in found])
  fused_boxes = np.concatenate([np.zeros((0, 4)), *(one[0] for one in found)])
  fused_scores = np.concatenate([np.zeros(0), *(one[1] for one in found)])
  best_first = np.argsort(-fused_scores, kind="stable")
  return Fused(
    boxes_yxyx=fused_boxes[best_first],
    scores=fused_scores[best_first],
    labels=fused_labels[best_first].astype(np.int64),
    num_without_area=int((~area).sum()),
    num_cut=int((area & ~whole).sum()),
  )


def _of_label(
  boxes: np.ndarray,
  scores: np.ndarray,
  of_answer: np.ndarray,
  answers: Sequence[Answer],
  weights: np.ndarray,
  iou_threshold: float,
) -> tuple[np.ndarray, np.ndarray]:
  """Boxes and scores of the objects of one category.

  Args:
    boxes: [n, 4], the surest first.
    scores: [n].
    of_answer: [n], the place of each box's answer.
    answers: all of them.
    weights: theirs.
    iou_threshold: as of `fuse`.
  """
  num = len(boxes)
  means, sums, shares = np.zeros((num, 4)), np.zeros((num, 4)), np.zeros(num)
  has = np.zeros((num, len(answers)), bool)
  totals = np.zeros(num)
  num_objects = 0
  for box, score, answer in zip(boxes, scores, of_answer):
    place = num_objects
    if num_objects:
      overlaps = _iou(box, means[:num_objects])
      overlaps[has[:num_objects, answer]] = 0
      best = int(overlaps.argmax())
      place = best if overlaps[best] > iou_threshold else num_objects
    num_objects += place == num_objects
    share = max(score * weights[answer], _LEAST)
    sums[place] += share * box
    shares[place] += share
    # One box stays what it is to the last bit.
    means[place] = sums[place] / shares[place] if has[place].any() else box
    has[place, answer] = True
    totals[place] += score * weights[answer]
  means, has, totals = means[:num_objects], has[:num_objects], totals[:num_objects]
  asked = has | np.stack([one.sees(means) for one in answers], axis=1)
  return means, np.minimum(totals / (asked @ weights), 1.0)


def _iou(box: np.ndarray, others: np.ndarray) -> np.ndarray:
  """Intersection over union of a box and others [n, 4], all with areas: [n]."""
  sizes = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
  shared = np.maximum(sizes[:, 0], 0) * np.maximum(sizes[:, 1], 0)
  spans = others[:, 2:] - others[:, :2]
  area = (box[2] - box[0]) * (box[3] - box[1])
  return shared / (area + spans[:, 0] * spans[:, 1] - shared)


def _content(answer: Answer) -> tuple:
  """A key that depends on what an answer says alone."""
  columns = (answer.boxes_yxyx, answer.scores, answer.labels)
  return (
    answer.weight,
    answer.whole_yxyx,
    *(np.ascontiguousarray(column).tobytes() for column in columns),
  )


def _require_all(good: np.ndarray, expected: str, values: np.ndarray) -> None:
  if not good.all():
    index = int(np.argmin(good))
    require(False, expected, index=index, value=values[index].tolist())
