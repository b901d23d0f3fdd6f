"""A training that is stopped, killed, copied, and goes on to the same weights."""

import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import Patch, serialize
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.codec import training_run
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.exports.export import export_codec, reconstructor
from hardmine.trainers.codec.network.weights import load_weights
from hardmine.trainers.codec.training.run_folder import RunFolder
from hardmine.trainers.codec.training.training import compiled_codec
from hardmine.trainers.codec.training_run import TrainingRun
from hardmine.trainers.datasets import load_patches

STEPS = 100


def experiment(**training):
  settings = {
    "steps": STEPS,
    "batch_size": 2,
    "iterations": 2,
    "schedule": "stable",
    "learning_rate": 2e-3,
    "ms_ssim_weight": 1.0,
    "log_loss": True,
    "ema_decay": 0.9,
    "augment": True,
    "summary_steps": 10,
    "checkpoint_steps": 30,
    "score_steps": 50,
    **training,
  }
  return CodecExperiment(
    name="tiny",
    mining=MiningConfig(images=("unused",)),
    codec=CodecConfig(
      cell=ConvGRUCell,
      width=1 / 16,
      sent_gain=True,
      output_activation="linear",
      clock=2,
    ),
    training=CodecTrainingConfig(**settings),
    evaluation=CodecEvaluationConfig(images=("unused",), iterations=2),
  )


def begin(directory, **training):
  """A run's folder as `hardmine train` makes it, without mining."""
  import tensorflow as tf

  folder = RunFolder(directory)
  folder.patches.mkdir(parents=True)
  folder.held_out.mkdir()
  rng = np.random.default_rng(0)
  options = tf.io.TFRecordOptions(compression_type="GZIP")
  with tf.io.TFRecordWriter(str(folder.patches / "patches-0.gz"), options) as writer:
    for number in range(24):
      colours = rng.integers(0, 256, (4, 4, 3), np.uint8)
      pixels = colours.repeat(8, 0).repeat(8, 1)
      writer.write(
        serialize(
          Patch(pixels=pixels, source=str(number), row_px=0, column_px=0, score=100)
        )
      )
  Image.fromarray(rng.integers(0, 256, (32, 48, 3), np.uint8)).save(
    folder.held_out / "000-noise.png"
  )
  folder.begin(experiment(**training))
  folder.copy_code([])
  return folder


def train(folder, until_step=None, how=signal.SIGTERM):
  """Runs the folder's own code as a process, to its end or to a signal after a step.

  Returns:
    Seconds from the signal to the end of the process.
  """
  process = subprocess.Popen(
    folder.command(nice=0), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
  )
  sent = time.monotonic()
  assert process.stdout is not None
  for line in process.stdout:
    if until_step and line.startswith(f"step {until_step}  "):
      process.send_signal(how)
      sent = time.monotonic()
      until_step = None
  status = process.wait(60)
  assert until_step is None
  assert status == (0 if how == signal.SIGTERM else -how)
  return time.monotonic() - sent


