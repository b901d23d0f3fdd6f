"""The networks of 2015: their sizes, what sees what, and passes with own weights."""

import dataclasses

import numpy as np
import pytest

from hardmine.pipelines.experiments import find
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.entropy_config import EntropyConfig
from hardmine.trainers.codec.cells.feedforward import FeedforwardCell
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.network.losses import codec_loss
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.network.networks import depth_to_space
from hardmine.trainers.codec.network.networks_2015 import space_to_depth
from hardmine.trainers.codec.training import held_out

SMALL = 1 / 64
RESIDUAL = {"cell": FeedforwardCell, "network": "fully_connected", "use_bias": True}


def random_images(*shape, seed=0):
  return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype("float32")


def count(codec):
  return sum(np.asarray(w).size for w in codec.trainable_weights)


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    # encoder 192-512-512-512-4, decoder 4-512-512-512-192, biases, 16 of each
    (
      "codec_2015_fc_residual",
      16 * (2 * (192 * 512 + 2 * 512**2 + 512 * 4) + 2 * 3 * 512 + 4 + 192),
    ),
    # 192-512 and two LSTMs of 512; two LSTMs of 4 and of 512 channels, and 512-192
    (
      "codec_2015_fc_lstm",
      (192 + 1) * 512
      + (512 + 1) * 192
      + (512 + 1) * 4
      + 4 * 512 * (3 * (2 * 512 + 1) + (4 + 512 + 1)),
    ),
    # 3-64-256-512-4 and 4-512-(128)-256-(64)-128-(32)-3
    (
      "codec_2015_conv_residual",
      16
      * (
        9 * (3 * 64 + 64 * 256 + 256 * 512 + 4 * 512 + 128 * 256 + 64 * 128)
        + (512 * 4 + 32 * 3)
        + (64 + 256 + 512 + 4 + 512 + 256 + 128 + 3)
      ),
    ),
    (
      "codec_2015_conv_lstm",
      (9 * 3 + 1) * 64
      + (9 * 4 + 1) * 512
      + (512 + 1) * 4
      + (32 + 1) * 3
      + 4 * 256 * (9 * 64 + 256 + 1 + 9 * 128 + 256 + 1)
      + 4 * 512 * (9 * 256 + 512 + 1)
      + 4 * 128 * (9 * 64 + 128 + 1),
    ),
  ],
)
def test_experiments_have_the_papers_layers(name, expected):
  # an eighth of the passes weighs an eighth
  config = find(name).codec
  if config.own_weights:
    config = dataclasses.replace(config, own_weights=2)
    expected //= 8
  assert count(build_codec(config, 1)) == expected


def test_space_to_depth_undoes_depth_to_space_as_tensorflow_does():
  import tensorflow as tf

  inputs = random_images(2, 4, 6, 5)
  blocks = space_to_depth(tf.constant(inputs))
  np.testing.assert_array_equal(blocks, tf.nn.space_to_depth(inputs, 2))
  np.testing.assert_array_equal(depth_to_space(blocks), inputs)


