"""Training: it learns, resumes to the same weights, and stops on NaN."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.folders import folder
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.training.training import (
  compiled_codec,
  contact_sheet,
  train,
)
from hardmine.trainers.datasets import training_batches
from hardmine.trainers.devices import device_scope
from hardmine.trainers.optimizers import learning_rate
from tests.trainers.on_jax import run_on_jax

CODEC = CodecConfig(cell=ConvGRUCell, width=1 / 16)
SETTINGS = {"batch_size": 4, "iterations": 2, "summary_steps": 2, "checkpoint_steps": 2}


def patches(count=16):
  rng = np.random.default_rng(0)
  flat = rng.integers(0, 256, (count, 1, 1, 3))
  return np.broadcast_to(flat, (count, 32, 32, 3)).astype("uint8")


def batches_from(step):
  data = tf.data.Dataset.from_tensor_slices(patches())
  return training_batches(data, 16, SETTINGS["batch_size"], seed=5, first_step=step)


def silent(_):
  pass


def weights_of(codec):
  return [np.asarray(w) for w in codec.weights]


@pytest.mark.parametrize("omission", [0.0, 0.75])
def test_loss_falls_on_plain_colours(tmp_path, omission):
  losses = []

  class Losses(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      losses.append(logs["loss"])

  config = CodecTrainingConfig(
    steps=60,
    **{**SETTINGS, "summary_steps": 20},
    learning_rate=5e-3,
    omission=omission,
  )
  train(
    CODEC,
    config,
    batches_from,
    Checkpoints(tmp_path),
    callbacks=lambda _: [Losses()],
    report=silent,
  )
  assert losses[-1] < 0.9 * losses[0]


def test_training_leaves_codes_out_as_streams_do():
  """A picture stays as it is where its height is reached."""
  codec = build_codec(CODEC, iterations=6, omission=1.0)
  assert codec.omission is not None
  heights = np.asarray(codec.omission.heights(64, 4, 4, 6))
  assert heights.shape == (64, 4, 4, 1)
  assert set(np.unique(heights)) == set(range(1, 7))
  apart = np.abs(np.diff(heights, axis=1))
  assert apart.max() < 5  # smooth
  codec.omission.heights = lambda *_: heights[:2]
  images = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 64, 64, 3))
  estimates = np.asarray(codec(images.astype("float32"), training=True))
  pixels = heights[:2].repeat(16, axis=1).repeat(16, axis=2)[..., 0]
  for t in range(1, 6):
    changed = (estimates[t] != estimates[t - 1]).any(axis=-1)
    assert not changed[pixels <= t].any()
    assert changed[pixels > t].mean() > 0.9
  assert build_codec(CODEC, omission=0.0).omission is None


def test_a_killed_run_resumes_to_the_same_weights(tmp_path):
  """Same noise, same shuffles, same optimizer: cut after 4 of 8 steps, or not."""
  config = CodecTrainingConfig(steps=8, **SETTINGS, schedule="cosine")
  whole = train(CODEC, config, batches_from, Checkpoints(tmp_path / "a"), report=silent)

  class Killed(Exception):
    pass

  class Kill(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
      self.seen = getattr(self, "seen", 0) + 1
      if self.seen == 6:  # in the middle of a window, after the step-4 checkpoint
        raise Killed

  checkpoints = Checkpoints(tmp_path / "b")
  with pytest.raises(Killed):
    train(
      CODEC,
      config,
      batches_from,
      checkpoints,
      callbacks=lambda _: [Kill()],
      report=silent,
    )
  lines = []
  resumed = train(CODEC, config, batches_from, checkpoints, report=lines.append)
  assert "resuming from step 4 of 8" in lines
  for ours, theirs in zip(weights_of(resumed), weights_of(whole)):
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_a_truncated_checkpoint_falls_back_to_the_one_before(kind, tmp_path, capsys):
  url = str(tmp_path) if kind == "disk" else f"memory://bucket{tmp_path}"
  checkpoints, place = Checkpoints(url), folder(url)
  codec = compiled_codec(CODEC, CodecTrainingConfig(steps=4, **SETTINGS))
  for step in (1, 2, 4):
    newest = checkpoints.save(codec, step)
  assert place.tree() == {"step-000000002.npz", "step-000000004.npz"}
  assert newest == place.at("step-000000004.npz")
  place.write("step-000000004.npz", place.read("step-000000004.npz")[:1000])
  assert checkpoints.restore(codec) == 2
  assert newest in capsys.readouterr().err
  assert place.tree() == {"step-000000002.npz", "step-000000004.damaged"}


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
  config = CodecTrainingConfig(steps=4, **SETTINGS)
  Checkpoints(tmp_path).save(compiled_codec(CODEC, config), 2)
  other = compiled_codec(CodecConfig(cell=ConvLSTMCell, width=1 / 16), config)
  with pytest.raises(RuntimeError, match="another model"):
    Checkpoints(tmp_path).restore(other)


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_checkpoint(tmp_path):
  def poisoned(step):
    for batch in batches_from(step).take(2):
      yield (batch,)
    while True:
      yield (tf.fill([4, 32, 32, 3], float("nan")),)

  checkpoints = Checkpoints(tmp_path)
  config = CodecTrainingConfig(steps=6, **SETTINGS)
  with pytest.raises(RuntimeError, match=r"between steps 3 and 4; lower training\."):
    train(CODEC, config, poisoned, checkpoints, report=silent)
  codec = compiled_codec(CODEC, config)
  assert checkpoints.restore(codec) == 2
  assert all(np.isfinite(w).all() for w in weights_of(codec))


def test_batches_go_on_where_they_were_left():
  straight = list(batches_from(0).take(9))
  np.testing.assert_array_equal(straight[6:], list(batches_from(6).take(3)))


def test_every_pass_sees_every_patch_once_in_a_new_order():
  seen = np.concatenate(list(batches_from(0).take(8).as_numpy_iterator()))
  keys = [pixel.tobytes() for pixel in seen[:, 0, 0]]
  assert set(keys[:16]) == set(keys[16:])
  assert keys[:16] != keys[16:]


def test_schedules_end_where_they_should():
  def rate(step, **settings):
    schedule = learning_rate(
      CodecTrainingConfig(steps=1000, learning_rate=0.4, **settings)
    )
    return float(schedule(step)) if callable(schedule) else schedule

  assert rate(999) == 0.4
  assert rate(1000, schedule="cosine") == pytest.approx(0, abs=1e-7)
  stairs = {"schedule": "exponential", "decay_rate": 0.5, "decay_steps": 300}
  assert rate(299, **stairs) == pytest.approx(0.4)
  assert rate(600, **stairs) == pytest.approx(0.1)


def test_gpus_that_do_not_exist_are_named_with_their_remedy():
  if tf.config.list_logical_devices("GPU"):
    pytest.skip("this machine has GPUs")
  with pytest.raises(RuntimeError, match=r"hardmine\[gpu\]"):
    device_scope("mirrored", silent)


def test_contact_sheet_stacks_originals_above_reconstructions():
  codec = compiled_codec(
    CODEC, CodecTrainingConfig(steps=2, **{**SETTINGS, "iterations": 4})
  )
  images = patches(3).astype("float32") / 255 - 0.5
  sheet = contact_sheet(codec, images)
  assert sheet.shape == (32 * 4, 32 * 3, 3)  # original, then 1, 2 and 4 iterations
  np.testing.assert_array_equal(sheet[:32, 32:64], patches(3)[1])


@pytest.mark.slow
def test_trains_on_the_jax_backend_as_well(tmp_path):
  pytest.importorskip("jax")
  program = f"""
import numpy as np
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.training.training import train
def batches(step):
  while True:
    yield (np.full((2, 32, 32, 3), 0.3, "float32"),)

config = CodecTrainingConfig(
  steps=4, batch_size=2, iterations=1, summary_steps=2, learning_rate=5e-3
)
train(CodecConfig(cell=ConvGRUCell, width=1/16), config, batches,
      Checkpoints({str(tmp_path)!r}), report=print)
"""
  assert "step       4/4" in run_on_jax("-c", program)
  assert (tmp_path / "step-000000004.npz").is_file()