def final_state(folder):
  with np.load(sorted(folder.checkpoints.glob("*.npz"))[-1]) as file:
    return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run that nobody disturbed."""
  folder = begin(tmp_path_factory.mktemp("whole") / "run")
  train(folder)
  return folder


def assert_same(folder, other):
  ours, theirs = final_state(folder), final_state(other)
  assert ours.keys() == theirs.keys()
  for name, value in ours.items():
    np.testing.assert_array_equal(value, theirs[name], err_msg=name)


@pytest.mark.slow
def test_stopped_killed_copied_and_gone_on_equals_undisturbed(whole, tmp_path):
  folder = begin(tmp_path / "run")
  seconds = train(folder, until_step=40)
  assert seconds < 10
  stopped_at = Checkpoints(folder.checkpoints).restore(
    compiled_codec(experiment().codec, experiment().training)
  )
  second_window = stopped_at // 10 * 10 + 20  # behind the stop; the first is cut short
  assert 60 <= second_window < STEPS
  train(folder, until_step=second_window, how=signal.SIGKILL)
  elsewhere = RunFolder(tmp_path / "other machine" / "copied")
  shutil.copytree(folder.directory, elsewhere.directory)
  shutil.rmtree(folder.directory)
  train(elsewhere)
  assert_same(elsewhere, whole)
  # those windows have the losses that they would have had
  ours, theirs = (
    {line["step"]: line["loss"] for line in run.logged() if "loss" in line}
    for run in (elsewhere, whole)
  )
  for step in range(second_window, STEPS, 10):
    assert ours[step] == theirs[step]


def test_the_folder_tells_how_it_went(whole):
  lines = whole.logged()
  assert [line["step"] for line in lines if "loss" in line] == list(
    range(10, STEPS + 1, 10)
  )
  scored = [line for line in lines if "area" in line]
  assert [line["step"] for line in scored] == [50, 100]
  assert all(len(line["ms_ssim"]) == 2 for line in scored)
  page = whole.page.read_text("utf-8")
  assert "tiny at step 100" in page
  assert page.count("data:image/png") == 4  # plots, original, one and two iterations


def test_the_average_is_kept_in_halves_and_starts_another_run(whole, tmp_path):
  codec = compiled_codec(experiment().codec, experiment().training)
  load_weights(whole.weights, codec)
  state = final_state(whole)
  average = state["optimizer/adam/decoder_d_conv_2_kernel_average"]
  loaded = np.asarray(codec.decoder.head.kernel)
  np.testing.assert_allclose(loaded, average, rtol=1e-3, atol=1e-4)

  other = begin(tmp_path / "other")
  shutil.copyfile(whole.weights, other.initial_weights)
  run = TrainingRun(
    other, other.experiment(), load_patches(other.patches.iterdir()), []
  )
  assert run.step == 0
  np.testing.assert_array_equal(run.codec.decoder.head.kernel, loaded)


@pytest.mark.slow
def test_an_exported_codec_starts_another_run(whole, tmp_path):
  codec = compiled_codec(experiment().codec, experiment().training)
  load_weights(whole.weights, codec)
  export_codec(codec, tmp_path / "model")
  other = compiled_codec(experiment().codec, experiment(seed=3).training)
  load_weights(tmp_path / "model", other)
  for ours, theirs in zip(other.trainable_variables, codec.trainable_variables):
    np.testing.assert_array_equal(ours, theirs)
  plain = compiled_codec(
    CodecConfig(cell=ConvGRUCell, width=1 / 16), experiment().training
  )
  for path in (tmp_path / "model", whole.weights):
    with pytest.raises(ValueError, match=r"differing=\['clock', .*'sent_gain'\]"):
      load_weights(path, plain)


@pytest.mark.slow
def test_an_export_is_exact_however_the_products_were_rounded(tmp_path):
  image = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
  decoded = []
  for dtype in ("float32", "bfloat16"):
    codec = compiled_codec(experiment().codec, experiment(product_dtype=dtype).training)
    export_codec(codec, tmp_path / dtype)
    decoded.append(Codec.load(tmp_path / dtype).reconstructions(image, 2))
    np.testing.assert_array_equal(reconstructor(codec)(image), decoded[-1])
  np.testing.assert_array_equal(*decoded)


def test_weights_of_another_network_are_refused(whole):
  config = CodecConfig(cell=ConvGRUCell, width=1 / 8)
  with pytest.raises(ValueError, match=r"weights of the network.*weights\.npz"):
    load_weights(whole.weights, compiled_codec(config, experiment().training))


def test_two_processes_do_not_train_one_folder(whole):
  with whole.taken():
    result = subprocess.run(
      whole.command(nice=0), capture_output=True, text=True, check=False
    )
  assert result.returncode != 0
  (line,) = result.stderr.splitlines()[-1:]
  assert f"is being trained by process {os.getpid()}" in line
  assert whole.trainer() is None


def test_the_trainer_of_a_run_is_known_while_it_trains(tmp_path):
  folder = RunFolder(tmp_path / "run")
  assert folder.trainer() is None
  with folder.taken():
    assert folder.trainer() == os.getpid()
  assert folder.trainer() is None
  assert (folder.directory / "lock").read_text() == ""  # no number to kill by mistake


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path):
  folder = RunFolder(tmp_path / "run")
  left = [".patches.staging-1", ".code.77", "checkpoints/.step-000000010.npz.7.tmp"]
  kept = [".DS_Store", "notes.txt", "checkpoints/step-000000010.npz"]
  for name in (*left, *kept):
    (folder.directory / name).parent.mkdir(parents=True, exist_ok=True)
    (folder.directory / name).write_text("x")
  with folder.taken():
    pass
  assert not any((folder.directory / name).exists() for name in left)
  assert all((folder.directory / name).exists() for name in kept)


@pytest.mark.slow
def test_only_the_training_changes_once_it_has_begun(whole, tmp_path):
  folder = RunFolder(tmp_path / "run")
  shutil.copytree(whole.directory, folder.directory)
  folder.change(["training.steps=120", "training.cooldown_steps=20"])
  assert folder.experiment().training.steps == 120
  settings = json.loads((folder.directory / "run.json").read_text())
  assert settings["changes"][0]["set"] == [
    "training.steps=120",
    "training.cooldown_steps=20",
  ]
  for refused in ("codec.width=0.5", "training.ema_decay=0.5", "training.seed=1"):
    with pytest.raises(ValueError, match=r"of a run that has begun only training\."):
      folder.change([refused])
  train(folder)
  assert [line["step"] for line in folder.logged() if "area" in line][-1] == 120


def test_newer_code_takes_the_place_of_the_copy(whole, tmp_path):
  folder = RunFolder(tmp_path / "run")
  shutil.copytree(whole.directory, folder.directory)
  trainers = folder.code / "hardmine" / "trainers"
  (trainers / "old.py").write_text("")
  folder.copy_code([])
  assert not (trainers / "old.py").exists()
  assert (trainers / "codec" / "training_run.py").is_file()


def test_a_run_of_version_0_1_goes_on_with_its_own_code(tmp_path):
  """Its copy has the folders at the top, where they were imported from then."""
  folder = RunFolder(tmp_path)
  (folder.code / "trainers" / "codec").mkdir(parents=True)
  (folder.code / "trainers" / "codec" / "training_run.py").write_text(
    "def main(directory, nice):\n  print(directory, nice)\n  return 7\n"
  )
  done = subprocess.run(
    folder.command(nice=3), capture_output=True, text=True, check=False
  )
  assert (done.returncode, done.stdout) == (7, f"{tmp_path.resolve()} 3\n")


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_a_signal_during_the_imports_ends_at_once(tmp_path, name):
  folder = RunFolder(tmp_path)
  code = folder.code / "hardmine" / "trainers" / "codec"
  code.mkdir(parents=True)
  (code / "training_run.py").write_text("import time\nprint(1)\ntime.sleep(60)\n")
  (tmp_path / "signal.py").write_text("raise SystemExit('no code of ours')")
  process = subprocess.Popen(
    folder.command(nice=0),
    cwd=tmp_path,
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
    env={**os.environ, "PYTHONUNBUFFERED": "1"},
  )
  assert process.stdout is not None
  assert process.stdout.readline() == "1\n"
  process.send_signal(signal.Signals[name])
  assert process.communicate(timeout=30) == ("", "")
  assert process.returncode == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_signals_are_kept_for_the_end_of_the_step(name):
  numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
  before = {number: signal.getsignal(number) for number in numbers}
  try:
    stop = training_run._Stop().listen()
    stop.patient = True
    assert not stop
    signal.raise_signal(signal.Signals[name])
    assert stop
  finally:
    for number, handler in before.items():
      signal.signal(number, handler)


def test_a_full_disk_keeps_the_older_checkpoint_and_is_one_line(
  tmp_path, monkeypatch, capsys
):
  codec = compiled_codec(experiment().codec, experiment().training)
  checkpoints = Checkpoints(tmp_path / "checkpoints")
  checkpoints.save(codec, 5)

  def train(folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
      checkpoints.save(codec, 6)
    finally:
      resource.setrlimit(resource.RLIMIT_FSIZE, before)

  monkeypatch.setattr(training_run, "_train", train)
  monkeypatch.setattr(training_run, "Streams", lambda: None)
  assert training_run.main(str(tmp_path), nice=0) == 1
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith(f"hardmine: {checkpoints.directory}/step-000000006.npz: File")
  assert "the same command goes on" in line
  assert checkpoints.restore(codec) == 5
  assert len(os.listdir(checkpoints.directory)) == 1
  assert (tmp_path / "lock").read_text() == ""


def test_a_cut_line_of_the_log_is_not_read(tmp_path):
  folder = RunFolder(tmp_path)
  folder.log(step=10, loss=1.0)
  with open(tmp_path / "log.jsonl", "a") as file:
    file.write('{"step": 20, "lo')
  assert [line["step"] for line in folder.logged()] == [10]
  folder.log(step=30, loss=1.0)
  assert [line["step"] for line in folder.logged()] == [10, 30]


def test_steps_that_were_trained_again_are_told_once(tmp_path):
  folder = RunFolder(tmp_path)
  for step, loss in ((10, 1.0), (20, 2.0), (30, 3.0), (20, 2.5), (30, 3.5)):
    folder.log(step=step, loss=loss)
    if step == 20:
      folder.log(step=step, area=loss)
  told = [(x["step"], x.get("loss"), x.get("area")) for x in folder.logged()]
  assert told == [(10, 1.0, None), (20, 2.5, None), (20, None, 2.5), (30, 3.5, None)]


@pytest.mark.slow
def test_a_scoring_that_was_prevented_is_made_up_for(tmp_path):
  folder = begin(tmp_path / "run", steps=10, score_steps=10)
  patches = load_patches(folder.patches.iterdir())
  run = TrainingRun(folder, folder.experiment(), patches, folder.photographs())
  run.score = lambda _: None  # as if it had been stopped
  run.train()
  assert not folder.weights.exists()
  again = TrainingRun(folder, folder.experiment(), patches, folder.photographs())
  again.train()
  assert folder.weights.exists()
  assert [line["step"] for line in folder.logged() if "area" in line] == [10]


@pytest.mark.slow
def test_a_changed_rate_is_the_one_that_is_used(tmp_path):
  folder = begin(tmp_path / "run", steps=10, schedule="constant", learning_rate=1e-3)
  patches = load_patches(folder.patches.iterdir())
  TrainingRun(folder, folder.experiment(), patches, []).train()
  folder.change(["training.learning_rate=1e-05"])
  run = TrainingRun(folder, folder.experiment(), patches, [])
  assert run.step == 10
  assert float(np.asarray(run.codec.optimizer.learning_rate)) == pytest.approx(1e-5)


def test_weights_that_are_no_numbers_are_not_kept(tmp_path):
  codec = compiled_codec(experiment().codec, experiment().training)
  checkpoints = Checkpoints(tmp_path)
  checkpoints.save(codec, 5)
  codec.trainable_variables[0].assign(np.nan * np.asarray(codec.trainable_variables[0]))
  with pytest.raises(RuntimeError, match="no numbers at step 6"):
    checkpoints.save(codec, 6)
  assert [path.name for path in tmp_path.iterdir()] == ["step-000000005.npz"]


def test_damaged_checkpoints_never_cost_a_whole_one(tmp_path):
  codec = compiled_codec(experiment().codec, experiment().training)
  checkpoints = Checkpoints(tmp_path)
  for step in (10, 20):
    Path(checkpoints.save(codec, step)).write_bytes(b"cut")
  with pytest.raises(RuntimeError, match=r"none of the checkpoints .* can be read"):
    checkpoints.restore(codec)
  checkpoints.save(codec, 5)
  assert checkpoints.restore(codec) == 5
