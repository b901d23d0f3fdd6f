"""Every setting of the page on tuning is one, and its defaults are those."""

import itertools
import json
import re
import shlex
from pathlib import Path

import pytest

from hardmine.pipelines.experiments import ssd_small_set

PAGE = (Path(__file__).parents[1] / "docs" / "tune_a_detector.md").read_text("utf-8")
COMMANDS = [
  shlex.split(block.replace("\\\n", " "))
  for kind, block in re.findall(r"^```(\w*)\n(.*?)^```\n", PAGE, re.S | re.M)
  if not kind
]
ROWS = re.findall(r"^\| `(\S+)` \| (.*) \| (\S.*) \|$", PAGE, re.M)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_each_command_sets_what_there_is(words):
  assert words[:3] == ["hardmine", "run", "ssd_small_set"]
  settings = [after for word, after in itertools.pairwise(words) if word == "--set"]
  assert settings
  experiment = ssd_small_set.experiment()
  changed = experiment.override(settings)
  assert changed != experiment
  assert type(changed).from_json(changed.to_json()) == changed


@pytest.mark.parametrize(("name", "default"), [(row[0], row[2]) for row in ROWS])
def test_each_default_is_the_default(name, default):
  value = ssd_small_set.experiment()
  for part in name.split("."):
    value = getattr(value, part)
  if name.endswith(".crop"):
    assert (value, default) == (None, "0.85 for SSD, 0 for the others")
  else:
    found = list(value) if isinstance(value, tuple) else value
    assert found == json.loads(default.strip("`"))


def test_each_choice_is_one():
  for name, values in re.findall(r"^\| `(detector\.\S+)` \| (.*) \|$", PAGE, re.M):
    for value in re.findall(r"`(\w+)`", values):
      ssd_small_set.experiment().override([f"{name}={value}"])
