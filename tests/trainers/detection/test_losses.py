"""Losses: closed forms, the share of negatives, and the normaliser."""

import math

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection.geometry import box_coder
from hardmine.trainers.detection.training import losses
from hardmine.trainers.detection.training.targets import Targets
from tests.trainers.detection.geometry import config, random_boxes

ANCHORS = random_boxes(np.random.default_rng(5), 12, min_side=0.1)
CODINGS = ("log", "corners", "sqrt")


def test_box_losses_by_hand():
  codes = np.float32([[0.5, -0.5, 3, 0]])
  zeros = np.zeros((1, 4), "float32")
  np.testing.assert_allclose(losses.smooth_l1(codes, zeros), [0.125 * 2 + 2.5])
  np.testing.assert_allclose(losses.smooth_l1(codes, zeros, delta=2.0), [0.25 + 4])
  np.testing.assert_allclose(losses.l2(codes, zeros), [0.25 + 4.5])
  np.testing.assert_array_equal(losses.smooth_l1(codes, codes), [0])


def test_smooth_l1_has_a_slope_of_at_most_one():
  errors = tf.constant([[-9.0, -0.25, 0.0, 2.0]])
  with tf.GradientTape() as tape:
    tape.watch(errors)
    loss = losses.smooth_l1(errors, tf.zeros((1, 4)))
  np.testing.assert_allclose(tape.gradient(loss, errors), [[-1, -0.25, 0, 1]])


def by_iou(boxes, truths, anchors=ANCHORS, coding="log"):
  """The loss and its slopes along the codes of boxes."""
  codes = tf.Variable(box_coder.encode(boxes, anchors, coding))
  goal = box_coder.encode(truths, anchors, coding)
  with tf.GradientTape() as tape:
    loss = losses.localization("iou", codes, goal, anchors, coding)
  return loss.numpy(), tape.gradient(loss, codes).numpy()


@pytest.mark.parametrize("coding", CODINGS)
def test_iou_is_that_of_the_boxes_whatever_the_coding(coding):
  anchors = np.float32([[0.2, 0.2, 0.6, 0.6]] * 3)
  truth = np.float32([[0.2, 0.2, 0.6, 0.6]] * 3)
  boxes = np.float32([[0.2, 0.2, 0.6, 0.6], [0.4, 0.2, 0.8, 0.6], [0.3, 0.3, 0.5, 0.5]])
  loss, slopes = by_iou(boxes, truth, anchors, coding)
  np.testing.assert_allclose(loss, [0, 1 - 1 / 3, 1 - 1 / 4], atol=1e-5)
  assert np.isfinite(slopes).all()
  codes = box_coder.encode(boxes, anchors, coding) - 1e-2 * slopes
  goal = box_coder.encode(truth, anchors, coding)
  lower = losses.localization("iou", codes, goal, anchors, coding).numpy()
  assert (lower[1:] < loss[1:]).all()  # downhill


@pytest.mark.parametrize("coding", CODINGS)
def test_boxes_that_share_nothing_have_a_loss_of_one_and_no_slope(coding):
  apart = np.float32([[0.1, 0.1, 0.2, 0.2], [0.3, 0.3, 0.3, 0.3], [0.5, 0.5, 0.5, 0.9]])
  truth = np.float32([[0.2, 0.2, 0.5, 0.5], [0.3, 0.3, 0.3, 0.3], [0.5, 0.5, 0.9, 0.9]])
  loss, slopes = by_iou(apart, truth, ANCHORS[:3], coding)
  np.testing.assert_allclose(loss, [1, 1, 1], atol=1e-6)
  np.testing.assert_array_equal(slopes, np.zeros((3, 4)))


@pytest.mark.parametrize("kind", ["smooth_l1", "l2", "iou"])
@pytest.mark.parametrize("coding", CODINGS)
def test_wild_codes_have_finite_losses_and_slopes(kind, coding):
  wild = [-1e6, -200.0, -40.0, -10.0, 0.0, 10.0, 200.0, 1e6]
  codes = tf.Variable(np.float32(np.meshgrid(*[wild] * 4)).reshape(4, -1).T)
  goal = box_coder.encode(ANCHORS[:1] + 0.01, ANCHORS[:1], coding)
  with tf.GradientTape() as tape:
    loss = losses.localization(kind, codes, goal, ANCHORS[:1], coding)
  assert np.isfinite(loss).all()
  assert np.isfinite(tape.gradient(loss, codes)).all()


def test_sigmoids_count_one_by_one_with_the_background_among_them():
  logits = np.float32([[2, -1, 0.5], [2, -1, 0.5]])
  p = 1 / (1 + np.exp(-logits[0]))
  expected = [
    -math.log(p[0] * (1 - p[1]) * (1 - p[2])),
    -math.log((1 - p[0]) * (1 - p[1]) * p[2]),
  ]
  found = losses.sigmoid_classification(logits, np.array([0, 2]))
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_softmax_is_the_logarithm_of_a_share():
  logits = np.float32([[2, -1, 0.5]])
  share = np.exp(-1) / np.exp(logits[0]).sum()
  found = losses.softmax_classification(logits, np.array([1]))
  np.testing.assert_allclose(found, [-np.log(share)], rtol=1e-5)


@pytest.mark.parametrize(
  "loss", [losses.sigmoid_classification, losses.softmax_classification]
)
def test_classification_survives_any_logit(loss):
  logits = tf.constant([[200.0, -200.0], [-200.0, 200.0]])
  with tf.GradientTape() as tape:
    tape.watch(logits)
    found = loss(logits, np.array([0, 0]))
  np.testing.assert_allclose(found, [0, 400], atol=1e-4)
  assert np.all(np.isfinite(tape.gradient(found, logits)))


