"""Faster R-CNN: proposals of objects, then a look at each of them.

    image ─> first part of a backbone ─> map ─> anchors: objectness, boxes ─> proposals
                                          └─> a crop a proposal ─> rest of the backbone
                                                            ─> classes, a box a class

Ren et al., arXiv 1506.01497, as Huang et al. use it (1611.10012, section 2.2 and the
supplement): both stages are trained together, nothing is learned through the place of
a crop, and images keep their proportions. In training anchors that cross the image's
border do not count and give no proposals; otherwise their boxes are clipped.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
from keras import ops

from hardmine.schemas.detector_config import FasterRCNNConfig, Resizer
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.geometry import box_coder
from hardmine.trainers.detection.geometry.boxes import clip
from hardmine.trainers.detection.geometry.grid_anchors import (
  grid_anchors,
  inside,
  sides_px,
)
from hardmine.trainers.detection.inputs import resizing
from hardmine.trainers.detection.meta_architectures import proposals
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.meta_architectures.two_stage_heads import head_of
from hardmine.trainers.detection.meta_architectures.two_stage_layers import (
  Crops,
  PerProposal,
)
from hardmine.trainers.detection.training.hard_examples import worst_distinct
from hardmine.trainers.detection.training.sampling import gathered, sample
from hardmine.trainers.detection.training.targets import Targets
from hardmine.trainers.detection.training.two_stage_losses import (
  image_mean,
  proposal_losses,
  region_losses,
)
from hardmine.trainers.detection.training.two_stage_targets import (
  anchor_targets,
  proposal_targets,
)
from hardmine.trainers.replicas import own_rows

WHOLE_IMAGE = (0.0, 0.0, 1.0, 1.0)
ROUNDING = 1e-6  # of a picture's side: an anchor at its border does not cross it


class FasterRCNN(MetaArchitecture, keras.Model):
  """Maps float32 [b, h, w, 3] pixels in [0, 255] to what the first stage says.

  Images may be of any size. The outputs are `features`, [b, r, c, d],
  `objectness_logits`, [b, N, 2] with the background first, `box_codes`, [b, N, 4], and
  `anchors_yxyx_norm`, [1, N, 4]; N anchors in the order of `grid_anchors`.

  Attributes:
    config: the network.
    num_categories: C.
    first_stage: the model from pixels to all outputs but the anchors.
    second_stage: the model from `features` and `boxes_yxyx_norm` [b, P, 4] to
      `class_logits`, [b, P, C + 1], and `box_codes`, [b, P, C, 4].
  """

  PARTS: ClassVar[tuple[str, ...]] = (
    "objectness",
    "proposal_localization",
    "classification",
    "localization",
  )

  def __init__(
    self,
    config: FasterRCNNConfig,
    num_categories: int,
    training: DetectorTrainingConfig | None = None,
    **kwargs: Any,
  ):
    super().__init__(config, num_categories, training, **kwargs)
    momentum = training.batch_norm_momentum if training else 0.9997
    self.first_stage = _first_stage(config, momentum)
    outputs: Any = self.first_stage.output
    features = keras.Input(outputs["features"].shape[1:], name="features")
    boxes = keras.Input((None, 4), name="boxes_yxyx_norm")
    self.second_stage = keras.Model(
      {"features": features, "boxes_yxyx_norm": boxes},
      self._look(features, boxes, momentum),
      name="second_stage",
    )
    self.seed_generator = keras.random.SeedGenerator(training.seed if training else 0)
    self.built = True

  def _look(self, features: Any, boxes: Any, momentum: float) -> dict[str, Any]:
    """The second stage's outputs, of Keras tensors."""
    config, head = self.config, head_of(self.config)
    crops = Crops(head.crop_px, name="crops")([features, boxes])
    if head.pool > 1:
      crops = keras.layers.MaxPooling2D(head.pool, name="pooled_crops")(crops)
    seen = config.feature_extractor.second_stage(crops, config.width, momentum)
    seen = keras.layers.GlobalAveragePooling2D(name="mean_of_crop")(seen)
    outputs = {}
    for name, shape in self._answers().items():
      size = shape[0] if len(shape) == 1 else shape[0] * shape[1]
      answers = keras.layers.Dense(size, name=f"second_stage_{name}")(seen)
      outputs[name] = PerProposal(shape, name=f"{name}_of_proposals")([answers, boxes])
    return outputs

  def _answers(self) -> dict[str, tuple[int, ...]]:
    """What the second stage says of a proposal, by name: its shape."""
    return {
      "class_logits": (self.num_categories + 1,),
      "box_codes": (self.num_categories, 4),
    }

  def call(self, pixels: Any, training: bool = False) -> dict[str, Any]:
    """Keras' own interface; see the class."""
    outputs = self.first_stage(pixels, training=training)
    rows, columns = ops.shape(outputs["features"])[1:3]
    anchors = grid_anchors(
      rows, columns, self.config.output_stride, self.config.proposals
    )
    height, width = (ops.cast(side, "float32") for side in ops.shape(pixels)[1:3])
    anchors = anchors / ops.stack([height, width, height, width])
    return {**outputs, "anchors_yxyx_norm": ops.expand_dims(anchors, 0)}

  @staticmethod
  def prepared(config: FasterRCNNConfig, pixels: Any) -> Any:
    """float32 [..., h, w, 3] in [0, 255]; bilinear, by the config's resizer."""
    return resizing.resized(pixels, config.resizer)

  @staticmethod
  def prepared_spec(config: FasterRCNNConfig) -> Any:
    """float32 [h, w, 3], of any size where proportions are kept."""
    return resizing.spec(config.resizer)

  @staticmethod
  def preparation(config: FasterRCNNConfig) -> Resizer:
    """The config's resizer."""
    return config.resizer

  def candidates(self, pixels: Any) -> tuple[Any, Any, Any]:
    """Every anchor's box and whether it holds an object, of whatever category.

    Returns:
      features, as in the class; boxes_yxyx_norm [b, N, 4], clipped to the image; and
      objectness [b, N] in [0, 1].
    """
    outputs = self(pixels, training=False)
    return outputs["features"], *self._candidates(outputs)

  def _candidates(self, outputs: dict[str, Any]) -> tuple[Any, Any]:
    codes, logits = (
      ops.cast(outputs[name], "float32") for name in ("box_codes", "objectness_logits")
    )
    boxes = box_coder.decode(
      codes, outputs["anchors_yxyx_norm"], self.config.box_coding
    )
    return clip(boxes), ops.softmax(logits, axis=-1)[..., 1]

  def propose(
    self, boxes_yxyx_norm: Any, objectness: Any, max_proposals: int | None = None
  ) -> tuple[Any, Any]:
    """The boxes that the second stage looks at, see `proposals.propose`.

    Args:
      boxes_yxyx_norm: [b, N, 4] of `candidates`.
      objectness: [b, N].
      max_proposals: P; None is the config's number.
    """
    suppression = proposals.suppression_of(self.config.proposals, max_proposals)
    return proposals.propose(boxes_yxyx_norm, objectness, suppression)

  def classify(
    self, features: Any, proposals_yxyx_norm: Any, num: Any
  ) -> tuple[Any, Any]:
    """What the proposals show.

    Args:
      features: [b, r, c, d] of `candidates`.
      proposals_yxyx_norm: [b, P, 4].
      num: int32 [b], how many of them count.

    Returns:
      boxes_yxyx_norm [b, P, C, 4], and scores [b, P, C], 0 where none counts.
    """
    outputs = self.second_stage(
      {"features": features, "boxes_yxyx_norm": proposals_yxyx_norm}, training=False
    )
    logits, codes = (
      ops.cast(outputs[name], "float32") for name in ("class_logits", "box_codes")
    )
    anchors = ops.expand_dims(proposals_yxyx_norm, 2)
    boxes = box_coder.decode(codes, anchors, self.config.box_coding)
    counts = ops.arange(ops.shape(logits)[1], dtype="int32") < ops.expand_dims(num, 1)
    scores = ops.softmax(logits, axis=-1)[..., 1:]
    return boxes, ops.where(ops.expand_dims(counts, 2), scores, 0)

  def raw_detections(self, inputs: Any) -> tuple[Any, Any]:
    """All proposals' boxes, one a category."""
    features, boxes, objectness = self.candidates(inputs)
    found, num = self.propose(boxes, objectness)
    # What no image of the batch proposes need not be looked at.
    most = ops.maximum(ops.max(num), 1)
    return self.classify(features, found[:, :most], num)

  def compute_loss(
    self,
    x: Any = None,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
    training: bool = True,
  ) -> Any:
    """As of every meta-architecture; `batch_loss` runs the second stage."""
    outputs = {**y_pred, "training": training}
    return super().compute_loss(x, y, outputs, sample_weight, training)

  def batch_loss(self, outputs: Any, truth: Any) -> tuple[Any, dict[str, Any]]:
    """Both stages' losses of what is drawn from the batch."""
    training = outputs.get("training", False)
    anchors = outputs["anchors_yxyx_norm"][0]
    counts = inside(anchors, _widened(WHOLE_IMAGE))
    targets = anchor_targets(truth, anchors, counts, self.config)
    first = self.config.proposals
    sampled = sample(
      targets.positive,
      targets.weights,
      self._noise(targets.weights, training),
      first.batch_size,
      first.positive_share,
    )
    losses = proposal_losses(
      outputs["objectness_logits"],
      outputs["box_codes"],
      targets,
      sampled,
      anchors,
      self.config,
    )
    boxes, objectness = self._candidates(outputs)
    found, _ = self.propose(boxes, ops.where(counts, objectness, 0))
    losses += self._region_loss(outputs["features"], found, truth, training)
    return sum(losses), dict(zip(self.PARTS, losses))

  def _region_loss(
    self, features: Any, found: Any, truth: Any, training: bool
  ) -> tuple[Any, Any]:
    """Of the second stage; proposals [b, P, 4] without area are none."""
    config = self.config
    targets = proposal_targets(truth, found, config)
    counts = targets.weights
    if config.hard_examples is None:
      counts = sample(
        targets.positive,
        counts,
        self._noise(counts, training),
        config.batch_size,
        config.positive_share,
      )
      counts, found, *fields = gathered(counts, config.batch_size, found, *targets)
      targets = Targets(*fields)
    num = ops.sum(counts, axis=1)  # also of hard examples, as the study divides
    seen = self.second_stage(
      {"features": features, "boxes_yxyx_norm": found}, training=training
    )
    losses = region_losses(
      seen["class_logits"], seen["box_codes"], targets, found, config
    )
    if config.hard_examples is not None:
      counts = worst_distinct(
        found, sum(losses), counts > 0, config.duplicate_iou, config.hard_examples
      )
    classification, localization = (image_mean(loss, counts, num) for loss in losses)
    return classification, localization

  def _noise(self, like: Any, training: bool) -> Any:
    """A number for each of [b, n]; in validation always the same ones."""
    images, size = ops.shape(like)
    seed = self.seed_generator if training else 0
    return own_rows(lambda rows: keras.random.uniform((rows, size), seed=seed), images)


