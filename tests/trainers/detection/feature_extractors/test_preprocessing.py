"""What Keras' own models are given is the reference."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16


@pytest.mark.parametrize(
  ("extractor", "module"),
  [
    (VGG16, keras.applications.vgg16),
    (MobileNetV1, keras.applications.mobilenet),
    (InceptionV2, keras.applications.inception_v3),  # its successor's, there is none
    (InceptionV3, keras.applications.inception_v3),
    (ResNet101, keras.applications.resnet),
    (InceptionResNetV2, keras.applications.inception_resnet_v2),
  ],
)
def test_pixels_are_prepared_as_keras_prepares_them(extractor, module):
  pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, 4, 3)).astype("float32")
  np.testing.assert_allclose(
    extractor.normalize(pixels), module.preprocess_input(pixels.copy()), atol=1e-4
  )


def test_both_kinds_by_hand():
  """Red, the darkest and the lightest: as numbers, lest Keras changes its mind."""
  pixels = np.array([[[255, 0, 0], [0, 0, 0], [255, 255, 255]]], "float32")
  np.testing.assert_allclose(
    MobileNetV1.normalize(pixels), [[[1, -1, -1], [-1, -1, -1], [1, 1, 1]]]
  )
  dark, light = [-103.939, -116.779, -123.68], [151.061, 138.221, 131.32]
  np.testing.assert_allclose(
    VGG16.normalize(pixels), [[[*dark[:2], light[2]], dark, light]], rtol=1e-6
  )
