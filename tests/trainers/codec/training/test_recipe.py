"""The recipe's parts: sent gain, clock, wide deep layers, loss, average, schedule."""

import keras
import numpy as np
import pytest
from keras import ops

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.network import sent_gain
from hardmine.trainers.codec.network.losses import codec_loss, iteration_losses, ms_ssim
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.training import held_out
from hardmine.trainers.codec.training.training import compiled_codec
from hardmine.trainers.metrics.ms_ssim import ms_ssim as reference_ms_ssim
from hardmine.trainers.optimizers import averaged, learning_rate

GAIN = {"sent_gain": True, "output_activation": "linear"}
CODEC = CodecConfig(cell=ConvGRUCell, width=1 / 16, clock=3, **GAIN)


def noise(*shape, seed=0, scale=0.5):
  rng = np.random.default_rng(seed)
  return rng.uniform(-scale, scale, shape).astype("float32")


def test_the_gain_brings_any_residual_to_unit_size():
  for scale in (0.9, 0.3, 0.02, 0.001):
    residual = noise(3, 32, 32, 3, scale=scale)
    scaled = residual * sent_gain.factors(sent_gain.exponents(residual))
    sizes = np.sqrt(np.mean(np.square(scaled), axis=(1, 2, 3)))
    # half a step of 2^(1/4) either way
    assert np.all((sizes >= 2**-0.126) & (sizes <= 2**0.126))


def test_each_picture_has_a_gain_of_its_own():
  small, large = noise(1, 32, 32, 3, scale=0.01), noise(1, 32, 32, 3)
  both = sent_gain.exponents(np.concatenate([small, large]))
  assert int(both[0]) == int(sent_gain.exponents(small)[0])
  assert int(both[1]) == int(sent_gain.exponents(large)[0])
  # a hundredth of the size: 6.64 octaves of four steps
  assert int(both[0]) - int(both[1]) == pytest.approx(4 * np.log2(50), abs=1)


def test_a_residual_of_nothing_has_the_largest_gain_and_no_infinity():
  gain = sent_gain.exponents(np.zeros((1, 32, 32, 3), "float32"))
  assert 0 <= int(gain[0]) <= sent_gain.MAX_EXPONENT
  assert np.all(np.isfinite(sent_gain.factors(gain)))


def test_what_the_decoder_says_is_divided_by_the_gain():
  codec = build_codec(CODEC, 1)
  codes = np.sign(noise(1, 2, 2, 32)).astype("float32")
  states = codec.decoder_states(1, 2, 2)
  once = codec.decode_step(codes, np.array([0], "int32"), states)[1]
  eighth = codec.decode_step(codes, np.array([12], "int32"), states)[1]
  np.testing.assert_allclose(np.asarray(once), 8 * np.asarray(eighth), rtol=1e-5)


def test_a_fresh_clock_says_nothing_and_a_set_one_only_at_its_iteration():
  codec, without = (
    build_codec(CodecConfig(cell=ConvGRUCell, width=1 / 16, clock=c), 3, seed=1)
    for c in (3, 0)
  )
  images = noise(1, 32, 32, 3)
  np.testing.assert_array_equal(codec(images), without(images))
  table = codec.decoder.clock.table
  table.assign(np.eye(3, table.shape[1], dtype="float32") * [[0], [5], [0]])
  with_clock, before = np.asarray(codec(images)), np.asarray(without(images))
  np.testing.assert_array_equal(with_clock[0], before[0])
  assert np.abs(with_clock[1] - before[1]).max() > 1e-4


def test_deep_width_widens_the_layers_at_an_eighth_and_below():
  codec = build_codec(CodecConfig(cell=ConvGRUCell, width=1 / 16, deep_width=1 / 8), 1)
  assert [cell.depth for cell in codec.encoder.cells] == [16, 64, 64]
  assert [cell.depth for cell in codec.decoder.cells] == [64, 64, 16, 8]
  assert codec(noise(1, 32, 32, 3)).shape == (1, 1, 32, 32, 3)


