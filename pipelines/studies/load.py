"""What suppression is given when it is timed: the same for every detector.

Weights that were not trained give scores that no picture gives, and the time of
suppression depends on them. So it is timed on a made-up picture: twelve objects, three
in ten of the boxes on one of them, the others anywhere; of all scores one in a hundred
is above the threshold of 0.01 by chance, and boxes on an object score well in its
category. Equal for equal numbers of boxes and categories.
"""

from __future__ import annotations

import numpy as np

NUM_OBJECTS = 12
SHARE_ON_OBJECTS = 0.3
SHARE_ABOVE = 0.01  # of the other scores, above `THRESHOLD`
THRESHOLD = 0.01


def candidates(
  num_boxes: int, num_categories: int, *, own_boxes: bool = False
) -> tuple[np.ndarray, np.ndarray]:
  """Boxes and scores of the made-up picture.

  Args:
    num_boxes: N.
    num_categories: C.
    own_boxes: a box a category, as detectors of two stages have.

  Returns:
    boxes_yxyx_norm float32 [N, 4] or [N, C, 4], scores float32 [N, C] in [0, 1].
  """
  rng = np.random.default_rng(0)
  objects = _boxes(rng, NUM_OBJECTS)
  categories = rng.integers(0, num_categories, NUM_OBJECTS)
  boxes = _boxes(rng, num_boxes)
  scores = THRESHOLD * np.sqrt(SHARE_ABOVE / rng.random((num_boxes, num_categories)))
  scores = np.minimum(scores, 0.3)
  on_object = np.flatnonzero(rng.random(num_boxes) < SHARE_ON_OBJECTS)
  which = rng.integers(0, NUM_OBJECTS, len(on_object))
  sides = objects[which, 2:] - objects[which, :2]
  apart = rng.normal(0, 0.12, (len(on_object), 4)) * np.tile(sides, 2)
  boxes[on_object] = objects[which] + apart
  miss = np.abs(apart / np.tile(sides, 2)).mean(axis=1)
  scores[on_object, categories[which]] = np.exp(-8 * miss) * rng.uniform(
    0.5, 1, len(on_object)
  )
  if own_boxes:
    boxes = np.repeat(boxes[:, np.newaxis], num_categories, axis=1)
  return boxes.astype(np.float32), scores.astype(np.float32)


def _boxes(rng: np.random.Generator, num: int) -> np.ndarray:
  """Boxes anywhere, of sides from a twentieth to three fifths of the picture."""
  sides = np.exp(rng.uniform(np.log(0.05), np.log(0.6), (num, 2)))
  corners = rng.random((num, 2)) * (1 - sides)
  return np.concatenate([corners, corners + sides], axis=1)
