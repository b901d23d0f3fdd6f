"""Detectors on every extractor: two stages learn, and all answer alike everywhere.

That an SSD learns is told in `feature_extractors/test_backbones.py`. SSD has whole
backbones here; those of two stages repeat each block twice and no more, as twenty like
it make a graph larger and say nothing new.
"""

from __future__ import annotations

import importlib.util

import keras
import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  PostprocessingConfig,
  ProposalConfig,
  RFCNConfig,
  SSDConfig,
)
from hardmine.schemas.exported_model import read_facts
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.running.light_network import LightNetwork
from tests.trainers.detection.feature_extractors.families import (
  FAMILIES,
  NARROW,
  shallow,
)
from tests.trainers.detection.seeing import check_equal, moderate, pictures, seeing
from tests.trainers.detection.tiny_two_stages import batch

LIGHT_RUNTIMES = [
  runtime
  for runtime in ("onnxruntime", "openvino")
  if importlib.util.find_spec(runtime) is not None
]
# All that suppression leaves: a limit would cut between scores that are nearly equal.
UNLIMITED = PostprocessingConfig(max_per_class=2000, max_detections=4000)
TWO_STAGES = {
  "width": NARROW,
  "postprocessing": UNLIMITED,
  "resizer": KeptProportions(min_side_px=96, max_side_px=128),
  "proposals": ProposalConfig(base_px=64.0, depth=16),
}
KINDS = {
  "faster_rcnn": lambda extractor: FasterRCNNConfig(
    feature_extractor=extractor, **TWO_STAGES
  ),
  "rfcn": lambda extractor: RFCNConfig(
    feature_extractor=extractor, depth=24, **TWO_STAGES
  ),
}
CATEGORIES = Categories(
  categories=(Category(id=3, name="orange"), Category(id=8, name="blue"))
)


@pytest.fixture(params=KINDS)
def detector(request, family):
  """An untrained one for two categories."""
  config = KINDS[request.param](family.extractor)
  keras.utils.set_random_seed(0)
  training = DetectorTrainingConfig(steps=2, summary_steps=1, batch_size=2)
  with shallow():
    return meta_architecture(config)(config, 2, training)


@pytest.fixture(params=FAMILIES)
def family(request):
  return FAMILIES[request.param]


def loss_of(detector, pixels, truth):
  """Of the same draws whenever it is asked for, and normed as training does it."""
  outputs = detector(pixels, training=True)
  return float(detector.batch_loss(outputs, truth)[0])


@pytest.mark.slow
def test_it_learns_and_answers_alike_on_every_runtime(detector, tmp_path):
  """Trained eagerly: a graph of hundreds of layers takes far longer to trace."""
  pixels, truth = batch(detector)
  before = loss_of(detector, pixels, truth)
  optimizer = keras.optimizers.SGD(0.003, global_clipnorm=1.0)
  detector.compile(optimizer=optimizer, run_eagerly=True)
  for _ in range(2):
    detector.train_on_batch(pixels, truth)
  after = loss_of(detector, pixels, truth)
  assert np.isfinite(before)
  assert after < before

  export_detector(moderate(seeing(detector), pixels), CATEGORIES, tmp_path / "model")
  light = [Detector.load(tmp_path / "model", runtime) for runtime in LIGHT_RUNTIMES]
  check_detections(tmp_path / "model", light)


def check_detections(folder, light):
  """All that run an exported detector's light form detect what TensorFlow does."""
  whole = Detector.load(folder, "tensorflow")
  for image in pictures([(96, 96), (77, 131)]):
    expected = whole.detect(image)
    for one in light:
      check_equal(one.detect(image), expected, apart=1e-4)


@pytest.mark.slow
def test_an_ssd_answers_alike_on_every_runtime(family, tmp_path):
  """Before suppression, in batches of one and more, and after it."""
  config = SSDConfig(
    feature_extractor=family.extractor,
    width=NARROW,
    resolution_px=96,
    postprocessing=UNLIMITED,
  )
  model, folder = SSD(config, 2), tmp_path / "model"
  pixels = np.random.default_rng(2).uniform(0, 255, (2, 96, 96, 3)).astype(np.float32)
  export_detector(moderate(seeing(model), pixels), CATEGORIES, folder)
  boxes, scores = map(np.asarray, model.raw_detections(pixels))
  assert scores.std() > 0.05  # or equal ones would be no news
  networks = [LightNetwork(folder, one) for one in LIGHT_RUNTIMES]
  for network in networks:
    for num in (1, 2):
      found = network.raw(pixels[:num])
      np.testing.assert_allclose(found[0], boxes[:num], atol=1e-3, rtol=1e-3)
      np.testing.assert_allclose(found[1], scores[:num], atol=1e-4)
  facts = read_facts(folder, "detector")
  check_detections(folder, [Detector(network, facts) for network in networks])