@pytest.mark.parametrize("side", [32, 64, 256])
def test_the_loss_measures_what_the_metric_measures(side):
  # 8-bit pixels, which the metric wants; the loss sees them as floats
  rng = np.random.default_rng(side)
  rough = rng.integers(0, 256, (side // 8, side // 8, 3)).repeat(8, 0).repeat(8, 1)
  image = np.clip(rough + rng.integers(-20, 20, rough.shape), 0, 255).astype("uint8")
  others = [
    np.clip(image + rng.normal(0, sigma, image.shape), 0, 255).astype("uint8")
    for sigma in (2, 10, 40)
  ]
  ours = ms_ssim(
    image[None].astype("float32") / 255 - 0.5,
    np.stack(others)[:, None].astype("float32") / 255 - 0.5,
  )
  expected = [reference_ms_ssim(image, other) for other in others]
  np.testing.assert_allclose(np.asarray(ours)[:, 0], expected, atol=2e-5)


def test_the_plain_loss_is_the_papers():
  images, estimates = noise(2, 32, 32, 3), noise(4, 2, 32, 32, 3, seed=1)
  losses = np.asarray(iteration_losses(images, estimates))
  expected = np.abs(images - estimates).mean(axis=(1, 2, 3, 4))
  np.testing.assert_allclose(losses, expected, rtol=1e-5)


def test_logarithms_weigh_halves_alike_wherever_they_happen():
  images = noise(2, 32, 32, 3)
  errors = noise(1, 2, 32, 32, 3, seed=1)
  large, small = (
    np.asarray(iteration_losses(images, images + s * errors, logarithm=True))
    for s in (1.0, 0.01)
  )
  halves = [
    np.asarray(iteration_losses(images, images + s * errors / 2, logarithm=True))
    for s in (1.0, 0.01)
  ]
  np.testing.assert_allclose(large - halves[0], np.log(2), rtol=1e-3)
  np.testing.assert_allclose(small - halves[1], np.log(2), rtol=1e-3)


def test_an_early_weight_counts_iterations_by_a_power_of_their_number():
  images, estimates = noise(2, 32, 32, 3), noise(4, 2, 32, 32, 3, seed=1)
  losses = np.asarray(iteration_losses(images, estimates))
  counts = np.array([1, 1 / 2, 1 / 3, 1 / 4])
  np.testing.assert_allclose(
    np.asarray(codec_loss(images, estimates, early_weight=1.0)),
    np.average(losses, weights=counts),
    rtol=1e-5,
  )


def test_a_perfect_estimate_has_a_finite_loss():
  images = noise(1, 32, 32, 3)
  loss = iteration_losses(images, images[None], ms_ssim_weight=1.0, logarithm=True)
  assert np.all(np.isfinite(np.asarray(loss)))


def test_products_in_bfloat16_change_little():
  config = CodecTrainingConfig(steps=10, summary_steps=10, iterations=2)
  codec = compiled_codec(CODEC, config)
  images = noise(2, 32, 32, 3)
  exact = np.asarray(codec(images))
  codec.multiply_in("bfloat16")
  rough = np.asarray(codec(images))
  assert rough.dtype == np.float32
  # a code that flips changes the picture; most must not
  assert np.median(np.abs(exact[0] - rough[0])) < 0.01


def test_the_average_is_there_inside_and_gone_outside():
  config = CodecTrainingConfig(
    steps=10, summary_steps=10, iterations=2, ema_decay=0.5, learning_rate=1e-2
  )
  codec = compiled_codec(CODEC, config)
  history = []
  for seed in range(3):
    codec.train_on_batch(noise(2, 32, 32, 3, seed=seed))
    history.append(np.array(codec.trainable_variables[0]))
  # the first step starts the average: a1 = w1, then halves with each new weight
  expected = 0.5 * (0.5 * history[0] + 0.5 * history[1]) + 0.5 * history[2]
  with averaged(codec):
    inside = np.array(codec.trainable_variables[0])
  np.testing.assert_allclose(inside, expected, atol=1e-6)
  np.testing.assert_array_equal(codec.trainable_variables[0], history[2])


def test_the_rate_rises_stays_and_falls_only_at_the_end():
  config = CodecTrainingConfig(
    steps=1000,
    schedule="stable",
    warmup_steps=10,
    cooldown_steps=100,
    learning_rate=1.0,
  )
  rate = learning_rate(config)
  at = {step: float(rate(step)) for step in (0, 4, 9, 500, 900, 950, 999)}
  assert at == pytest.approx(
    {0: 0.1, 4: 0.5, 9: 1.0, 500: 1.0, 900: 1.0, 950: 0.5, 999: 0.01}, rel=1e-5
  )


def test_a_rate_that_never_falls_does_not_know_its_last_step():
  for steps in (100, 100_000):
    config = CodecTrainingConfig(steps=steps, schedule="stable", learning_rate=0.25)
    assert float(learning_rate(config)(steps - 1)) == 0.25


def test_the_recipe_trains_on_a_step_of_every_part():
  config = CodecTrainingConfig(
    steps=10,
    summary_steps=10,
    iterations=2,
    ms_ssim_weight=1.0,
    log_loss=True,
    ema_decay=0.9,
    product_dtype="bfloat16",
    schedule="stable",
    warmup_steps=2,
  )
  codec = compiled_codec(CODEC, config)
  images = noise(2, 64, 64, 3)
  first = float(np.asarray(codec.train_on_batch(images)))
  for _ in range(10):
    last = float(np.asarray(codec.train_on_batch(images)))
  assert last < first
  assert isinstance(codec.optimizer, keras.optimizers.Adam)
  assert ops.dtype(codec.trainable_variables[0]) == "float32"


@pytest.mark.parametrize(
  ("scores", "expected"),
  [
    ([0.5, 0.6, 0.7], 3),
    ([0.5, 0.6, 0.6, 0.7], 2),  # an iteration that adds nothing ends it
    ([0.5, 0.4], 1),
    ([0.5], 1),
  ],
)
def test_iterations_help_until_one_does_not(scores, expected):
  assert held_out.num_helpful(np.array(scores)) == expected
  assert held_out.facts(np.array(scores))["iterations"] == expected


def test_the_held_out_area_of_a_perfect_codec_is_the_ideal():
  assert held_out.area(np.ones(16)) == pytest.approx(1.875)
  assert held_out.area(np.linspace(0, 1, 16)) == pytest.approx(1.875 / 2)
