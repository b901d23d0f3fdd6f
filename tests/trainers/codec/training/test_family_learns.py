"""Every unit with every reconstruction, and the networks of 2015, learn a little."""

import itertools

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.associative_lstm import AssociativeLSTMCell
from hardmine.trainers.codec.cells.feedforward import FeedforwardCell
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.cells.residual_gru import ResidualGRUCell
from hardmine.trainers.codec.training.training import compiled_codec

pytestmark = pytest.mark.slow

ITERATIONS, STEPS, SIDE = 2, 60, 32
CELLS = (ConvLSTMCell, ConvGRUCell, ResidualGRUCell, AssociativeLSTMCell)
FRAMEWORKS = ("one_shot", "additive", "residual_scaling")
RESIDUAL = {"cell": FeedforwardCell, "own_weights": ITERATIONS}
ONE_SHOT = {"cell": ConvLSTMCell, "reconstruction": "one_shot"}
CODECS = {
  f"{cell.__name__}-{framework}": {"cell": cell, "reconstruction": framework}
  for cell, framework in itertools.product(CELLS, FRAMEWORKS)
} | {
  "fc_residual": {**RESIDUAL, "network": "fully_connected"},
  "fc_residual_shared": {"cell": FeedforwardCell, "network": "fully_connected"},
  "fc_lstm": {**ONE_SHOT, "network": "fully_connected"},
  "conv_residual": {**RESIDUAL, "network": "convolutional"},
  "conv_lstm": {**ONE_SHOT, "network": "convolutional"},
}


@pytest.fixture(scope="module")
def images():
  """Slopes of colour, float32 [8, side, side, 3] in [-0.5, 0.5]."""
  rng = np.random.default_rng(0)
  level, down, across = rng.uniform(-0.3, 0.3, (3, 8, 1, 1, 3))
  along = np.linspace(-0.5, 0.5, SIDE)
  slopes = down * along[:, None, None] + across * along[None, :, None]
  return (level + slopes).clip(-0.5, 0.5).astype("float32")


@pytest.mark.parametrize("name", CODECS)
def test_training_raises_the_curve_and_iterations_rise_along_it(name, images):
  config = CodecTrainingConfig(
    steps=STEPS,
    batch_size=len(images),
    iterations=ITERATIONS,
    summary_steps=1,
    learning_rate=5e-3,
    clip_norm=0.5,
  )
  codec = compiled_codec(
    CodecConfig(width=1 / 16, use_bias=True, **CODECS[name]), config
  )

  def errors():
    return np.abs(np.asarray(codec(images)) - images).mean(axis=(1, 2, 3, 4))

  before = errors()
  for _ in range(STEPS):
    codec.train_on_batch(images)
  after = errors()
  assert (after < 0.9 * before).all(), (before, after)
  assert after[-1] < after[0], after