faster_rcnn = FasterRCNN.to_train


def _first_stage(config: FasterRCNNConfig, momentum: float) -> keras.Model:
  extractor, stride = config.feature_extractor, config.output_stride
  pixels = keras.Input((None, None, 3), name="images")
  features = extractor.first_stage(
    extractor.normalize(pixels), config.width, momentum, stride
  )
  hidden = keras.layers.Conv2D(
    config.proposals.depth,
    3,
    padding="same",
    dilation_rate=16
    // stride,  # a finer map of the same picture is looked at as widely
    kernel_initializer=initializer(),
    name="proposals_3x3",
  )(features)
  hidden = keras.layers.ReLU(6.0, name="proposals_3x3_relu")(hidden)
  outputs = {"features": features}
  for name, size in (("objectness_logits", 2), ("box_codes", 4)):
    predicted = keras.layers.Conv2D(
      len(sides_px(config.proposals)) * size,
      1,
      kernel_initializer=initializer(),
      name=f"proposals_{name}",
    )(hidden)
    outputs[name] = keras.layers.Reshape((-1, size), name=name)(predicted)
  return keras.Model(pixels, outputs, name="first_stage")


def initializer() -> Any:
  """Truncated normal of deviation 0.01 (1611.10012, supplement)."""
  return keras.initializers.TruncatedNormal(stddev=0.01)


def _widened(window: tuple[float, ...]) -> Any:
  top, left, bottom, right = window
  return top - ROUNDING, left - ROUNDING, bottom + ROUNDING, right + ROUNDING
