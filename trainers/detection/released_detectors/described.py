"""What a released detector is in our words."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from hardmine.schemas.detector_config import DetectorConfig
from hardmine.trainers.detection.tf1_checkpoints.filling import Change, Place

AnchorOrder = Literal["later", "2017"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Described:
  """A released detector.

  Attributes:
    config: ours.
    num_classes: of its predictors, without the background.
    epsilon: of batch normalisation.
    places: of the layers that are not the backbone's, given our network, the ids of
      our categories among its classes, and the order of anchors in a cell.
    competing: whether the classes share one sum, so that none can be left out.
    left_over: beginnings of the names of variables that its program makes in vain.
  """

  config: DetectorConfig
  num_classes: int
  epsilon: float
  places: Callable[[Any, Sequence[int], AnchorOrder], dict[str, Place]]
  competing: bool = False
  left_over: tuple[str, ...] = ()


def chosen(order: Sequence[int], size: int, columns: Sequence[int]) -> Change:
  """Takes some of a predictor's outputs, which are (group, column).

  What is of another size is left as it is: the report then tells.

  Args:
    order: the group of the checkpoint that each of ours is.
    size: columns of a group.
    columns: of a group, those that we have.
  """

  def change(values: np.ndarray) -> np.ndarray:
    if values.shape[-1] != len(order) * size:
      return values
    whole = values.reshape(*values.shape[:-1], len(order), size)
    whole = whole[..., list(order), :][..., list(columns)]
    return whole.reshape(*values.shape[:-1], -1)

  return change
