"""What training and export ask of a detector, whatever its meta-architecture.

    photograph ─ augmented ─ prepared ─> inputs ─ model ─> outputs ─ batch_loss ─> loss
    photograph ───────────── prepared ─> inputs ─ detections ─> boxes, scores, labels

Inputs are the meta-architecture's own: callers batch them and hand them on. Boxes,
true or found, are shares of the photograph as it came to `prepared`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import keras
import numpy as np
from keras import ops

from hardmine.schemas.detector_config import DetectorConfig, Resizer
from hardmine.schemas.training_config import (
  AugmentationConfig,
  DetectorTrainingConfig,
)
from hardmine.trainers.detection.geometry import nms
from hardmine.trainers.detection.inputs.augmentation import augment
from hardmine.trainers.detection.training.initial_weights import load_initial_weights
from hardmine.trainers.replicas import alone, batch_mean, batch_rows, loss_of_share
from hardmine.trainers.workers.current import writes

if TYPE_CHECKING:
  _Model = keras.Model
else:
  _Model = object

M = TypeVar("M", bound="MetaArchitecture")
_AS_USUAL = AugmentationConfig()


class MetaArchitecture(_Model):
  """The first base of a detector's class; `keras.Model` is the second.

  It is no `keras.Model` itself, since Keras rewrites the bases of a model that is
  made of inputs and outputs: those of another kind that shared a base would be
  rewritten with it. Nor is it an `abc.ABC`, as Keras then makes an instance of it.

  Attributes:
    PARTS: names of the parts of the loss, each of which is logged.
    CROP: share of the photographs that training crops where its settings do not say.
    config: the network.
    num_categories: C.
    suspects: positions in the training set of the first batch whose loss was not a
      number; -1 as long as there was none.
  """

  PARTS: ClassVar[tuple[str, ...]] = ()
  CROP: ClassVar[float] = 0.0

  def __init__(
    self,
    config: Any,
    num_categories: int,
    training: DetectorTrainingConfig | None = None,
    **kwargs: Any,
  ):
    """Subclasses take the same three, and leave with all weights made, at random.

    Args:
      config: of the subclass's own kind.
      num_categories: C, without the background.
      training: how it will be trained, where it will be.
      **kwargs: of `keras.Model`, `inputs` and `outputs` among them.
    """
    super().__init__(**kwargs)
    self.config = config
    self.num_categories = num_categories
    self.weight_decay = training.weight_decay if training else 0.0
    self.trackers = [keras.metrics.Mean(name=part) for part in self.PARTS]
    self.suspects = keras.Variable(
      keras.initializers.Constant(-1),  # an array would need a real variable
      shape=(training.batch_size if training else 1,),
      dtype="int64",
      trainable=False,
      name="suspects",
    )

  @classmethod
  def to_train(
    cls: type[M],
    config: DetectorConfig,
    num_categories: int,
    training: DetectorTrainingConfig,
  ) -> M:
    """A detector to be trained: initial weights loaded, frozen parts frozen.

    Raises:
      ValueError: the initial weights do not fit.
      RuntimeError: they cannot be downloaded.
    """
    keras.utils.set_random_seed(training.seed)
    model = cls(config, num_categories, training)
    if config.initial_weights is not None and writes():  # others get them from there
      load_initial_weights(
        model.leaf_layers,
        config.feature_extractor,
        config.initial_weights,
        config.width,
      )
    for layer in model.leaf_layers:
      if model.is_frozen(layer, training):
        layer.trainable = False  # batch normalisation then also uses its statistics
    return model

  @property
  def leaf_layers(self) -> list[Any]:
    """All layers but those that are models of others, in an order that stays."""
    return list(_leaf_layers(self))

  @classmethod
  def augmented(
    cls,
    pixels: Any,
    boxes_yxyx_norm: Any,
    labels: Any,
    is_crowd: Any,
    seed: Any,
    settings: AugmentationConfig = _AS_USUAL,
  ) -> tuple[Any, Any, Any, Any]:
    """A photograph and its objects as training sees them, drawn anew for every seed.

    Args:
      pixels: uint8 [h, w, 3].
      boxes_yxyx_norm: float32 [g, 4].
      labels: int64 [g], from 1.
      is_crowd: int64 [g].
      seed: int64 [2]; equal ones give equal results.
      settings: of the training.

    Returns:
      The first four, changed alike; there may be fewer objects.
    """
    return augment(
      pixels, boxes_yxyx_norm, labels, is_crowd, seed, settings, usual_crop=cls.CROP
    )

  @staticmethod
  def prepared(config: Any, pixels: Any) -> Any:
    """A photograph to one element of the inputs, or a batch to a batch of them.

    Training and the exported model both resize here.

    Args:
      config: of the network.
      pixels: uint8 [h, w, 3] or [b, h, w, 3].
    """
    raise NotImplementedError

  @staticmethod
  def prepared_spec(config: Any) -> Any:
    """What `prepared` makes of one photograph: a `tf.TensorSpec`, or several nested."""
    raise NotImplementedError

  @staticmethod
  def preparation(config: Any) -> Resizer | None:
    """What `prepared` does, as data that a light form of the model follows.

    None, for what NumPy has no words for, leaves the exported model without a light
    form. Otherwise `prepared_spec` is one tensor of pixels.
    """
    return None

  def batch_loss(self, outputs: Any, truth: Any) -> tuple[Any, dict[str, Any]]:
    """The loss of a batch (1611.10012, equation 1), without weight decay.

    Args:
      outputs: of the model.
      truth: `boxes_yxyx_norm` float32 [b, g, 4]; `labels` int32 [b, g], 0 where it is
        padding; `is_crowd` int32 [b, g]; `index` int64 [b].

    Returns:
      The total, and its parts by the names in `PARTS`; float32 scalars.
    """
    raise NotImplementedError

  def raw_detections(self, inputs: Any) -> tuple[Any, Any]:
    """Before suppression.

    Returns:
      boxes_yxyx_norm, [b, N, 4] where all categories share them and [b, N, C, 4] where
      each has its own, and scores [b, N, C] in [0, 1].
    """
    raise NotImplementedError

  def detections(self, inputs: Any) -> tuple[Any, Any, Any, Any]:
    """What a batch of images shows, as `nms.detections` returns it."""
    return nms.detections(*self.raw_detections(inputs), self.config.postprocessing)

  def is_frozen(self, layer: Any, training: DetectorTrainingConfig) -> bool:
    """Whether a layer keeps its initial weights: some of the feature extractor's."""
    block = self.config.feature_extractor.block_of(layer.name)
    if block is None:
      return False
    is_norm = isinstance(layer, keras.layers.BatchNormalization)
    return block < training.frozen_blocks or (
      is_norm and training.batch_norm == "freeze"
    )

  def model_id(self) -> bytes:
    """Eight bytes that name a model: SHA-256 over config and weights."""
    digest = hashlib.sha256(self.config.to_json().encode("utf-8"))
    for layer in self.leaf_layers:
      for weight in layer.weights:
        values = np.asarray(ops.convert_to_numpy(weight))
        digest.update(values.astype("<f4").tobytes())
    return digest.digest()[:8]

  def compute_loss(
    self,
    x: Any = None,
    y: Any = None,
    y_pred: Any = None,
    sample_weight: Any = None,
    training: bool = True,
  ) -> Any:
    """The loss that Keras' `fit` makes small: the batch's and the weight decay.

    Args:
      x: inputs, not looked at.
      y: the truth.
      y_pred: the outputs.
      sample_weight: not used.
      training: whether the batch is one to learn from.
    """
    with alone(not training):
      loss, parts = self.batch_loss(y_pred, y)
      seen = ops.stack([loss, *(parts[name] for name in self.PARTS)])
      of_batch, *of_parts = ops.unstack(batch_mean(ops.stop_gradient(seen)))
      for tracker, part in zip(self.trackers, of_parts):
        tracker.update_state(part)
      if not training:
        return loss_of_share(loss, of_batch)
      self._note_suspects(of_batch, y["index"])
      decay = self._decay()
      return loss_of_share(loss + decay, of_batch + decay)

  def _note_suspects(self, loss: Any, index: Any) -> None:
    """Keeps the positions of a batch whose loss is no number, if it is the first."""
    first = ops.logical_and(
      ops.logical_not(ops.isfinite(loss)), ops.all(self.suspects < 0)
    )
    rows = batch_rows(ops.cast(index, "int64"))
    self.suspects.assign(ops.where(first, rows, self.suspects.value))

  def _decay(self) -> Any:
    """Half the sum of the squared kernels; depthwise ones are few and left alone."""
    kernels = [
      layer.kernel
      for layer in self.leaf_layers
      if type(layer) is keras.layers.Conv2D and layer.trainable
    ]
    if not self.weight_decay or not kernels:
      return 0.0
    return 0.5 * self.weight_decay * sum(ops.sum(ops.square(k)) for k in kernels)


def _leaf_layers(model: Any) -> Iterator[Any]:
  for layer in model.layers:
    if isinstance(layer, keras.Model):
      yield from _leaf_layers(layer)
    else:
      yield layer
