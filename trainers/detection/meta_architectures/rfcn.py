"""R-FCN: Faster R-CNN whose second stage runs once, over the whole map.

    map ─> rest of the backbone ─> 1x1 convolutions ─> a map a bin, class and code
                                       └─> each proposal's bins, each from its own map

Dai et al., arXiv 1605.06409, as Huang et al. use it (1611.10012, section 2.2 and the
supplement): boxes of a category's own, and anchors, proposals and losses of Faster
R-CNN, whose difference is all that is written here.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from hardmine.trainers.detection.meta_architectures.faster_rcnn import (
  FasterRCNN,
  initializer,
)
from hardmine.trainers.detection.meta_architectures.two_stage_heads import head_of
from hardmine.trainers.detection.meta_architectures.two_stage_layers import (
  PerProposal,
  PositionSensitive,
)


class RFCN(FasterRCNN):
  """A Faster R-CNN that does nothing for a proposal but take a mean of bins."""

  def _look(self, features: Any, boxes: Any, momentum: float) -> dict[str, Any]:
    config, head = self.config, head_of(self.config)
    seen = config.feature_extractor.second_stage(features, config.width, momentum)
    seen = keras.layers.Conv2D(
      config.depth,
      1,
      activation="relu",
      kernel_initializer=initializer(),
      name="reduced_depth",
    )(seen)
    outputs = {}
    for name, shape in self._answers().items():
      maps = keras.layers.Conv2D(
        head.bins**2 * math.prod(shape),
        1,
        kernel_initializer=initializer(),
        name=f"second_stage_{name}",
      )(seen)
      answers = PositionSensitive(head.bins, head.binned_px, name=f"{name}_of_bins")(
        [maps, boxes]
      )
      outputs[name] = PerProposal(shape, name=f"{name}_of_proposals")([answers, boxes])
    return outputs


rfcn = RFCN.to_train