def test_one_pass_of_a_patch_in_closed_form():
  codec = build_codec(CodecConfig(**RESIDUAL, width=SMALL), 1, seed=1)
  rng = np.random.default_rng(0)
  for weight in codec.trainable_weights:
    weight.assign(rng.normal(0, 0.3, weight.shape))
  image = random_images(1, 16, 16, 3)
  weights = {w.path.split("codec/")[-1]: np.asarray(w) for w in codec.weights}

  def layer(values, path):
    kernel, bias = (
      next(w for p, w in weights.items() if p.endswith(f"{path}/{name}"))
      for name in ("kernel", "bias")
    )
    return values @ kernel.reshape(-1, kernel.shape[-1]) + bias

  for row, column in np.ndindex(2, 2):
    window = np.s_[8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
    values = image[0][window].reshape(-1)
    for path in ("e_fc", "e_rnn_1", "e_rnn_2", "b_conv"):
      values = np.tanh(layer(values, path))
    bits = np.where(values > 0, 1.0, -1.0)
    for path in ("d_fc", "d_rnn_1", "d_rnn_2"):
      bits = np.tanh(layer(bits, path))
    blocks = layer(bits, "d_fc_2").reshape(2, 2, 2, 2, 2, 2, 3)
    patch = np.transpose(blocks, (0, 2, 4, 1, 3, 5, 6)).reshape(8, 8, 3)
    found = np.asarray(codec(image))[0, 0][window]
    np.testing.assert_allclose(found, 0.5 * np.tanh(patch), atol=1e-5)


@pytest.mark.parametrize("cell", [FeedforwardCell, ConvLSTMCell])
def test_patches_see_nothing_of_one_another(cell):
  config = CodecConfig(cell=cell, network="fully_connected", width=SMALL)
  codec = build_codec(config, 3)
  image = random_images(1, 32, 48, 3)
  changed = image.copy()
  changed[0, 8:16, 24:32] *= -1
  apart = (np.asarray(codec(image)) != np.asarray(codec(changed))).any(axis=(0, 1, 4))
  assert apart[8:16, 24:32].any()
  apart[8:16, 24:32] = False
  assert not apart.any()


@pytest.mark.parametrize("network", ["fully_connected", "convolutional"])
def test_equal_weights_of_all_passes_are_shared_ones(network):
  settings = {**RESIDUAL, "network": network, "width": SMALL}
  shared = build_codec(CodecConfig(**settings), 3)
  own = build_codec(CodecConfig(**settings, own_weights=2), 3)
  assert count(own) == 2 * count(shared)
  image = random_images(2, 32, 32, 3)
  assert not np.array_equal(own(image)[1], shared(image)[1])
  for ours, theirs in zip(own.trainable_weights, shared.trainable_weights):
    drawn = np.asarray(ours)
    assert not drawn.any() or not np.array_equal(drawn[0], drawn[1])
    ours.assign(np.stack([np.asarray(theirs)] * 2))
  np.testing.assert_array_equal(own(image), shared(image))  # the third pass too


def test_each_pass_learns_its_own_weights():
  import tensorflow as tf

  codec = build_codec(CodecConfig(**RESIDUAL, width=SMALL, own_weights=3), 2)
  with tf.GradientTape() as tape:
    images = random_images(2, 16, 16, 3)
    loss = tf.reduce_mean(codec(images, training=True)[-1] ** 2)
  slopes = tape.gradient(loss, codec.trainable_variables)
  for variable, slope in zip(codec.trainable_variables, slopes):
    slope = np.asarray(tf.convert_to_tensor(slope))
    used = slope.reshape(3, -1).any(axis=1)
    assert not used[2], variable.path  # there was no third pass
    assert used[1] or "kernel" not in variable.path


def test_an_iteration_is_16_bits_a_block():
  config = CodecConfig(**RESIDUAL, width=SMALL)
  assert (config.code_depth, CodecConfig(cell=ConvGRUCell).code_depth) == (16, 32)
  codec = build_codec(config, 1)
  states = codec.encoder_states(1, 2, 3), codec.decoder_states(1, 2, 3)
  codes, _, _ = codec.encode_step(random_images(1, 32, 48, 3), *states)
  assert codes.shape == (1, 2, 3, 16)
  assert set(np.unique(codes)) == {-1.0, 1.0}


def test_areas_count_the_bits_of_the_network():
  half = CodecConfig(**RESIDUAL).bpp_per_iteration
  assert half == 1 / 16
  # 31 iterations more of 1/16 bit, from the second on, are those of 1/8 bit
  scores = np.linspace(0.5, 0.9, 16)
  twice = np.interp(np.arange(1, 33), 2 * np.arange(1, 17), scores)
  assert held_out.area(twice, half) == pytest.approx(held_out.area(scores))
  assert held_out.area(np.array([0.7]), half) == pytest.approx(0.7 * 1.875)


def test_square_loss_is_the_mean_square():
  images = random_images(2, 32, 32, 3)
  estimates = np.stack([images + 0.1, images - 0.3])
  loss = codec_loss(images, estimates, square=True)
  assert float(loss) == pytest.approx((0.01 + 0.09) / 2, abs=1e-6)


@pytest.mark.parametrize(
  ("settings", "match"),
  [
    ({**RESIDUAL, "own_weights": 3, "network": "full_resolution"}, "own_weights"),
    ({**RESIDUAL, "own_weights": 3, "cell": ConvLSTMCell}, "FeedforwardCell"),
    ({**RESIDUAL, "clock": 3}, "clock"),
    ({**RESIDUAL, "deep_width": 1.0}, "deep_width"),
    ({"cell": ConvGRUCell, "priming": -1}, "priming"),
    ({"cell": ConvGRUCell, "diffusion": 17}, "diffusion"),
  ],
)
def test_what_a_network_does_not_have_is_refused(settings, match):
  with pytest.raises(ValueError, match=match):
    CodecConfig(**settings)


def test_an_experiment_cannot_pass_more_often_than_it_has_weights():
  experiment = find("codec_2015_fc_residual")
  with pytest.raises(ValueError, match=r"up to codec\.own_weights.*own_weights=8"):
    experiment.override(["codec.own_weights=8"])


def test_there_is_no_entropy_model_of_half_the_bits():
  experiment = find("codec_2015_conv_lstm")
  training = dataclasses.replace(experiment.training, entropy=EntropyConfig())
  with pytest.raises(ValueError, match=r"training\.entropy null with the convol"):
    dataclasses.replace(experiment, training=training)
