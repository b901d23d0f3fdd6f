"""Pushes of earlier runs, held against what the model store holds by now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.components.pushes import CANDIDATE, pushes_of, withdraw_lost
from hardmine.serving.store.contents import MANIFEST
from hardmine.serving.store.store import ModelStore
from tests.serving.store import fake_models


class Pushed:
  """A store with two versions, and what ML Metadata says of their pushes."""

  def __init__(self, folder: Path):
    self.folder = folder
    self.store = ModelStore(folder / "store")
    config = mlmd.ConnectionConfig()
    config.fake_database.SetInParent()
    self.records = MetadataStore(config)
    self.model = self._artifact("Model", {})
    for content in "ab":
      number = fake_models.add(self.store, folder, content)
      self.store.move(CANDIDATE, number, reason=fake_models.by("a test"))
      self.push(number, alias=CANDIDATE, model_id=fake_models.model_id(content))

  def push(self, number: int, **facts: str) -> None:
    facts["pushed_destination"] = f"{self.store.url}/versions/{number}"
    artifact = self._artifact("PushedModel", facts, pushed=1)
    kind = self.records.put_execution_type(mlmd.ExecutionType(name="Pusher"))
    (made,) = self.records.put_executions([mlmd.Execution(type_id=kind)])
    self.records.put_events(
      [
        mlmd.Event(execution_id=made, artifact_id=self.model, type=mlmd.Event.INPUT),
        mlmd.Event(execution_id=made, artifact_id=artifact, type=mlmd.Event.OUTPUT),
      ]
    )

  def _artifact(self, name: str, facts: dict[str, str], **numbers: int) -> int:
    kind = self.records.put_artifact_type(mlmd.ArtifactType(name=name))
    artifact = mlmd.Artifact(type_id=kind, uri="u", state=mlmd.Artifact.LIVE)
    for key, value in facts.items():
      artifact.custom_properties[key].string_value = value
    for key, number in numbers.items():
      artifact.custom_properties[key].int_value = number
    (made,) = self.records.put_artifacts([artifact])
    return made

  def withdrawn(self) -> list[int]:
    """The versions whose pushes are found lost."""
    lost = withdraw_lost(self.records, self.store.url)
    return sorted(int(place.rpartition("/")[2]) for place in lost)


@pytest.fixture
def pushed(tmp_path):
  return Pushed(tmp_path)


def test_pushes_that_are_there_stay(pushed):
  assert pushed.withdrawn() == []
  states = {one.state for one in pushed.records.get_artifacts_by_type("PushedModel")}
  assert states == {mlmd.Artifact.LIVE}


def test_a_store_that_was_removed_takes_all_pushes_with_it_and_once(pushed):
  shutil.rmtree(pushed.store.url)
  assert pushed.withdrawn() == [1, 2]
  states = [one.state for one in pushed.records.get_artifacts_by_type("PushedModel")]
  assert states == [mlmd.Artifact.DELETED] * 2  # what TFX does not reuse
  assert pushed.withdrawn() == []


def test_a_version_that_was_removed_takes_its_own(pushed):
  shutil.rmtree(Path(pushed.store.url, "versions", "1"))
  assert pushed.withdrawn() == [1]


def test_a_version_without_its_manifest_is_none(pushed):
  Path(pushed.store.url, "versions", "2", MANIFEST).write_text("{")
  assert pushed.withdrawn() == [2]


def test_a_version_of_another_model_is_not_what_was_pushed(pushed):
  shutil.rmtree(pushed.store.url)
  number = fake_models.add(pushed.store, pushed.folder, "c")
  pushed.store.move(CANDIDATE, number, reason=fake_models.by("a test"))
  assert pushed.withdrawn() == [1, 2]


def test_an_alias_that_is_gone_is_work_to_do_again_and_a_moved_one_is_not(pushed):
  pushed.store.move(CANDIDATE, 1, reason=fake_models.by("ann"))
  assert pushed.withdrawn() == []
  pushed.store.move(CANDIDATE, None, reason=fake_models.by("ann"))
  assert pushed.withdrawn() == [1, 2]


def test_pushes_of_before_that_note_less_are_held_against_their_number(pushed):
  pushed.push(2)
  pushed.push(9)
  assert pushed.withdrawn() == [9]


def test_pushes_into_another_store_are_left_alone(pushed, tmp_path):
  shutil.rmtree(pushed.store.url)
  assert withdraw_lost(pushed.records, str(tmp_path / "other")) == []


def test_a_root_that_never_pushed_has_nothing_to_withdraw(tmp_path):
  config = mlmd.ConnectionConfig()
  config.fake_database.SetInParent()
  assert withdraw_lost(MetadataStore(config), str(tmp_path)) == []


def test_the_pushes_of_a_model_are_found_newest_first(pushed):
  found = pushes_of(pushed.records, pushed.model)
  assert [push.version for push in found] == [2, 1]
  assert found[0].destination == f"{pushed.store.url}/versions/2"
