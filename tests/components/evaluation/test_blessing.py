"""TFX's own parts understand our blessing."""

import pytest
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
  LatestBlessedModelStrategy,
)
from tfx.types import standard_artifacts

from hardmine.components.evaluation.blessing import bless


def artifact(kind, folder, number):
  made = kind()
  folder.mkdir(parents=True, exist_ok=True)
  made.uri = str(folder)
  made.id = number
  return made


def blessing_of(tmp_path, model, passed, number=90):
  made = artifact(standard_artifacts.ModelBlessing, tmp_path / str(number), number)
  bless(made, passed=passed, model=model)
  return made


@pytest.fixture
def models(tmp_path):
  return [artifact(standard_artifacts.Model, tmp_path / f"m{n}", n) for n in (7, 8)]


def test_the_stock_resolver_finds_the_latest_blessed_model(tmp_path, models):
  blessings = [
    blessing_of(tmp_path, models[0], True, 90),
    blessing_of(tmp_path, models[1], False, 91),
  ]
  found = LatestBlessedModelStrategy().resolve_artifacts(
    None, {"model": list(models), "model_blessing": blessings}
  )
  assert found["model"] == [models[0]]
  assert found["model_blessing"] == [blessings[0]]


@pytest.mark.parametrize("passed", [True, False])
def test_the_stock_pusher_obeys_the_blessing(tmp_path, models, passed):
  made = blessing_of(tmp_path, models[0], passed)
  pusher = pusher_executor.Executor()
  assert pusher.CheckBlessing({"model_blessing": [made]}) is passed
  files = [path.name for path in (tmp_path / "90").iterdir()]
  assert files == ["BLESSED" if passed else "NOT_BLESSED"]


def test_the_blessing_names_the_rival(tmp_path, models):
  made = artifact(standard_artifacts.ModelBlessing, tmp_path / "b", 90)
  bless(made, passed=True, model=models[1], rival=models[0])
  assert made.get_int_custom_property("current_model_id") == 8
  assert made.get_string_custom_property("current_model") == models[1].uri
  assert made.get_int_custom_property("baseline_model_id") == 7
  assert made.get_string_custom_property("baseline_model") == models[0].uri
