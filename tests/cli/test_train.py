"""`hardmine train`, by the commands of its page, from photographs to a stream."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import main
from hardmine.pipelines.experiments import find
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.training.run_folder import RunFolder
from tests.cli.process import hardmine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "train_a_codec.md"
# In the place of the experiment that the page names: as it is, but small.
EXPERIMENT = """
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell

def experiment():
  return CodecExperiment(
    name="codec_shipped",
    mining=MiningConfig(images=("none",), patch_px=64, per_image=3, reductions=(1, 2)),
    codec=CodecConfig(cell=ConvGRUCell, width=1 / 16),
    training=CodecTrainingConfig(
      steps=20, batch_size=2, iterations=2, augment=True, ema_decay=0.9,
      summary_steps=10, score_steps=10,
    ),
    evaluation=CodecEvaluationConfig(images=("none",)),
  )
"""
SMALL_ENTROPY = ("steps=2", "batch_size=32", "hidden=8")


def commands():
  """The page's commands, word by word."""
  blocks = re.findall(r"^```\n(.*?)^```", PAGE.read_text("utf-8"), re.S | re.M)
  lines = [line for block in blocks for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines if line.startswith("hardmine ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """An experiment of one's own, photographs, and a module with a common name."""
  path = tmp_path_factory.mktemp("work")
  (path / "codec_shipped.py").write_text(EXPERIMENT)
  (path / "random.py").write_text("raise SystemExit('the current folder is no code')")
  for name, number in (("photos", 3), ("held_out", 1)):
    (path / name).mkdir()
    for index in range(number):
      pixels = np.random.default_rng(index + number).integers(0, 256, (160, 144, 3))
      Image.fromarray(pixels.astype("uint8")).save(path / name / f"{index}.png")
  Image.fromarray(np.zeros((20, 30, 3), "uint8")).save(path / "photo.png")
  return path


@pytest.fixture(scope="module")
def answers(folder):
  """What each command of the page that trains or uses the training printed."""
  outputs = []
  for words in commands():
    if words[:2] == ["train", "codec_shipped"]:
      words[1] = "codec_shipped.py"
    if words[0] == "train":
      words += ["--nice", "0"]  # beside other tests there is no idle time
    if words[0] == "entropy":
      words += [x for one in SMALL_ENTROPY for x in ("--set", one)]
    if words[0] != "run":
      result = hardmine(folder, words)
      assert result.returncode == 0, (words, result.stderr)
      outputs.append(result.stdout)
  return outputs


@pytest.fixture(scope="module")
def run(folder, answers):
  return RunFolder(folder / "runs" / "trainings" / "codec_shipped")


@pytest.mark.slow
def test_each_command_of_the_page_says_what_it_did(answers):
  begun, status, stopped, again, changed, exported, encoded, fitted, smaller = answers
  # two reductions of three photographs: three patches whole, and of 80x72 pixels one
  assert "12 patches, scored on 1 photographs" in begun
  assert "finished at step 20" in begun
  assert "step 20" in status
  assert "area" in status
  assert "nobody trains it" in stopped
  assert "finished at step 20" in again
  assert "finished at step 20" in changed
  assert "of 2 iterations help" in exported
  assert "photo.hmc" in encoded
  assert "model_with_entropy: model with entropy model" in fitted
  assert "smaller.hmc" in smaller


@pytest.mark.slow
def test_a_run_has_all_it_needs_in_its_folder(run):
  assert {path.name for path in run.directory.iterdir()} == {
    "checkpoints",
    "code",
    "held_out",
    "index.html",
    "lock",
    "log.jsonl",
    "patches",
    "run.json",
    "weights.npz",
  }
  assert not (run.code / "pipelines").exists()
  assert run.experiment().training.learning_rate == 0.0005
  assert [line["step"] for line in run.logged() if "loss" in line] == [10, 20]


@pytest.mark.slow
def test_the_exported_codec_stops_where_iterations_stop_helping(folder, answers):
  codec = Codec.load(folder / "model")
  assert codec.iterations == codec.facts["iterations"] <= 2
  assert len(codec.facts["held_out_ms_ssim"]) == 2


@pytest.mark.slow
def test_a_model_that_is_there_is_not_overwritten(folder, answers, capsys):
  words = ["train", str(folder / "runs/trainings/codec_shipped")]
  assert main.main([*words, "--export", str(folder / "model")]) == 2
  assert "does not exist or is empty" in capsys.readouterr().err


def test_the_pages_pipelines_are_experiments_that_exist():
  steps = []
  for words in commands():
    if words[0] == "run":
      assignments = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
      training = find(words[1]).override(assignments).training
      steps.append((training.steps, training.cooldown_steps))
  assert steps == [(2000, 2000), (100, 0)]
