"""A cell of the user's own, by the page that tells how to write one."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.process import hardmine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_own_cell.md"
SMALL = (
  "mining.per_image=3",
  "codec.width=0.0625",
  *("training.steps=2", "training.summary_steps=1", "training.batch_size=2"),
  "training.iterations=2",
)
# Folders of a TFX template, and names of Python's own: none of them is ours.
DECOYS = ("components", "pipelines", "schemas", "serving", "trainers", "random", "json")


def blocks(language):
  found = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text("utf-8"), re.S | re.M)
  return [text for which, text in found if which == language]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("project")
  names = re.findall(r"^`(\w+\.py)`", PAGE.read_text("utf-8"), re.M)
  for name, text in zip(names, blocks("python"), strict=True):
    (path / name).write_text(text)
  for name in DECOYS:
    (path / name).mkdir()
    (path / name / "__init__.py").write_text(f"raise SystemExit('{name} is no code')")
  for name, number in (("photos", 2), ("held_out", 1)):
    (path / name).mkdir()
    for index in range(number):
      pixels = np.random.default_rng(index + number).integers(0, 256, (96, 96, 3))
      Image.fromarray(pixels.astype("uint8")).save(path / name / f"{index}.png")
  Image.fromarray(np.zeros((20, 30, 3), "uint8")).save(path / "photo.png")
  return path


@pytest.mark.slow
def test_the_page_trains_exports_and_encodes(folder):
  begin, export, encode = (shlex.split(line)[1:] for line in blocks("")[0].splitlines())
  settings = [word for setting in SMALL for word in ("--set", setting)]
  begun = hardmine(folder, [*begin, *settings, "--nice", "0"])
  assert begun.returncode == 0, begun.stderr
  assert "finished at step 2" in begun.stdout
  run = folder / "runs" / "trainings" / "coupled_codec"
  assert '"coupled:CoupledCell"' in (run / "run.json").read_text("utf-8")
  copied = {path.name for path in (run / "code").iterdir()}
  assert copied == {"hardmine", "coupled.py"}

  # The run has all that it needs: it goes on, also with newer code of ours, and
  # exports, without the user's files.
  for name in ("coupled.py", "coupled_codec.py"):
    (folder / name).unlink()
  shutil.rmtree(folder / "photos")
  again = hardmine(
    folder,
    ["train", str(run), "--new-code", "--set", "training.steps=3", "--nice", "0"],
  )
  assert "finished at step 3" in again.stdout, again.stderr
  assert {path.name for path in (run / "code").iterdir()} == copied
  for words in (export, encode):
    done = hardmine(folder, words)
    assert done.returncode == 0, (words, done.stderr)
  assert (folder / "photo.hmc").stat().st_size > 0
