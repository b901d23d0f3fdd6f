"""A detector from records to a served model: it learns, resumes, stops on NaN."""

from __future__ import annotations

import dataclasses
import io
import types

import numpy as np
import pytest
from PIL import Image

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.detection import input_pipeline, run_fn
from hardmine.trainers.detection.boxes import pairwise_iou
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.saved_model_network import SavedModelNetwork
from hardmine.trainers.images import decode_rgb
from tests.trainers.detection.rectangles import CATEGORIES, rectangle
from tests.trainers.detection.tiny_extractor import TinyExtractor

CONFIG = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
TRAINING = DetectorTrainingConfig(
  steps=320,
  batch_size=8,
  optimizer="adam",
  learning_rate=3e-3,
  warmup_steps=10,
  schedule="cosine",
  batch_norm_momentum=0.9,
  summary_steps=80,
  checkpoint_steps=80,
  max_boxes=4,
)


def trainer_arguments(rectangles, folder, config=CONFIG, training=TRAINING):
  """What TFX hands to `run_fn`."""
  return types.SimpleNamespace(
    train_files=[str(rectangles / "Split-train" / "*.gz")],
    eval_files=[str(rectangles / "Split-eval" / "*.gz")],
    serving_model_dir=str(folder / "model"),
    model_run_dir=str(folder / "logs"),
    custom_config={
      "detector": config.to_json(),
      "training": training.to_json(),
      "checkpoint_dir": str(folder / "checkpoints"),
    },
  )


@pytest.fixture(scope="module")
def trained(rectangles, tmp_path_factory):
  """A run's folder: model, logs, checkpoints."""
  folder = tmp_path_factory.mktemp("run")
  run_fn.run_fn(trainer_arguments(rectangles, folder))
  return folder


@pytest.fixture(scope="module")
def detector(trained):
  return Detector.load(trained / "model")


@pytest.fixture(scope="module")
def saved_model(trained):
  return SavedModelNetwork(trained / "model")


def test_it_finds_what_it_has_not_seen(detector):
  assert detector.categories == CATEGORIES
  right = 0
  for index in range(100, 106):
    image = rectangle(index)
    found = detector.detect(decode_rgb(image.encoded))
    truth = image.boxes_yxyx_norm * np.array([60, 80, 60, 80], np.float32)
    (overlap,) = np.asarray(pairwise_iou(found.boxes_yxyx_px[:1], truth))
    right += overlap > 0.5 and found.category_ids[0] == image.category_ids[0]
  assert right >= 5  # of six, and by chance about none


def test_detections_are_sorted_and_inside(detector):
  found = detector.detect(decode_rgb(rectangle(101).encoded))
  assert (np.diff(found.scores) <= 0).all()
  assert (found.boxes_yxyx_px >= 0).all()
  assert (found.boxes_yxyx_px <= np.array([60, 80, 60, 80])).all()
  assert set(found.category_ids.tolist()) <= set(CATEGORIES.ids)
  few = detector.detect(decode_rgb(rectangle(101).encoded), min_score=0.3)
  assert len(few) <= len(found)
  assert (few.scores >= 0.3).all()


def test_both_signatures_agree(saved_model):
  data = rectangle(102).encoded
  pixels, encoded = (
    saved_model.detect(decode_rgb(data)),
    saved_model.detect_encoded(data),
  )
  assert len(pixels[1]) > 0
  for ours, theirs in zip(pixels, encoded):
    np.testing.assert_allclose(ours, theirs, atol=1e-3)


def test_with_and_without_tensorflow_the_answers_are_the_same(detector, saved_model):
  for index in range(100, 106):
    image = decode_rgb(rectangle(index).encoded)
    found, (boxes, scores, ids) = detector.detect(image), saved_model.detect(image)
    np.testing.assert_array_equal(found.category_ids, ids)
    np.testing.assert_allclose(found.boxes_yxyx_px, boxes, atol=1e-3)
    np.testing.assert_allclose(found.scores, scores, atol=1e-5)


def test_boxes_are_those_of_the_image_as_it_came(detector):
  """Repeating rows twice and columns thrice stretches every box just so."""
  pixels = np.zeros((96, 96, 3), np.uint8)
  pixels[:60, :80] = decode_rgb(rectangle(103).encoded)
  small = detector.detect(pixels)
  large = detector.detect(pixels.repeat(2, axis=0).repeat(3, axis=1))
  np.testing.assert_allclose(
    large.boxes_yxyx_px[:5], small.boxes_yxyx_px[:5] * [2, 3, 2, 3], atol=0.2
  )


