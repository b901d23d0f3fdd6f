"""docs/train_on_several_devices.md: what it says to type, typed, on this machine."""

import re
import shlex
from pathlib import Path

import pytest

from hardmine.pipelines.experiments import find
from hardmine.trainers.workers.tf_config import place_of
from tests.cli.process import start
from tests.e2e.tiny_codec import tiny_experiment
from tests.trainers.workers.test_team import free_port

PAGE = Path(__file__).resolve().parents[2] / "docs" / "train_on_several_devices.md"
CHIEF, OTHER = "HOST:2222", "OTHER:2222"


def blocks():
  """Each as its TF_CONFIG, or none, and the words behind `hardmine`."""
  text = PAGE.read_text("utf-8")
  found = []
  for kind, block in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M):
    if not kind:
      *variables, command = [shlex.split(line) for line in block.splitlines()]
      settings = dict(word.split("=", 1) for _, word in variables)
      found.append((settings, command[1:]))
  return found


def test_the_page_names_a_chief_and_a_worker():
  alone, *several = blocks()
  assert alone == ({}, ["run", "codec_cpu", "--strategy", "mirrored"])
  places = [place_of(settings) for settings, _ in several]
  assert [place.rank for place in places] == [0, 1]
  assert places[0].addresses == places[1].addresses == (CHIEF, OTHER)
  assert several[0][1] == several[1][1]
  for strategy in ("mirrored", "multiworker"):
    experiment = find("codec_cpu").override([f"training.strategy={strategy}"])
    assert experiment.training.strategy == strategy


@pytest.mark.slow
def test_two_machines_run_the_same_command(tmp_path):
  """To the Trainer and no further; the worker is told another folder as its home."""
  experiment = tiny_experiment(tmp_path)
  (tmp_path / "tiny.json").write_text(experiment.to_json())
  port = free_port()
  processes = []
  for number, (settings, words) in enumerate(blocks()[1:]):
    config = settings["TF_CONFIG"].replace(CHIEF, f"127.0.0.1:{port}")
    words = [
      str(tmp_path / {"codec_cpu": "tiny.json"}.get(w, w)) if "_" in w else w
      for w in words
    ]
    words[words.index("ROOT")] = str(tmp_path / "root")
    home = tmp_path / f"machine{number}"
    home.mkdir()
    processes.append(start(home, [*words, "--to", "Trainer"], TF_CONFIG=config))
  try:
    (told, errors), (worker, complaints) = [
      process.communicate(timeout=300) for process in processes
    ]
  finally:
    for process in processes:
      process.kill()
  assert [process.returncode for process in processes] == [0, 0], (errors, complaints)
  assert "Trainer" in told
  assert re.search(r"worker 0 \(OTHER:2222\): done$", worker.strip()), worker
  models = list((tmp_path / "root").rglob("saved_model.pb"))
  assert len(models) == 1
  assert list((tmp_path / "machine1").iterdir()) == []
