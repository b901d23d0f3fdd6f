"""A detector from records to a served model: it learns, resumes, stops on NaN."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import types

import numpy as np
import pytest
from PIL import Image

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.categories import CATEGORIES_NAME, Categories
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.detector_config import PostprocessingConfig, SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.detection import run_fn
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.geometry.boxes import pairwise_iou
from hardmine.trainers.detection.held_out import HeldOut
from hardmine.trainers.detection.inputs import input_pipeline
from hardmine.trainers.detection.inputs.annotated_set import (
  AnnotatedSet,
  detected_boxes,
  pixels_of,
)
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.running.saved_model_network import SavedModelNetwork
from hardmine.trainers.images import decode_rgb
from hardmine.trainers.metrics.coco_map import coco_map
from tests.trainers.detection.rectangles import (
  CATEGORIES,
  rectangle,
  without_objects,
)
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


EVALUATED = dataclasses.replace(
  TRAINING,
  steps=60,
  warmup_steps=0,
  schedule="constant",
  summary_steps=10,
  checkpoint_steps=60,
  evaluate_steps=20,
  keep="best",
)


@pytest.fixture(scope="module")
def evaluated(rectangles, tmp_path_factory):
  """The folder of a run that was measured at steps 20, 40 and 60."""
  folder = tmp_path_factory.mktemp("evaluated")
  run_fn.run_fn(trainer_arguments(rectangles, folder, training=EVALUATED))
  return folder


def checkpoints_of(folder):
  (checkpoints,) = (folder / "checkpoints").glob("*")
  return checkpoints


@pytest.mark.slow
def test_the_best_weights_are_exported_and_the_facts_say_which(evaluated):
  facts = Detector.load(evaluated / "model").facts
  found = json.loads((checkpoints_of(evaluated) / "evaluations.json").read_text())
  assert list(found) == ["20", "40", "60"]
  best = max(found.values(), key=lambda numbers: numbers["AP"])
  assert found[str(facts["step"])] == facts["held_out"] == best
  assert 0 <= best["AP"] <= best["AP50"] <= 1
  model = run_fn.compiled_detector(CONFIG, 2, EVALUATED)
  Checkpoints(checkpoints_of(evaluated)).restore(model, facts["step"])
  assert model.model_id().hex() == facts["model_id"]


@pytest.mark.slow
def test_what_was_measured_is_what_the_exported_model_has(evaluated, rectangles):
  """By the evaluator's own measure, of the model without TensorFlow."""
  detector = Detector.load(evaluated / "model")
  data = AnnotatedSet.of([rectangle(index) for index in range(100, 106)], CATEGORIES)
  found = [detector.detect(pixels_of(image)) for image in data.images]
  boxes, _ = detected_boxes(
    data.truth, [(one.boxes_yxyx_px, one.scores, one.category_ids) for one in found]
  )
  summary = coco_map(data.truth, boxes).summary
  for name, value in detector.facts["held_out"].items():
    assert summary[name] == pytest.approx(value, abs=1e-3)


@pytest.mark.slow
def test_measurements_are_logged(evaluated):
  import tensorflow as tf

  tags = {
    value.tag
    for path in (evaluated / "logs").rglob("events*")
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }
  assert {"held_out_AP", "held_out_AP50"} <= tags


@pytest.mark.slow
def test_a_killed_run_keeps_and_ends_as_an_undisturbed_one(
  evaluated, rectangles, tmp_path
):
  """A detector that is never sure enough finds nothing, so nothing gets better."""
  settings = dataclasses.replace(EVALUATED, patience=1)
  config = dataclasses.replace(
    CONFIG, postprocessing=PostprocessingConfig(score_threshold=1.0)
  )
  for name in ("whole", "killed"):
    arguments = trainer_arguments(rectangles, tmp_path / name, config, settings)
    run_fn.run_fn(arguments)
    ended = sorted(path.name for path in checkpoints_of(tmp_path / name).glob("*.npz"))
    assert ended == ["step-000000020.npz", "step-000000040.npz"]
    if name == "killed":  # behind step 40's checkpoint, before it was measured
      shutil.rmtree(tmp_path / name / "model")
      notes = checkpoints_of(tmp_path / name) / "evaluations.json"
      whole = json.loads(notes.read_text())
      notes.write_text(json.dumps({"20": whole["20"]}))
      run_fn.run_fn(arguments)
      assert json.loads(notes.read_text()) == whole
  facts = [Detector.load(tmp_path / n / "model").facts for n in ("whole", "killed")]
  assert facts[0]["step"] == facts[1]["step"] == 20
  assert facts[0]["model_id"] == facts[1]["model_id"]


