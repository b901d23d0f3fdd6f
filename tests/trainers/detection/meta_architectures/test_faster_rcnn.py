"""Two stages: what they say, what they learn from, and that they do learn."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints, named_state
from hardmine.trainers.detection.geometry.boxes import flip_horizontal
from hardmine.trainers.detection.meta_architectures.faster_rcnn import FasterRCNN
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.run_fn import compiled_detector
from hardmine.trainers.metrics.coco_boxes import DetectedBoxes, GroundTruth
from hardmine.trainers.metrics.coco_map import coco_map
from hardmine.trainers.training import train_model
from tests.trainers.detection.seeing import seeing
from tests.trainers.detection.tiny_two_stages import (
  BINNED,
  CONFIGS,
  FASTER,
  SIZE,
  batch,
  losses,
)

TRAINING = DetectorTrainingConfig(
  steps=60,
  batch_size=2,
  optimizer="adam",
  learning_rate=2e-3,
  batch_norm_momentum=0.9,
  summary_steps=20,
)
PARTS = {"objectness", "proposal_localization", "classification", "localization"}


@pytest.fixture(scope="module", params=CONFIGS)
def model(request):
  config = CONFIGS[request.param]
  return seeing(meta_architecture(config)(config, 3))


@pytest.fixture(scope="module")
def pixels():
  generator = np.random.default_rng(0)
  return tf.constant(generator.uniform(0, 255, (2, *SIZE, 3)).astype(np.float32))


def test_outputs_are_those_of_the_contract(model, pixels):
  outputs = model(pixels)
  rows, columns = SIZE[0] // 16, SIZE[1] // 16
  num = rows * columns * 6
  assert outputs["features"].shape == (2, rows, columns, 48)
  assert outputs["objectness_logits"].shape == (2, num, 2)
  assert outputs["box_codes"].shape == (2, num, 4)
  assert outputs["anchors_yxyx_norm"].shape == (1, num, 4)
  _, boxes, objectness = model.candidates(pixels)
  assert 0 <= float(tf.reduce_min(boxes)) <= float(tf.reduce_max(boxes)) <= 1
  assert 0 <= float(tf.reduce_min(objectness)) <= float(tf.reduce_max(objectness)) <= 1
  boxes, scores = model.raw_detections(pixels)
  assert boxes.shape == (2, scores.shape[1], 3, 4)
  assert scores.shape[1:] == (model.config.proposals.max_proposals, 3)


def test_pictures_of_any_size_are_seen(model):
  for size in ((64, 64), (70, 111)):
    boxes, scores, _, num = model.detections(tf.zeros((1, *size, 3)))
    assert bool(tf.reduce_all(tf.math.is_finite(boxes)))
    assert scores.shape == (1, model.config.postprocessing.max_detections)
    assert int(num[0]) >= 0


def test_fewer_proposals_do_a_part_of_the_work(model, pixels):
  """What is said of a proposal does not hang on how many there are."""
  features, boxes, objectness = model.candidates(pixels)
  many, few = (model.propose(boxes, objectness, limit) for limit in (40, 9))
  np.testing.assert_array_equal(few[0], many[0][:, :9])
  for first, all_ in zip(
    model.classify(features, *few), model.classify(features, *many)
  ):
    np.testing.assert_allclose(first, all_[:, :9], atol=1e-5)


def test_behind_the_last_proposal_nothing_scores(model, pixels):
  features, boxes, objectness = model.candidates(pixels)
  proposals, _ = model.propose(boxes, objectness, 10)
  _, scores = model.classify(features, proposals, tf.constant([4, 0]))
  assert (scores.numpy()[0, :4] > 0).all()
  assert not scores.numpy()[0, 4:].any()
  assert not scores.numpy()[1].any()


def test_a_mirrored_map_gives_mirrored_boxes(model, pixels):
  """Exact from the proposals on, where no kernel and no code tells left from right.

  Anchors have their centres at multiples of the stride, so those of a mirrored picture
  are not the mirrored ones; what is learned there is mirrored as far as it was learned.
  """
  kept = [np.asarray(weight) for weight in model.second_stage.weights]
  for layer in model.second_stage.layers:
    for weight in layer.weights:
      values = np.array(weight)
      if values.ndim == 4 and values.shape[1] > 1:
        weight.assign((values + values[:, ::-1]) / 2)
      elif "box_codes" in weight.path:  # of each category tx and tw
        codes = values.reshape(*values.shape[:-1], -1, 4)
        codes[..., 1] = 0
        weight.assign(codes.reshape(values.shape))
  features, boxes, objectness = model.candidates(pixels)
  features = features[:, :, :-1]  # of even sizes padding for strides is on one side
  if model.config.KIND == "rfcn":  # bins of one row have to be alike
    for name in ("class_logits", "box_codes"):
      layer = model.second_stage.get_layer(f"second_stage_{name}")
      for weight in layer.weights:
        values = np.array(weight).reshape(*weight.shape[:-1], 3, 3, -1)
        values = (values + values[..., ::-1, :]) / 2
        weight.assign(values.reshape(weight.shape))
  proposals, num = model.propose(boxes, objectness)
  found = model.classify(features, proposals, num)
  mirrored = model.classify(features[:, :, ::-1], flip_horizontal(proposals), num)
  for index in range(2):
    np.testing.assert_allclose(
      flip_horizontal(found[0])[index, : num[index]],
      mirrored[0][index, : num[index]],
      atol=1e-4,
    )
  np.testing.assert_allclose(found[1], mirrored[1], atol=1e-4)
  for weight, values in zip(model.second_stage.weights, kept):
    weight.assign(values)


def test_true_proposals_and_perfect_scores_are_a_map_of_1():
  """Through suppression of proposals, the real end and COCO's measure."""
  model = FasterRCNN(FASTER, 3)
  generator = np.random.default_rng(2)
  height, width = 96, 128
  tops, lefts = np.meshgrid(np.arange(3) / 3, np.arange(4) / 4, indexing="ij")
  first = np.stack([tops.ravel(), lefts.ravel()], axis=-1)[np.newaxis]
  sides = generator.uniform(0.1, 0.24, (2, 12, 2))
  boxes = np.concatenate([first + 0 * sides, first + sides], axis=-1).astype(np.float32)
  labels = generator.integers(1, 4, (2, 12))
  logits = 40.0 * np.eye(4, dtype=np.float32)[labels]

  def second_stage(inputs, training):
    proposals = inputs["boxes_yxyx_norm"].numpy()
    order = np.abs(proposals[:, :, None] - boxes[:, None]).sum(-1).argmin(-1)
    return {
      "class_logits": tf.constant(np.take_along_axis(logits, order[..., None], axis=1)),
      "box_codes": tf.zeros((*order.shape, 3, 4)),
    }

  model.second_stage = second_stage
  model.candidates = lambda inputs: (None, boxes, np.full((2, 12), 0.9, np.float32))
  found, scores, categories, num = (
    tensor.numpy() for tensor in model.detections(tf.zeros((2, height, width, 3)))
  )
  assert num.tolist() == [12, 12]

  def xywh_px(boxes_yxyx_norm):
    boxes_px = boxes_yxyx_norm.reshape(-1, 4) * np.array([height, width] * 2, float)
    top, left, bottom, right = boxes_px.T
    return np.stack([left, top, right - left, bottom - top], axis=-1)

  truth = xywh_px(boxes)
  of_image = np.repeat([7, 8], 12)
  measured = coco_map(
    GroundTruth(
      image_ids=np.array([7, 8]),
      category_ids=np.array([1, 2, 3]),
      box_image_ids=of_image,
      box_category_ids=labels.ravel(),
      boxes_xywh_px=truth,
      areas_px=truth[:, 2] * truth[:, 3],
      is_crowd=np.zeros(24, bool),
    ),
    DetectedBoxes(
      image_ids=of_image,
      category_ids=categories[:, :12].ravel(),
      boxes_xywh_px=xywh_px(found[:, :12]),
      scores=scores[:, :12].ravel().astype(float),
    ),
  )
  assert measured.summary["AP"] == pytest.approx(1)
  assert measured.summary["AR_100"] == pytest.approx(1)