def test_grey_files_are_read(saved_model):
  buffer = io.BytesIO()
  grey = Image.fromarray(decode_rgb(rectangle(104).encoded)).convert("L")
  grey.save(buffer, "JPEG")
  boxes, _, _ = saved_model.detect_encoded(buffer.getvalue())
  assert len(boxes) > 0
  assert boxes.shape[1] == 4


def test_a_folder_that_is_no_detector_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"assets\.extra"):
    Detector.load(tmp_path)


def test_logs_hold_scalars_and_pictures(trained):
  import tensorflow as tf

  tags = set()
  for path in (trained / "logs").rglob("events*"):
    for event in tf.compat.v1.train.summary_iterator(str(path)):
      tags |= {value.tag for value in event.summary.value}
  assert {"loss", "classification", "localization", "val_loss"} <= tags
  assert "ground truth beside predictions" in tags


@pytest.mark.slow
def test_a_killed_run_ends_at_the_same_weights(rectangles, trained, tmp_path):
  """The last checkpoint is lost; what follows the one before is repeated."""
  (kept,) = (trained / "checkpoints").glob("*")
  oldest = min(kept.glob("*.npz"))
  arguments = trainer_arguments(rectangles, tmp_path)
  copied = tmp_path / "checkpoints" / kept.name / oldest.name
  copied.parent.mkdir(parents=True)
  copied.write_bytes(oldest.read_bytes())
  run_fn.run_fn(arguments)
  facts = [
    Detector.load(folder / "model").facts["model_id"] for folder in (trained, tmp_path)
  ]
  assert facts[0] == facts[1]


def test_what_a_limit_leaves_out_is_said():
  stock = input_pipeline.Stock(
    num_images=9,
    most_objects=50,
    num_beyond=18,
    images_beyond=1,
    first_beyond="sub/a.jpg",
  )
  limited = dataclasses.replace(TRAINING, box_limit=32)
  first, second = run_fn.stock_lines(stock, 2, limited)
  assert first == ("training on 9 images, 2 categories, up to 50 objects in one image")
  assert second.startswith("18 objects of 1 images are beyond box_limit=32, the first")
  assert "in sub/a.jpg: neither learned nor taken for background" in second


def test_nan_names_the_images(rectangles, tmp_path):
  training = dataclasses.replace(
    TRAINING, learning_rate=1e30, warmup_steps=0, summary_steps=4, steps=8
  )
  with pytest.raises(
    RuntimeError, match=r"first on the images image-\d+ \(\d+\.png\), image-\d+ \("
  ):
    run_fn.run_fn(trainer_arguments(rectangles, tmp_path, training=training))
  assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("optimizer", ["rmsprop", "momentum"])
def test_frozen_parts_stay_and_others_move(rectangles, tmp_path, optimizer):
  training = dataclasses.replace(
    TRAINING,
    optimizer=optimizer,
    batch_norm="freeze",
    frozen_blocks=3,
    steps=2,
    warmup_steps=0,
    summary_steps=2,
    ema_decay=0.5,
  )
  before = {w.path: np.array(w) for w in SSD.to_train(CONFIG, 2, training).weights}
  model = run_fn.compiled_detector(CONFIG, 2, training)
  run_fn.run_fn(trainer_arguments(rectangles, tmp_path, training=training))
  (folder,) = (tmp_path / "checkpoints").glob("*")
  assert Checkpoints(folder).restore(model) == 2
  moved = {w.path for w in model.weights if not np.array_equal(before[w.path], w)}
  still = set(before) - moved
  assert {"tiny_0/kernel", "tiny_2/kernel", "tiny_4_bn/moving_mean"} <= still
  assert {"tiny_3/kernel", "extra_2_1x1/kernel", "extra_2_1x1_bn/gamma"} <= moved


@pytest.mark.slow
def test_softmax_l2_and_bipartite_train_too(rectangles, tmp_path):
  config = dataclasses.replace(
    CONFIG, classification="softmax", localization="l2", matcher="bipartite"
  )
  training = dataclasses.replace(TRAINING, steps=2, warmup_steps=0, summary_steps=2)
  run_fn.run_fn(trainer_arguments(rectangles, tmp_path, config, training))
  found = Detector.load(tmp_path / "model").detect(np.zeros((50, 40, 3), np.uint8))
  assert np.isfinite(found.scores).all()