@pytest.mark.slow
def test_one_category_alone_is_learned(tmp_path):
  """Of images that are half without any object, and some batches wholly."""
  one = Categories(categories=CATEGORIES.categories[:1])
  for split, indices in (("train", range(24)), ("eval", range(100, 106))):
    path = tmp_path / "data" / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
    path.parent.mkdir(parents=True)
    images = (rectangle(index) for index in indices)
    write_records(
      path, (serialize(i if i.labels[0] == 1 else without_objects(i)) for i in images)
    )
  (tmp_path / "data" / CATEGORIES_NAME).write_text(one.to_file())
  training = dataclasses.replace(TRAINING, batch_size=4, evaluate_steps=80, keep="last")
  run_fn.run_fn(trainer_arguments(tmp_path / "data", tmp_path, training=training))
  notes = (checkpoints_of(tmp_path) / "evaluations.json").read_text()
  found = [numbers["AP50"] for numbers in json.loads(notes).values()]
  assert max(found[1:]) > 0.5
  assert found[-1] > found[0]


def test_held_out_images_without_objects_are_refused(rectangles, tmp_path):
  path = tmp_path / "empty.gz"
  write_records(path, [serialize(without_objects(rectangle(0)))])
  with pytest.raises(ValueError, match=r"evaluate_steps.*num_images=1, num_objects=0"):
    HeldOut([str(path)], CATEGORIES)
  arguments = trainer_arguments(rectangles, tmp_path, training=EVALUATED)
  arguments.eval_files = []
  with pytest.raises(ValueError, match="held-out images"):
    run_fn.run_fn(arguments)


@pytest.mark.parametrize(
  ("fields", "told"),
  [
    ({"evaluate_steps": 15}, "multiple of summary_steps"),
    ({"evaluate_steps": None}, "keep='best'"),
    ({"evaluate_steps": None, "keep": "last", "patience": 2}, "patience=2"),
    ({"patience": 0}, "patience > 0"),
  ],
)
def test_settings_that_cannot_be_are_refused(fields, told):
  with pytest.raises(ValueError, match=told):
    dataclasses.replace(EVALUATED, **fields)


def test_unset_settings_leave_no_trace():
  """Ids, caches and checkpoints of before stay valid."""
  text = TRAINING.to_json()
  assert not {"evaluate", "keep", "patience", "augmentation"} & set(
    text.replace('"', " ").replace("_", " ").split()
  )
  changed = TRAINING.override(["augmentation.flip=0.25", "evaluate_steps=80"])
  assert changed.augmentation.flip == 0.25
  assert DetectorTrainingConfig.from_json(changed.to_json()) == changed


def test_few_images_and_learning_batch_norm_are_warned_of():
  stock = input_pipeline.Stock(9, 2, 0, 0, "")
  for size, norm, warns in (
    (1, "train", 1),
    (2, "train", 1),
    (8, "train", 0),
    (1, "freeze", 0),
  ):
    training = dataclasses.replace(TRAINING, batch_size=size, batch_norm=norm)
    lines = run_fn.stock_lines(stock, 2, training)
    assert len(lines) == 1 + warns
    assert not warns or f"from {size} images at a time" in lines[1]


def test_nan_names_the_images(rectangles, tmp_path):
  training = dataclasses.replace(
    TRAINING, learning_rate=1e30, warmup_steps=0, summary_steps=4, steps=8
  )
  with pytest.raises(
    RuntimeError, match=r"first on the images image-\d+ \(\d+\.png\), image-\d+ \("
  ):
    run_fn.run_fn(trainer_arguments(rectangles, tmp_path, training=training))
  assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
  "optimizer", ["rmsprop", pytest.param("momentum", marks=pytest.mark.slow)]
)
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
@pytest.mark.parametrize(
  "fields",
  [
    {"classification": "softmax", "localization": "l2", "matcher": "bipartite"},
    {"matcher": "center", "localization": "iou", "box_coding": "corners"},
    {"box_coding": "sqrt", "duplicate_iou": 0.99},
  ],
  ids=lambda fields: " ".join(map(str, fields.values())),
)
def test_other_choices_train_and_export_too(rectangles, tmp_path, fields):
  config = dataclasses.replace(CONFIG, **fields)
  training = dataclasses.replace(TRAINING, steps=2, warmup_steps=0, summary_steps=2)
  run_fn.run_fn(trainer_arguments(rectangles, tmp_path, config, training))
  pixels = decode_rgb(rectangle(102).encoded)
  found = Detector.load(tmp_path / "model").detect(pixels)
  assert len(found) > 0
  boxes, scores, _ = SavedModelNetwork(tmp_path / "model").detect(pixels)
  np.testing.assert_allclose(found.scores, scores, atol=1e-5)
  np.testing.assert_allclose(found.boxes_yxyx_px, boxes, atol=1e-3)