def test_without_objects_all_is_background_and_no_box_is_learned(model):
  inputs, truth = batch(model)
  truth["labels"] = tf.zeros_like(truth["labels"])
  total, parts = losses(model, inputs, truth)
  assert np.isfinite(total)
  assert set(parts) == PARTS
  assert parts["proposal_localization"] == parts["localization"] == 0
  assert min(parts["objectness"], parts["classification"]) > 0
  truth = {name: value[:, :0] for name, value in truth.items() if name != "index"}
  total, parts = losses(model, inputs, truth)
  assert np.isfinite(total)
  assert parts["localization"] == 0


def test_a_crowd_is_neither_object_nor_background(model):
  inputs, truth = batch(model)
  truth["boxes_yxyx_norm"] = tf.constant([[[0.0, 0.0, 1.0, 1.0]]] * 2)
  truth["is_crowd"] = tf.ones_like(truth["is_crowd"])
  assert losses(model, inputs, truth)[0] == 0


def test_proposals_that_collapsed_are_finite(model):
  inputs, truth = batch(model)
  outputs = {**model(inputs, training=True), "training": True}
  for code in (-1e4, 1e4, -1e30):
    outputs["box_codes"] = tf.fill(outputs["box_codes"].shape, code)
    with tf.GradientTape() as tape:
      total, parts = model.batch_loss(outputs, truth)
    assert np.isfinite(float(total)) or code == -1e30
    slopes = tape.gradient(parts["classification"], model.second_stage.weights[0])
    assert slopes is None or bool(tf.reduce_all(tf.math.is_finite(slopes)))
  boxes, scores = model.classify(
    outputs["features"], tf.zeros((2, 5, 4)), tf.constant([5, 5])
  )
  assert bool(tf.reduce_all(tf.math.is_finite(boxes) & (boxes < 1)))
  assert bool(tf.reduce_all(tf.math.is_finite(scores)))


