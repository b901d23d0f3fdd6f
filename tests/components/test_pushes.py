"""Pushes of earlier runs, held against what the model store holds by now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.components.pushes import CANDIDATE, pushes_of, withdraw_lost
from hardmine.serving.store.contents import MANIFEST
from tests.components.fake_pushes import Pushed, empty_records
from tests.serving.store import fake_models


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
  assert withdraw_lost(empty_records(), str(tmp_path)) == []


def test_the_pushes_of_a_model_are_found_newest_first(pushed):
  found = pushes_of(pushed.records, pushed.model)
  assert [push.version for push in found] == [2, 1]
  assert found[0].destination == f"{pushed.store.url}/versions/2"
