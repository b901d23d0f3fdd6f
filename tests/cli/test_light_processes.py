"""What commands import: those that use a finished model or mine need no TensorFlow."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

HEAVY = ("tensorflow", "keras", "tfx", "apache_beam")
NEEDLESS = ("scipy", "rich", "jinja2", "pandas", "matplotlib", "asyncio", "fsspec")
PROGRAM = """
import sys
from hardmine.pipelines.cli.main import main
status = main(sys.argv[2:])
found = [name for name in sys.argv[1].split(",") if name in sys.modules]
print("imported:", *found, file=sys.stderr)
sys.exit(status)
"""


def imported(folder, words, names):
  """Which of some modules a command imports, as a process of its own."""
  names_of_env = ("HARDMINE_RUNTIME", "HARDMINE_MODEL")
  environment = {k: v for k, v in os.environ.items() if k not in names_of_env}
  result = subprocess.run(
    [sys.executable, "-c", PROGRAM, ",".join(names), *words],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
  )
  assert result.returncode == 0, result.stderr
  (line,) = (one for one in result.stderr.splitlines() if one.startswith("imported:"))
  return line.split()[1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Photographs, a few of them with a box each."""
  folder = tmp_path_factory.mktemp("light")
  (folder / "photos").mkdir()
  images, boxes = [], []
  for number in range(4):
    pixels = np.random.default_rng(number).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "photos" / f"{number}.png")
    size = {"width": 96, "height": 64}
    images.append({"id": number, "file_name": f"{number}.png", **size})
    box = {"bbox": [4, 4, 20, 20], "area": 400, "iscrowd": 0}
    boxes.append({"id": number, "image_id": number, "category_id": 1, **box})
  annotations = {
    "images": images,
    "annotations": boxes,
    "categories": [{"id": 1, "name": "cup"}],
  }
  (folder / "true.json").write_text(json.dumps(annotations))
  return folder


@pytest.mark.slow
@pytest.mark.parametrize(
  "words",
  [
    ["mine", "--images", "photos", "--output", "mined", "--json"],
    [
      *("coco", "--images", "photos", "--annotations", "true.json"),
      *("--output", "records", "--json"),
    ],
  ],
  ids=lambda words: words[0],
)
def test_mining_and_conversion_need_no_tensorflow(folder, words):
  assert (
    imported(
      folder, words, ("tensorflow", "keras", "tfx", "tensorflow_data_validation")
    )
    == []
  )


@pytest.fixture(scope="module")
def models(tmp_path_factory):
  from tests.serving.server.tiny_models import export_tiny_codec, export_tiny_detector

  folder = tmp_path_factory.mktemp("models")
  export_tiny_codec(folder / "codec")
  export_tiny_detector(folder / "detector")
  return folder


@pytest.mark.slow
def test_finished_models_need_nothing_heavy(folder, models):
  """One after the other, as each uses what the one before made."""
  codec = ["--model", str(models / "codec")]
  detector = ["--model", str(models / "detector")]
  for words in (
    ["encode", "photos/0.png", "photo.hmc", *codec],
    ["decode", "photo.hmc", "photo.png", *codec],
    ["detect", "photos/0.png", "--runtime", "onnxruntime", *detector],
  ):
    assert imported(folder, words, HEAVY + NEEDLESS) == [], words
  for words in (
    ["detect", "photos/0.png", "--output", "drawn", *detector],
    ["encode", "photos", "--output", "packed", *codec],
    ["decode", "packed", "--output", "back", *codec],
    ["detect", "photos/*.png", *detector],
  ):
    assert imported(folder, words, HEAVY) == [], words


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["codec", "detector"])
def test_the_probe_asks_a_model_without_tensorflow(models, kind, monkeypatch):
  from hardmine.serving.probe.ask_model import ask

  monkeypatch.delenv("HARDMINE_RUNTIME", raising=False)
  outcome = ask(models / kind)
  assert outcome.passed, outcome.reason
  assert outcome.peak_bytes < 350 << 20
  assert json.loads(outcome.last_line)["runtime"] != "tensorflow"