def test_nothing_is_learned_through_the_place_of_a_crop(model):
  inputs, truth = batch(model)
  of_boxes = model.first_stage.get_layer("proposals_box_codes").kernel
  of_map = model.first_stage.get_layer("tiny_3").kernel
  with tf.GradientTape() as tape:
    outputs = {**model(inputs, training=True), "training": True}
    _, parts = model.batch_loss(outputs, truth)
    second = parts["classification"] + parts["localization"]
  through_place, through_map = tape.gradient(second, [of_boxes.value, of_map.value])
  assert through_place is None or not through_place.numpy().any()
  assert through_map.numpy().any()


def test_draws_differ_in_training_and_stay_in_validation(model):
  inputs, truth = batch(model)
  config, model.config = model.config, _drawing(model.config)
  try:
    learned = {losses(model, inputs, truth)[0] for _ in range(4)}
    validated = {losses(model, inputs, truth, training=False)[0] for _ in range(3)}
  finally:
    model.config = config
  assert len(learned) > 1
  assert len(validated) == 1


def _drawing(config):
  """So few are drawn of so many that two draws are never the same."""
  few = dataclasses.replace(config.proposals, batch_size=20)
  return dataclasses.replace(config, proposals=few, batch_size=8)


def test_hard_examples_are_the_worst(model):
  """With as many as there are proposals all count; with fewer, the loss stays near."""
  inputs, truth = batch(model)
  config = model.config
  found = {}
  try:
    for num in (5, 50):
      model.config = dataclasses.replace(config, hard_examples=num, duplicate_iou=1.0)
      found[num] = losses(model, inputs, truth, training=False)[1]["classification"]
  finally:
    model.config = config
  assert 0 < found[5] < found[50]
  assert found[5] > found[50] * 5 / 50  # more than their share


def test_frozen_layers_are_found_in_both_stages():
  training = dataclasses.replace(TRAINING, batch_norm="freeze", frozen_blocks=2)
  model = FasterRCNN.to_train(FASTER, 2, training)
  frozen = {layer.name for layer in model.leaf_layers if not layer.trainable}
  assert {"tiny_0", "tiny_1", "tiny_3_bn", "tiny_4_bn"} <= frozen
  assert {"tiny_2", "tiny_4", "proposals_3x3"}.isdisjoint(frozen)
  assert all(weight.path for weight in model.trainable_variables)
  names = [layer.name for layer in model.leaf_layers]
  assert len(names) == len(set(names))


@pytest.mark.slow
@pytest.mark.parametrize(
  "config",
  [
    FASTER,
    dataclasses.replace(BINNED, hard_examples=16),
    dataclasses.replace(FASTER, box_coding="corners", localization="l2"),
    dataclasses.replace(BINNED, box_coding="sqrt", localization="iou"),
  ],
  ids=["faster_rcnn", "rfcn-hard", "corners-l2", "rfcn-sqrt-iou"],
)
def test_two_images_are_learned(config):
  model = compiled_detector(config, 2, TRAINING)
  data = tf.data.Dataset.from_tensors(batch(model)).repeat()
  quiet: Any = 0
  history = model.fit(data, epochs=3, steps_per_epoch=20, verbose=quiet).history
  assert set(history) == {"loss", *PARTS}
  assert history["loss"][2] < 0.7 * history["loss"][0]


@pytest.mark.slow
def test_a_killed_training_goes_on_as_if_nothing_had_been(tmp_path):
  training = dataclasses.replace(
    TRAINING, steps=6, summary_steps=2, checkpoint_steps=2, learning_rate=1e-2
  )
  config = _drawing(FASTER)
  shapes = FasterRCNN(config, 2)

  def trained(folder, last):
    def batches_from(step):
      for number in range(step, 100):
        if number == last:
          raise RuntimeError("killed")
        yield batch(shapes, (number, number + 1))

    return train_model(
      lambda: compiled_detector(config, 2, training),
      training,
      batches_from,
      Checkpoints(folder),
      report=lambda line: None,
    )

  whole = trained(tmp_path / "whole", None)
  with pytest.raises(tf.errors.UnknownError, match="killed"):
    trained(tmp_path / "killed", 3)
  assert [path.name for path in (tmp_path / "killed").iterdir()] == [
    "step-000000002.npz"
  ]
  again = trained(tmp_path / "killed", None)
  state, expected = named_state(again), named_state(whole)
  assert sum(name.startswith("random/") for name in state) == 1
  for name, variable in expected.items():
    np.testing.assert_array_equal(
      keras.ops.convert_to_numpy(state[name]),
      keras.ops.convert_to_numpy(variable),
      name,
    )
