"""Losses: closed forms, the share of negatives, and the normaliser."""

import math

import numpy as np
import pytest
import tensorflow as tf

from hardmine.trainers.detection import losses
from hardmine.trainers.detection.targets import Targets
from tests.trainers.detection.geometry import config


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


def mask(loss, positive, weights=None, ratio=3.0):
  weights = np.ones(np.shape(loss)) if weights is None else weights
  found = losses.hard_examples(
    np.float32(loss), np.array(positive, bool), np.float32(weights), ratio
  )
  return np.asarray(found).tolist()


def test_the_worst_negatives_count():
  loss = [[0.1, 5, 3, 4, 1, 2]]
  assert mask(loss, [[1, 0, 0, 0, 0, 0]]) == [[1, 1, 1, 1, 0, 0]]
  assert mask(loss, [[1, 0, 0, 1, 0, 0]], ratio=0.5) == [[1, 1, 0, 1, 0, 0]]
  assert mask(loss, [[1, 0, 0, 0, 0, 0]], ratio=0.5) == [[1, 0, 0, 0, 0, 0]]
  assert mask(loss, [[0, 0, 0, 0, 0, 0]]) == [[0] * 6]
  assert mask(loss, [[0, 0, 0, 0, 0, 0]], ratio=0) == [[1] * 6]
  assert mask(loss, [[1, 1, 1, 0, 0, 0]]) == [[1] * 6]  # fewer than nine


def test_every_image_has_its_own_quota():
  loss = [[9, 9, 9, 9], [1, 2, 3, 4]]
  positive = [[0, 0, 0, 0], [1, 0, 0, 0]]
  assert mask(loss, positive, ratio=2) == [[0, 0, 0, 0], [1, 0, 1, 1]]


def test_ignored_anchors_count_neither_way():
  loss, positive = [[1, 9, 2, 3]], [[1, 0, 0, 0]]
  weights = [[1, 0, 1, 1]]
  assert mask(loss, positive, weights, ratio=1) == [[1, 0, 0, 1]]
  assert mask(loss, positive, weights, ratio=0) == [[1, 0, 1, 1]]


def test_equal_losses_do_not_lift_the_quota():
  positive = np.arange(200) == 100
  found = np.array(mask(np.zeros((1, 200)), [positive]))[0]
  assert found.sum() == 4
  np.testing.assert_array_equal(np.flatnonzero(found), [0, 1, 2, 100])


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
@pytest.mark.parametrize("localization", ["smooth_l1", "l2"])
def test_the_loss_is_a_sum_over_the_number_of_positives(classification, localization):
  settings = config(
    classification=classification,
    localization=localization,
    localization_weight=2.5,
    negatives_per_positive=1,
  )
  logits, codes, targets = example()
  total, parts = losses.ssd_loss(logits, codes, targets, settings)
  per_anchor = np.asarray(
    getattr(losses, f"{classification}_classification")(logits, targets.labels)
  )
  classes = boxes = 0.0
  for image, positive in enumerate(targets.positive):
    negatives = np.sort(per_anchor[image][~positive])[::-1][: positive.sum()]
    classes += per_anchor[image][positive].sum() + negatives.sum()
    errors = codes[image][positive] - targets.codes[image][positive]
    boxes += float(np.sum(getattr(losses, localization)(errors, np.zeros_like(errors))))
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
    total, _ = losses.ssd_loss(logits, codes, empty, config())
  assert float(total) == 0
  np.testing.assert_array_equal(tape.gradient(total, logits), np.zeros(logits.shape))
  total, _ = losses.ssd_loss(logits, codes, empty, config(negatives_per_positive=0))
  expected = losses.sigmoid_classification(logits, empty.labels)
  assert float(total) == pytest.approx(float(tf.reduce_sum(expected)), rel=1e-5)


def test_the_order_of_images_and_the_graph_do_not_matter():
  logits, codes, targets = example(batch=4)
  expected, _ = losses.ssd_loss(logits, codes, targets, config())
  order = [3, 1, 0, 2]
  shuffled = Targets(*(value[order] for value in targets))
  found, _ = losses.ssd_loss(logits[order], codes[order], shuffled, config())
  assert float(found) == pytest.approx(float(expected), rel=1e-5)
  graph = tf.function(lambda *arguments: losses.ssd_loss(*arguments, config())[0])
  assert float(graph(logits, codes, targets)) == pytest.approx(
    float(expected), rel=1e-5
  )
  half = losses.ssd_loss(tf.cast(logits, tf.float16), codes, targets, config())[0]
  assert half.dtype == tf.float32
  assert float(half) == pytest.approx(float(expected), rel=1e-2)
