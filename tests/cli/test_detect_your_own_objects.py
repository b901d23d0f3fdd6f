"""The guide to a detector of one's own: its commands, its settings, its pictures."""

import argparse
import json
import re
import runpy
import shlex
from pathlib import Path

import pytest
from PIL import Image

from hardmine.pipelines.cli import experiment_arguments, own_data
from tests.cli.process import hardmine

DOCS = Path(__file__).resolve().parents[2] / "docs"
TEXT = (DOCS / "detect_your_own_objects.md").read_text("utf-8")
STORY = "coins"  # what the commands are about that are run, and not only understood
# Set behind the words of the page: the same story, but small.
SMALL = (
  *("detector.width=0.25", "detector.initial_weights=null"),
  *("detector.resizer.min_side_px=96", "detector.resizer.max_side_px=128"),
  *("training.steps=2", "training.summary_steps=1", "training.evaluate_steps=2"),
  *("training.batch_norm=train", "training.frozen_blocks=0"),
  *("training.warmup_steps=0", "evaluation.gates.0.bound=0"),
)
MAX_BYTES = 150_000


def commands():
  """The page's commands, word by word, without the first."""
  text = TEXT.replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


def is_told(words):
  return any(STORY in word for word in words)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Where a reader stands who has run the guide's script."""
  path = tmp_path_factory.mktemp("guide")
  script = runpy.run_path(str(DOCS / "coins.py"))
  script["main"](str(path / STORY))
  for name in ("animals", "others"):
    (path / name).symlink_to(STORY)
    (path / f"{name}.json").symlink_to(f"{STORY}.json")
  return path


def test_the_set_is_as_the_page_says(folder):
  truth = json.loads((folder / f"{STORY}.json").read_text("utf-8"))
  sizes = len(truth["images"]), len(truth["annotations"])
  assert f"makes {sizes[0]} with {sizes[1]} boxes" in " ".join(TEXT.split())
  for image in truth["images"]:
    with Image.open(folder / STORY / image["file_name"]) as file:
      assert file.size == (image["width"], image["height"])
  for one in truth["annotations"]:
    x, y, width, height = one["bbox"]
    assert min(x, y) >= 0 < min(width, height)
    assert (x + width, y + height) <= (320, 240)


@pytest.mark.parametrize(
  "words", [one for one in commands() if not is_told(one)], ids=" ".join
)
def test_each_line_for_data_of_ones_own_is_understood(folder, monkeypatch, words):
  parser = argparse.ArgumentParser()
  experiment_arguments.add_experiment_arguments(parser)
  own_data.add_arguments(parser)
  assert words[0] == "run"
  monkeypatch.chdir(folder)
  experiment, _ = experiment_arguments.chosen_experiment(parser.parse_args(words[1:]))
  assert experiment.name == words[1]
  assert type(experiment).from_json(experiment.to_json()) == experiment


@pytest.mark.parametrize("setting", re.findall(r"--set ([a-z_.]+=[^`\s]+)`", TEXT))
def test_each_setting_of_the_advice_is_one(setting):
  from hardmine.pipelines.experiments import find

  for name in ("ssd_small_set", "faster_rcnn_small_set", "rfcn_small_set"):
    assert find(name).override([setting]) != find(name)


@pytest.mark.slow
def test_the_story_is_true_and_its_pictures_can_be_made(folder, tmp_path):
  """Every command, in its order; each picture is one of the page, and small."""
  for words in filter(is_told, commands()):
    if words[0] == "run":
      words = [*words, *(part for one in SMALL for part in ("--set", one))]
    done = hardmine(folder, words)
    assert done.returncode == 0, (words, done.stderr)
  pictures = runpy.run_path(str(DOCS / "detect_your_own_objects.py"))
  made = pictures["main"](str(folder), tmp_path)
  assert len(made) >= 2  # the report's needs a browser
  assert all(path.stat().st_size < MAX_BYTES for path in made)
  assert {path.name for path in made} <= named()


def named():
  return set(re.findall(r"!\[[^]]*\]\(([^)]+)\)", TEXT))


def test_the_pictures_of_the_page_are_there_and_small():
  assert len(named()) >= 3
  for name in named():
    assert 0 < (DOCS / name).stat().st_size < MAX_BYTES
    with Image.open(DOCS / name) as image:
      image.load()
