"""The network: sizes from the papers' tables, and the laws of its parts."""

import itertools

import numpy as np
import pytest
from keras import ops

from hardmine.schemas.codec_config import CodecConfig
from hardmine.trainers.codec.cells.cell import convolve
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.cells.residual_gru import ResidualGRUCell
from hardmine.trainers.codec.network.binarizer import Binarizer
from hardmine.trainers.codec.network.model import build_codec, model_id
from hardmine.trainers.codec.network.networks import depth_to_space
from hardmine.trainers.codec.network.reconstruction import enlarge

CELLS = (ConvLSTMCell, ConvGRUCell, ResidualGRUCell)
FRAMEWORKS = ("one_shot", "additive", "residual_scaling")
SMALL = 1 / 16
NO_GAIN = np.zeros(1, "int32")


def random_images(*shape, seed=0):
  return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype("float32")


@pytest.mark.parametrize(
  ("config", "expected"),
  [
    # 1608.05148, table 1, without biases: encoder 17,106,624, binarizer 16,384,
    # decoder 18,333,792.
    ({"cell": ConvLSTMCell}, 35_456_800),
    # 2x2 instead of 3x3 in D-RNN#1: 5 * 512 * 4 * 512 fewer.
    ({"cell": ConvLSTMCell, "d_rnn1_kernel": 2}, 35_456_800 - 5 * 512 * 2048),
    # One bias a gate and unit: 4 * (256 + 512 + 512 + 512 + 512 + 256 + 128).
    ({"cell": ConvLSTMCell, "use_bias": True}, 35_456_800 + 4 * 2688),
    # Three gates instead of four in the cells; the plain layers keep their 34,592.
    ({"cell": ConvGRUCell}, (35_456_800 - 34_592) * 3 // 4 + 34_592),
    # W_h: 256^2 + 4 * 512^2 + 256^2 + 128^2 = 1,196,032; W_ox: 778,240.
    ({"cell": ResidualGRUCell}, 26_601_248 + 1_196_032 + 778_240),
  ],
)
def test_width_one_has_the_papers_parameter_count(config, expected):
  codec = build_codec(CodecConfig(**config), iterations=1)
  assert sum(w.size for w in map(np.asarray, codec.trainable_weights)) == expected


@pytest.mark.parametrize(
  ("side", "strides", "height", "width"),
  [
    (side, strides, height, width)
    for side, strides in itertools.product((1, 2, 3), (1, 2))
    for height, width in ((1, 1), (2, 2), (4, 4), (3, 5), (7, 2), (9, 8))
  ],
)
def test_small_convolutions_equal_the_librarys(side, strides, height, width):
  rng = np.random.default_rng(0)
  inputs = rng.normal(size=(2, height, width, 6)).astype("float32")
  kernel = rng.normal(size=(side, side, 6, 8)).astype("float32")
  ours = convolve(ops.convert_to_tensor(inputs), ops.convert_to_tensor(kernel), strides)
  theirs = ops.conv(inputs, kernel, strides=strides, padding="same")
  np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_lstm_follows_its_equations():
  cell = ConvLSTMCell(depth=3, kernel_size=1, use_bias=True)
  x, h, c = (
    random_images(1, 2, 2, 5),
    random_images(1, 2, 2, 3),
    random_images(1, 2, 2, 3),
  )
  output, (hidden, memory) = cell(x, [ops.convert_to_tensor(s) for s in (h, c)])
  w, u, b = (np.asarray(v) for v in cell.trainable_weights)
  np.testing.assert_array_equal(b, [1] * 3 + [0] * 9)
  f, i, o, j = np.split(x @ w[0, 0] + h @ u[0, 0] + b, 4, axis=-1)
  expected = sigmoid(f) * c + sigmoid(i) * np.tanh(j)
  np.testing.assert_allclose(memory, expected, atol=1e-6)
  np.testing.assert_allclose(hidden, sigmoid(o) * np.tanh(expected), atol=1e-6)
  np.testing.assert_array_equal(output, hidden)


def test_gru_resets_the_state_before_its_convolution():
  cell = ConvGRUCell(depth=3, kernel_size=1)
  x, h = random_images(1, 2, 2, 5), random_images(1, 2, 2, 3)
  output, _ = cell(x, [ops.convert_to_tensor(h)])
  w, u, candidate = (np.asarray(v)[0, 0] for v in cell.trainable_weights)
  from_x = x @ w
  z, r = np.split(sigmoid(from_x[..., :6] + h @ u), 2, axis=-1)
  expected = (1 - z) * h + z * np.tanh(from_x[..., 6:] + (r * h) @ candidate)
  np.testing.assert_allclose(output, expected, atol=1e-6)


def test_residual_gru_without_shortcuts_is_a_gru():
  plain, residual = (
    cls(depth=4, kernel_size=3, strides=2) for cls in (ConvGRUCell, ResidualGRUCell)
  )
  x = random_images(1, 8, 8, 5)
  h = [ops.convert_to_tensor(random_images(1, 4, 4, 4))]
  plain(x, h), residual(x, h)
  zeros = [np.zeros(w.shape) for w in residual.trainable_weights[3:]]
  residual.set_weights([*plain.get_weights(), *zeros])
  for ours, theirs in zip(residual(x, h)[0], plain(x, h)[0]):
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_residual_gru_adds_a_tenth_of_its_input_to_the_output_alone():
  cell = ResidualGRUCell(depth=2, kernel_size=1)
  x, h = random_images(1, 3, 3, 2), ops.zeros((1, 3, 3, 2))
  cell(x, [h])
  cell.set_weights(
    [*(np.zeros(w.shape) for w in cell.weights[:4]), np.eye(2)[None, None]]
  )
  output, (hidden,) = cell(x, [h])
  np.testing.assert_allclose(output, 0.1 * x, atol=1e-7)
  np.testing.assert_array_equal(hidden, np.zeros((1, 3, 3, 2)))


def test_binarizer_thresholds_above_zero_and_never_gives_zero():
  values = np.array([-1.0, -1e-9, -0.0, 0.0, 1e-9, 1.0], "float32")
  np.testing.assert_array_equal(Binarizer()(values), [-1, -1, -1, -1, 1, 1])


def test_binarizer_noise_has_the_values_as_its_expectation():
  values = np.repeat(np.array([-0.8, 0.0, 0.6], "float32"), 20_000)
  bits = np.asarray(Binarizer(seed=1)(values, training=True)).reshape(3, -1)
  np.testing.assert_allclose(np.abs(bits), 1, atol=1e-6)
  # the standard error of each mean is at most 1 / sqrt(20000) = 0.007
  np.testing.assert_allclose(bits.mean(axis=1), [-0.8, 0.0, 0.6], atol=0.03)


def test_binarizer_passes_gradients_unchanged():
  import tensorflow as tf

  values = tf.constant([-0.5, 0.1, 0.9])
  binarizer = Binarizer()
  with tf.GradientTape() as tape:
    tape.watch(values)
    total = tf.reduce_sum(binarizer(values, training=True) * [1.0, 2.0, 3.0])
  np.testing.assert_array_equal(tape.gradient(total, values), [1, 2, 3])


def test_depth_to_space_is_tensorflows():
  import tensorflow as tf

  inputs = random_images(2, 3, 5, 8)
  np.testing.assert_array_equal(
    depth_to_space(ops.convert_to_tensor(inputs)), tf.nn.depth_to_space(inputs, 2)
  )


def test_every_gain_covers_its_own_tile():
  gains = enlarge(ops.reshape(ops.arange(6.0), (1, 2, 3, 1)))
  assert gains.shape == (1, 64, 96, 1)
  np.testing.assert_array_equal(gains[0, 31::32, 32::32, 0], [[1, 2], [4, 5]])


@pytest.mark.parametrize(("cell", "framework"), itertools.product(CELLS, FRAMEWORKS))
def test_all_nine_codecs_code_and_decode_alike(cell, framework):
  codec = build_codec(
    CodecConfig(cell=cell, reconstruction=framework, width=SMALL), iterations=3
  )
  images = random_images(2, 32, 64, 3)
  estimates = np.asarray(codec(images, training=False))
  assert estimates.shape == (3, 2, 32, 64, 3)
  encoder, decoder = codec.encoder_states(2, 2, 4), codec.decoder_states(2, 2, 4)
  blind = codec.decoder_states(2, 2, 4)  # sees the codes only
  for estimate in estimates:
    codes, exponents, encoder = codec.encode_step(images, encoder, decoder)
    assert set(np.unique(codes)) <= {-1.0, 1.0}
    decoder = codec.decode_step(codes, exponents, decoder)
    blind = codec.decode_step(codes, exponents, blind)
    np.testing.assert_allclose(blind[1], estimate, atol=1e-5)
    if framework == "residual_scaling":
      assert np.min(blind[2]) > 1  # ELU > -1, plus 2


def test_additive_sums_what_one_shot_replaces():
  images = random_images(1, 32, 32, 3)
  additive, one_shot = (
    build_codec(CodecConfig(cell=ConvGRUCell, reconstruction=r, width=SMALL), 1, seed=3)
    for r in ("additive", "one_shot")
  )
  np.testing.assert_array_equal(additive(images), one_shot(images))
  states = [c.decoder_states(1, 2, 2) for c in (additive, one_shot)]
  codes = ops.ones((1, 2, 2, 32))
  first = [
    c.decode_step(codes, NO_GAIN, s) for c, s in zip((additive, one_shot), states)
  ]
  second = [
    c.decode_step(codes, NO_GAIN, s) for c, s in zip((additive, one_shot), first)
  ]
  np.testing.assert_allclose(second[0][1], first[0][1] + second[1][1], atol=1e-6)


def test_loss_is_the_mean_absolute_residual():
  codec = build_codec(CodecConfig(cell=ConvGRUCell, width=SMALL), iterations=2)
  images = random_images(2, 32, 32, 3)
  estimates = np.stack([images + 0.1, images - 0.3])
  loss = codec.compute_loss(x=images, y_pred=estimates)
  assert float(loss) == pytest.approx(0.2, abs=1e-6)


def test_model_id_changes_with_a_weight_and_with_the_config():
  codec = build_codec(CodecConfig(cell=ConvGRUCell, width=SMALL), 1)
  first = model_id(codec)
  assert len(first) == 8
  assert first == model_id(build_codec(codec.config, 1))
  weight = codec.trainable_weights[0]
  changed = np.array(weight)
  changed.flat[0] = np.nextafter(changed.flat[0], np.float32(9))
  weight.assign(changed)
  assert model_id(codec) != first
  other = CodecConfig(cell=ConvGRUCell, width=SMALL, reconstruction="one_shot")
  assert model_id(build_codec(other, 1)) != first


def sigmoid(values):
  return 1 / (1 + np.exp(-values))
