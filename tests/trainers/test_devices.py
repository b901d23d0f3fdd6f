"""What a training runs on."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

JAX = """
import json, sys
import keras
import numpy as np
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.training import train

def batches(step):
  while True:
    step += 1
    random = np.random.default_rng(step)
    yield (random.uniform(-0.5, 0.5, (4, 32, 32, 3)).astype("float32"),)

losses = []
class Losses(keras.callbacks.Callback):
  def on_epoch_end(self, epoch, logs=None):
    losses.append(float(logs["loss"]))

folder, strategy, batch_size = sys.argv[1:]
config = CodecTrainingConfig(
  steps=6, batch_size=int(batch_size), iterations=1, summary_steps=1,
  learning_rate=5e-3, clip_norm=0.5, log_loss=True, strategy=strategy,
)
lines = []
train(CodecConfig(cell=ConvGRUCell, width=1 / 16), config, batches,
      Checkpoints(folder), callbacks=lambda _: [Losses()], report=lines.append)
print(json.dumps({"losses": losses, "lines": lines}))
"""


def on_jax(folder, strategy, num_devices, batch_size=4):
  flags = f"--xla_force_host_platform_device_count={num_devices}"
  environment = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "XLA_FLAGS": flags}
  return subprocess.run(
    [sys.executable, "-c", JAX, str(folder), strategy, str(batch_size)],
    env={**os.environ, **environment},
    capture_output=True,
    text=True,
    timeout=300,
  )


@pytest.mark.slow
def test_jax_shares_a_step_over_its_local_devices(tmp_path):
  pytest.importorskip("jax")
  found = []
  for number, strategy in ((1, "auto"), (2, "mirrored")):
    done = on_jax(tmp_path / strategy, strategy, number)
    assert done.returncode == 0, done.stderr
    found.append(json.loads(done.stdout.splitlines()[-1]))
  assert "training on 2 devices on Keras' jax backend" in found[1]["lines"]
  assert len(found[0]["losses"]) == 6
  np.testing.assert_allclose(found[1]["losses"], found[0]["losses"], atol=1e-4)
  done = on_jax(tmp_path / "odd", "mirrored", 2, batch_size=5)
  assert "of all 2 devices together" in done.stderr.splitlines()[-1]
