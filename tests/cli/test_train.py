"""`hardmine train`: from photographs to a run that goes on."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pipelines.cli import main
from trainers.codec.run_folder import RunFolder

EXPERIMENT = """
from schemas.codec_config import CodecConfig
from schemas.evaluation_config import CodecEvaluationConfig
from schemas.experiment import CodecExperiment
from schemas.mining_config import MiningConfig
from schemas.training_config import CodecTrainingConfig
from trainers.codec.cells.gru import ConvGRUCell

def experiment():
  return CodecExperiment(
    name="small",
    mining=MiningConfig(
      images=("photos/*.png",), patch_px=64, per_image=3, reductions=(1, 2)
    ),
    codec=CodecConfig(cell=ConvGRUCell, width=1 / 16),
    training=CodecTrainingConfig(
      steps=20, batch_size=2, iterations=2, augment=True, ema_decay=0.9,
      summary_steps=10, score_steps=10,
    ),
    evaluation=CodecEvaluationConfig(images=("none",)),
  )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """An experiment of one's own, photographs, and a module with a common name."""
  path = tmp_path_factory.mktemp("work")
  (path / "small.py").write_text(EXPERIMENT)
  (path / "random.py").write_text("raise SystemExit('the current folder is no code')")
  for name, number in (("photos", 3), ("held_out", 1)):
    (path / name).mkdir()
    for index in range(number):
      pixels = np.random.default_rng(index + number).integers(0, 256, (160, 144, 3))
      Image.fromarray(pixels.astype("uint8")).save(path / name / f"{index}.png")
  return path


def hardmine(folder, *words):
  code = "import sys; sys.path[:] = filter(None, sys.path); " + (
    "from pipelines.cli.main import run; run()"
  )
  return subprocess.run(
    [sys.executable, "-c", code, *words],
    cwd=folder,
    capture_output=True,
    text=True,
    check=False,
  )


@pytest.fixture(scope="module")
def begun(folder):
  result = hardmine(
    folder, "train", "small.py", "--held-out", "held_out/*", "--nice", "0"
  )
  assert result.returncode == 0, result.stderr
  return RunFolder(folder / "runs" / "trainings" / "small"), result.stdout


def test_a_run_has_all_it_needs_in_its_folder(begun):
  run, output = begun
  assert "finished at step 20" in output
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
  # two reductions of three photographs: three patches at full size, one (of 2x1
  # tiles of 80x72 pixels) at half
  assert "12 patches, scored on 1 photographs" in output


def test_the_same_command_goes_on_with_more_steps(folder, begun):
  run, _ = begun
  result = hardmine(
    folder, "train", "small.py", "--set", "training.steps=30", "--nice", "0"
  )
  assert "finished at step 30" in result.stdout, result.stderr
  assert [line["step"] for line in run.logged() if "loss" in line] == [10, 20, 30]
  result = hardmine(folder, "train", "runs/trainings/small", "--status")
  assert "step 30" in result.stdout
  assert "area" in result.stdout


def test_nothing_begins_without_photographs_to_score_on(folder, tmp_path, capsys):
  status = main.main(["train", str(folder / "small.py"), "--run", str(tmp_path / "r")])
  assert status == 2
  assert "--held-out" in capsys.readouterr().err
  assert not (tmp_path / "r").exists()


def test_a_detector_is_refused(capsys, tmp_path):
  words = ["train", "ssd_small_set", "--run", str(tmp_path / "r"), "--held-out", "x"]
  assert main.main(words) == 2
  assert "a codec's experiment" in capsys.readouterr().err
