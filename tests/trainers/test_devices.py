"""What a training runs on."""

import json

import numpy as np
import pytest

from tests.trainers.on_jax import run_on_jax

JAX = """
import json, sys
import keras
import numpy as np
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.training.training import train

def batches(step):
  while True:
    step += 1
    random = np.random.default_rng(step)
    yield (random.uniform(-0.5, 0.5, (4, 32, 32, 3)).astype("float32"),)

class Losses(keras.callbacks.Callback):
  def on_epoch_end(self, epoch, logs=None):
    found[-1].append(float(logs["loss"]))

found, lines = [], []
for strategy, batch_size in (("cpu", 4), ("mirrored", 4), ("mirrored", 5)):
  found.append([])
  config = CodecTrainingConfig(
    steps=4, batch_size=batch_size, iterations=1, summary_steps=1,
    learning_rate=5e-3, clip_norm=0.5, log_loss=True, strategy=strategy,
  )
  try:
    train(CodecConfig(cell=ConvGRUCell, width=1 / 16), config, batches,
          Checkpoints(f"{sys.argv[1]}/{strategy}{batch_size}"),
          callbacks=lambda _: [Losses()], report=lines.append)
  except ValueError as error:
    lines.append(str(error))
print(json.dumps({"losses": found, "lines": lines}))
"""


@pytest.mark.slow
def test_jax_shares_a_step_over_its_local_devices(tmp_path):
  pytest.importorskip("jax")
  flags = "--xla_force_host_platform_device_count=2"
  printed = run_on_jax("-c", JAX, str(tmp_path), flags=flags)
  said = json.loads(printed.splitlines()[-1])
  assert "training on 2 devices on Keras' jax backend" in said["lines"]
  one, two, _ = said["losses"]
  assert len(one) == 4
  np.testing.assert_allclose(two, one, atol=1e-4)
  assert "of all 2 devices together" in said["lines"][-1]
