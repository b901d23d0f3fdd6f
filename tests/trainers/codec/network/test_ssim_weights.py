"""The loss weighted by SSIM: what weighs more, the mean of all, and no gradient."""

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.network.losses import codec_loss
from hardmine.trainers.codec.network.model import model_id
from hardmine.trainers.codec.network.ssim_weights import SsimWeights, dissimilarity
from hardmine.trainers.codec.training.training import compiled_codec

CODEC = CodecConfig(cell=ConvGRUCell, width=1 / 16)


def pair(seed=0, noise=0.1):
  rng = np.random.default_rng(seed)
  images = rng.uniform(-0.5, 0.5, (2, 32, 48, 3)).astype("float32")
  errors = rng.normal(0, noise, (3, 2, 32, 48, 3)).astype("float32")
  return images, images + errors


def test_dissimilarity_is_that_of_scikit_image_inside_the_border():
  from skimage.metrics import structural_similarity

  images, estimates = pair()
  ours = np.asarray(dissimilarity(images, estimates))
  assert ours.shape == (3, 2, 32, 48, 1)
  _, theirs = structural_similarity(
    255 * (images[1].astype("f8") + 0.5),
    255 * (estimates[2, 1].astype("f8") + 0.5),
    data_range=255,
    channel_axis=-1,
    gaussian_weights=True,
    sigma=1.5,
    use_sample_covariance=False,
    full=True,
  )
  expected = (1 - theirs.mean(axis=-1)) / 2
  np.testing.assert_allclose(ours[2, 1, 5:-5, 5:-5, 0], expected[5:-5, 5:-5], atol=1e-4)


def test_equal_pictures_are_not_unlike_and_opposite_ones_are():
  images, _ = pair()
  assert np.asarray(dissimilarity(images, images[None])).max() < 1e-4
  noise = images - images.mean(axis=(1, 2), keepdims=True)
  opposite = np.asarray(dissimilarity(noise, -noise[None]))
  assert opposite.min() > 0.7
  assert opposite.max() <= 1


def test_weights_average_to_one_and_are_larger_where_pictures_differ():
  weights = SsimWeights()
  for seed in range(20):
    found = np.asarray(weights(*pair(seed), training=True))
    if seed == 0:  # the first mean is that of its own pictures
      assert found.mean() == pytest.approx(1, abs=1e-5)
    assert found.mean() == pytest.approx(1, abs=0.05)
  images, estimates = pair(50)
  estimates[:, :, :, 24:] = images[:, :, 24:]
  half = np.asarray(weights(images, estimates))
  assert half[:, :, :, :16].mean() > 20 * half[:, :, :, 36:].mean()


def test_the_mean_moves_by_a_hundredth_a_step_and_only_in_training():
  weights = SsimWeights()
  means = [float(np.mean(dissimilarity(*pair(s, n)))) for s, n in ((0, 0.1), (1, 0.4))]
  weights(*pair(0, 0.1), training=True)
  weights(*pair(1, 0.4), training=True)
  usual = (0.99 * means[0] + means[1]) / 1.99
  for _ in range(2):
    found = float(np.mean(weights(*pair(1, 0.4))))
    assert found == pytest.approx(means[1] / usual, rel=1e-4)


def test_no_gradient_goes_through_the_weights():
  import tensorflow as tf

  images, estimates = pair()
  weights, seen = SsimWeights(), tf.constant(estimates)
  with tf.GradientTape() as tape:
    tape.watch(seen)
    found = weights(images, seen, training=True)
    loss = codec_loss(images, seen, pixel_weights=found)
  expected = np.asarray(found) * np.sign(estimates - images) / estimates.size
  np.testing.assert_allclose(tape.gradient(loss, seen), expected, atol=1e-9)


def test_a_codec_learns_by_it_and_its_checkpoint_keeps_the_mean(tmp_path):
  settings = {"steps": 2, "batch_size": 2, "iterations": 2, "summary_steps": 2}
  config = CodecTrainingConfig(**settings, pixel_loss="ssim_weighted")
  codec = compiled_codec(CODEC, config)
  images = pair()[0]
  losses = [float(codec.train_on_batch(images)) for _ in range(2)]
  assert np.isfinite(losses).all()
  moving = np.asarray(codec.ssim_weights.moving)
  assert moving[1] == pytest.approx(1 - 0.99**2, rel=1e-4)
  Checkpoints(tmp_path).save(codec, 2)
  other = compiled_codec(CODEC, config)
  assert Checkpoints(tmp_path).restore(other) == 2
  np.testing.assert_array_equal(other.ssim_weights.moving, moving)
  # it is no part of what a stream means, nor of a codec that is trained otherwise
  plain = compiled_codec(CODEC, CodecTrainingConfig(**settings))
  for ours, theirs in zip(plain.trainable_variables, codec.trainable_variables):
    ours.assign(theirs)
  assert len(codec.weights) == len(plain.weights) + 1
  assert model_id(plain) == model_id(codec)
