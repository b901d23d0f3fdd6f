"""The contract holds for what is no SSD: not functional, inputs of its own, a kind."""

from __future__ import annotations

import dataclasses
import types
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from hardmine.schemas.config import Config
from hardmine.schemas.detector_config import PostprocessingConfig, SSDConfig
from hardmine.schemas.exported_model import has_light_form
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection import run_fn
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.meta_architectures import known
from hardmine.trainers.detection.meta_architectures.meta_architecture import (
  MetaArchitecture,
)
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.running.saved_model_network import SavedModelNetwork
from hardmine.trainers.images import decode_rgb
from tests.trainers.detection.rectangles import rectangle
from tests.trainers.detection.tiny_extractor import TinyExtractor


@dataclasses.dataclass(frozen=True, kw_only=True)
class GuessConfig(Config):
  KIND = "guess"

  feature_extractor: type = TinyExtractor
  width: float = 1.0
  resolution_px: int = 48
  initial_weights: str | None = None
  postprocessing: PostprocessingConfig = dataclasses.field(
    default_factory=PostprocessingConfig
  )


class Guess(MetaArchitecture, keras.Model):
  """One box for a whole image; the network is told the image's size."""

  PARTS: ClassVar[tuple[str, ...]] = ("guessing",)

  def __init__(self, config, num_categories, training=None, **kwargs):
    super().__init__(config, num_categories, training, **kwargs)
    self.features = keras.layers.Conv2D(8, 3, 4, name="features")
    self.scores = keras.layers.Dense(num_categories + 1, name="scores")
    side = config.resolution_px
    self({"pixels": ops.zeros((1, side, side, 3)), "size_px": ops.zeros((1, 2))})

  @staticmethod
  def augmented(pixels, boxes_yxyx_norm, labels, is_crowd, seed):
    return pixels, boxes_yxyx_norm, labels, is_crowd

  @staticmethod
  def prepared(config, pixels):
    """A batch of photographs of one size has one size each."""
    shape = tf.shape(pixels)
    size = tf.broadcast_to(shape[-3:-1], tf.concat([shape[:-3], [2]], 0))
    return {
      "pixels": tf.image.resize_with_pad(pixels, *[config.resolution_px] * 2),
      "size_px": tf.cast(size, tf.float32),
    }

  @staticmethod
  def prepared_spec(config):
    side = config.resolution_px
    return {"pixels": tf.TensorSpec([side, side, 3]), "size_px": tf.TensorSpec([2])}

  def call(self, inputs):
    pooled = ops.mean(self.features(inputs["pixels"] / 255), axis=(1, 2))
    size = inputs["size_px"] / 100
    return {"logits": self.scores(ops.concatenate([pooled, size], axis=-1))}

  def batch_loss(self, outputs: Any, truth: Any):
    loss = ops.mean(
      keras.losses.sparse_categorical_crossentropy(
        truth["labels"][:, 0], outputs["logits"], from_logits=True
      )
    )
    return loss, {"guessing": loss}

  def raw_detections(self, inputs: Any):
    scores = tf.nn.softmax(self(inputs, training=False)["logits"])[:, tf.newaxis, 1:]
    corners = tf.constant([0.0, 0.0, 1.0, 1.0])
    return tf.broadcast_to(corners, [tf.shape(scores)[0], 1, 4]), scores


@pytest.fixture(scope="module")
def trained(rectangles, tmp_path_factory):
  """A detector made by the Trainer's entry point, after an SSD in this process."""
  tmp_path = tmp_path_factory.mktemp("guess")
  SSD(SSDConfig(feature_extractor=TinyExtractor, resolution_px=96), num_categories=2)
  with pytest.MonkeyPatch.context() as monkeypatch:
    monkeypatch.setattr(run_fn, "detector_from_json", GuessConfig.from_json)
    monkeypatch.setitem(known.META_ARCHITECTURES, GuessConfig, Guess)
    training = DetectorTrainingConfig(
      steps=4, batch_size=4, summary_steps=2, max_boxes=2, optimizer="adam"
    )
    run_fn.run_fn(
      types.SimpleNamespace(
        train_files=[str(rectangles / "Split-train" / "*.gz")],
        eval_files=[str(rectangles / "Split-eval" / "*.gz")],
        serving_model_dir=str(tmp_path / "model"),
        model_run_dir=str(tmp_path / "logs"),
        custom_config={
          "detector": GuessConfig().to_json(),
          "training": training.to_json(),
          "checkpoint_dir": str(tmp_path / "checkpoints"),
        },
      )
    )
  return tmp_path / "model"


def test_training_and_export_need_no_more_than_the_contract(trained):
  detector = Detector.load(trained)
  assert detector.facts["config"]["kind"] == "guess"
  data = rectangle(101).encoded
  found = detector.detect(decode_rgb(data))
  np.testing.assert_allclose(found.boxes_yxyx_px[0], [0, 0, 60, 80])
  _, scores, _ = SavedModelNetwork(trained).detect_encoded(data)
  np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_without_a_preparation_in_words_there_is_no_light_form(trained):
  assert not has_light_form(trained)
  with pytest.raises(ValueError, match=r"tensorflow for .* light form.*onnxruntime"):
    Detector.load(trained, runtime="onnxruntime")


def test_every_config_has_its_meta_architecture():
  config = SSDConfig(feature_extractor=TinyExtractor)
  assert known.meta_architecture(config) is SSD


def test_a_config_of_none_is_told_what_there_is():
  with pytest.raises(ValueError, match=r"one of SSDConfig, .* Received: config=Guess"):
    known.meta_architecture(GuessConfig())