def example(batch=2, num_anchors=12, num_categories=3):
  rng = np.random.default_rng(0)
  positive = rng.uniform(size=(batch, num_anchors)) < 0.25
  positive[:, 0], positive[:, 1] = True, False
  labels = rng.integers(1, num_categories + 1, positive.shape) * positive
  codes = rng.normal(size=(*positive.shape, 4)) * positive[..., None]
  targets = Targets(
    labels=labels.astype("int32"),
    codes=codes.astype("float32"),
    positive=positive,
    weights=np.ones(positive.shape, "float32"),
  )
  logits = rng.normal(size=(*positive.shape, num_categories + 1)).astype("float32")
  return logits, rng.normal(size=codes.shape).astype("float32"), targets


@pytest.mark.parametrize("classification", ["sigmoid", "softmax"])
@pytest.mark.parametrize("localization", ["smooth_l1", "l2", "iou"])
def test_the_loss_is_a_sum_over_the_number_of_positives(classification, localization):
  settings = config(
    classification=classification,
    localization=localization,
    localization_weight=2.5,
    negatives_per_positive=1,
  )
  logits, codes, targets = example()
  total, parts = losses.ssd_loss(logits, codes, targets, ANCHORS, settings)
  per_anchor = np.asarray(
    getattr(losses, f"{classification}_classification")(logits, targets.labels)
  )
  classes = boxes = 0.0
  for image, positive in enumerate(targets.positive):
    negatives = np.sort(per_anchor[image][~positive])[::-1][: positive.sum()]
    classes += per_anchor[image][positive].sum() + negatives.sum()
    of_image = losses.localization(
      localization, codes[image], targets.codes[image], ANCHORS
    )
    boxes += float(np.sum(np.asarray(of_image)[positive]))
  num_positives = targets.positive.sum()
  assert float(parts["classification"]) == pytest.approx(
    classes / num_positives, rel=1e-5
  )
  assert float(parts["localization"]) == pytest.approx(
    2.5 * boxes / num_positives, rel=1e-5
  )
  assert float(total) == pytest.approx(sum(map(float, parts.values())), rel=1e-6)


def test_a_batch_without_objects_has_no_loss_and_no_gradient():
  logits, codes, targets = example()
  empty = targets._replace(
    labels=0 * targets.labels, positive=np.zeros_like(targets.positive)
  )
  logits = tf.constant(logits)
  with tf.GradientTape() as tape:
    tape.watch(logits)
    total, _ = losses.ssd_loss(logits, codes, empty, ANCHORS, config())
  assert float(total) == 0
  np.testing.assert_array_equal(tape.gradient(total, logits), np.zeros(logits.shape))
  total, _ = losses.ssd_loss(
    logits, codes, empty, ANCHORS, config(negatives_per_positive=0)
  )
  expected = losses.sigmoid_classification(logits, empty.labels)
  assert float(total) == pytest.approx(float(tf.reduce_sum(expected)), rel=1e-5)


def test_near_duplicates_count_once():
  """Two anchors that say the same box: the one that is more wrong counts alone."""
  anchors = np.float32([[0.1, 0.1, 0.5, 0.5]] * 2 + [[0.6, 0.6, 0.9, 0.9]])
  codes = np.zeros((1, 3, 4), "float32")
  codes[0, 0, 0] = 0.01
  logits = np.float32([[[2, 0, 0], [3, 0, 0], [1, 0, 0]]])
  targets = Targets(
    labels=np.int32([[1, 1, 2]]),
    codes=np.ones((1, 3, 4), "float32"),
    positive=np.ones((1, 3), bool),
    weights=np.ones((1, 3), "float32"),
  )
  total, parts = losses.ssd_loss(logits, codes, targets, anchors, config())
  single, fewer = losses.ssd_loss(
    logits, codes, targets, anchors, config(duplicate_iou=0.99)
  )
  of_first = losses.sigmoid_classification(logits[0, 0], targets.labels[0, 0])
  assert float(parts["classification"]) - float(fewer["classification"]) == (
    pytest.approx(float(of_first) / 3, rel=1e-5)
  )
  of_first = losses.smooth_l1(codes[0, 0], targets.codes[0, 0])
  assert float(parts["localization"]) - float(fewer["localization"]) == (
    pytest.approx(float(of_first) / 3, rel=1e-5)
  )
  assert float(single) < float(total)
  np.testing.assert_array_equal(targets.weights, np.ones((1, 3)))


def test_the_order_of_images_and_the_graph_do_not_matter():
  logits, codes, targets = example(batch=4)
  expected, _ = losses.ssd_loss(logits, codes, targets, ANCHORS, config())
  order = [3, 1, 0, 2]
  shuffled = Targets(*(value[order] for value in targets))
  found, _ = losses.ssd_loss(logits[order], codes[order], shuffled, ANCHORS, config())
  assert float(found) == pytest.approx(float(expected), rel=1e-5)
  graph = tf.function(
    lambda *arguments: losses.ssd_loss(*arguments, ANCHORS, config())[0]
  )
  assert float(graph(logits, codes, targets)) == pytest.approx(
    float(expected), rel=1e-5
  )
  logits = tf.cast(logits, tf.float16)
  half = losses.ssd_loss(logits, codes, targets, ANCHORS, config())[0]
  assert half.dtype == tf.float32
  assert float(half) == pytest.approx(float(expected), rel=1e-2)
