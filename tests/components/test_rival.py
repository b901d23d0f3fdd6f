"""Which model a candidate has to beat, also where it was cleaned away."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tfx.types import standard_artifacts

from hardmine.components.evaluation.blessing import bless
from hardmine.components.rival import LatestOtherBlessedModel
from tests.components.fake_pushes import Pushed, empty_records
from tests.serving.store.fake_models import write_model


class Models:
  """Blessed models, the last one being the candidate."""

  def __init__(self, folder: Path, contents: str, ids: list[int]):
    self.models, self.blessings = [], []
    for number, content in zip(ids, contents):
      model = standard_artifacts.Model()
      model.uri, model.id = str(folder / f"m{number}"), number
      write_model(Path(model.uri, "Format-Serving"), content)
      blessing = standard_artifacts.ModelBlessing()
      blessing.uri, blessing.id = str(folder / f"b{number}"), 90 + number
      bless(blessing, passed=True, model=model)
      self.models.append(model)
      self.blessings.append(blessing)

  def rival(self, records) -> list[int]:
    found = LatestOtherBlessedModel().resolve_artifacts(
      records,
      {
        "model": list(self.models),
        "model_blessing": list(self.blessings),
        "candidate": [self.models[-1]],
      },
    )
    return [model.id for model in found["model"]]


@pytest.fixture
def pushed(tmp_path):
  """A store that holds the models a and b, pushed from one artifact."""
  return Pushed(tmp_path)


def test_the_rival_is_the_latest_other_model(pushed, tmp_path):
  assert Models(tmp_path, "abc", [7, 8, 9]).rival(pushed.records) == [8]


def test_the_same_model_exported_anew_is_no_rival_of_itself(pushed, tmp_path):
  assert Models(tmp_path, "aa", [7, 8]).rival(pushed.records) == []
  assert Models(tmp_path / "more", "aba", [7, 8, 9]).rival(pushed.records) == [8]


def test_a_rival_that_was_cleaned_away_comes_back_from_the_store(pushed, tmp_path):
  models = Models(tmp_path, "bc", [pushed.model, pushed.model + 100])
  place = Path(models.models[0].uri)
  shutil.rmtree(place)
  assert models.rival(pushed.records) == [pushed.model]
  saved = place / "Format-Serving" / "saved_model.pb"
  assert saved.read_text() == "graph b"  # the newest push of it


@pytest.mark.parametrize("lost", ["store", "pushes"])
def test_a_rival_that_is_nowhere_is_still_named(pushed, tmp_path, lost):
  models = Models(tmp_path, "bc", [pushed.model, pushed.model + 100])
  place = Path(models.models[0].uri)
  shutil.rmtree(place)
  if lost == "store":
    shutil.rmtree(pushed.store.url)
  else:
    pushed.records = empty_records()
  assert models.rival(pushed.records) == [pushed.model]  # the evaluator says the rest
  assert not place.exists()
