"""SSD: the study's anchors and layers, each family's head, probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.meta_architectures.ssd_heads import Head, head_of
from tests.trainers.detection.tiny_extractor import TinyExtractor

TINY = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)


@pytest.mark.parametrize(("side", "num"), [(300, 1917), (600, 7326)])
def test_resolutions_have_the_studys_anchors(side, num):
  config = SSDConfig(feature_extractor=MobileNetV1, width=0.25, resolution_px=side)
  model = SSD(config, num_categories=2)
  assert model.anchors_yxyx_norm.shape == (num, 4)
  assert model.output["class_logits"].shape == (None, num, 3)
  assert model.output["box_codes"].shape == (None, num, 4)


def test_mobilenet_has_the_studys_head():
  model = SSD(SSDConfig(feature_extractor=MobileNetV1), num_categories=90)
  shapes = {
    name: tuple(model.get_layer(name).kernel.shape)
    for name in ("extra_2_3x3", "extra_5_3x3", "predictor_0_class_logits")
  }
  assert shapes == {
    "extra_2_3x3": (3, 3, 256, 512),
    "extra_5_3x3": (3, 3, 64, 128),
    "predictor_0_class_logits": (1, 1, 512, 3 * 91),
  }


def test_a_family_without_a_head_of_its_own_has_its_parents_or_the_usual():
  class Derived(MobileNetV1):
    pass

  assert head_of(Derived) == head_of(MobileNetV1) == Head(predictor_kernel=1)
  assert head_of(object) == Head()
  assert SSD(TINY, 2).get_layer("predictor_3_box_codes").kernel.shape[:2] == (3, 3)


def test_raw_scores_are_probabilities():
  model = SSD(TINY, num_categories=2)
  boxes, scores = model.raw_detections(np.zeros((1, 96, 96, 3), np.float32))
  assert boxes.shape == (1, model.anchors_yxyx_norm.shape[0], 4)
  assert float(scores.numpy().min()) >= 0
  assert float(scores.numpy().max()) <= 1


def test_a_model_id_is_of_config_and_weights():
  training = DetectorTrainingConfig(steps=100, seed=3)
  first, again = (SSD.to_train(TINY, 2, training) for _ in range(2))
  assert first.model_id() == again.model_id()
  bias = again.get_layer("predictor_0_box_codes").bias
  bias.assign(bias + 1)
  assert first.model_id() != again.model_id()
