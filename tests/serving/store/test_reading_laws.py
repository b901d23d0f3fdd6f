"""What whoever reads a store relies on: of folders, of object stores, and of the
stand-in by which the board is tested."""

from __future__ import annotations

import datetime
import string
from pathlib import Path
from typing import Any

import pytest

from hardmine.serving.store.contents import DOCUMENTS
from hardmine.serving.store.store import ModelStore
from tests.serving.board.fake_store import FakeStore
from tests.serving.store.fake_models import by, facts, write_model
from tests.serving.store.object_store import PROTOCOL, FakeObjectStore

HEX = set(string.hexdigits.lower())
KEY = "ab" * 32


class Real:
  """Changes a real store; every `store` is a reader that has seen nothing yet."""

  def __init__(self, url: str | Path, folder: Path):
    self._url, self._folder, self._num = url, folder, 0

  @property
  def store(self) -> ModelStore:
    return ModelStore(self._url)

  def add(self, kind: str = "codec", **documents: Any) -> int:
    self._num += 1
    content = f"m{self._num}"
    model = write_model(self._folder / content, content, kind)
    return self.store.add(model, **{**facts(content, kind=kind), **documents})

  def move(self, alias: str, number: int | None, who: str, why: str = "") -> None:
    self.store.move(alias, number, reason=by(who, why))

  def gc(self, keep: int) -> None:
    self.store.gc(keep)

  def sign(self, number: int) -> None:
    self.store.add_signature(number, KEY, b"!", reason=by("anna"))

  def damage(self, number: int) -> None:
    name = f"versions/{number}/{DOCUMENTS['verdict']}"
    for path in FakeObjectStore.objects:
      if path.endswith(name):
        FakeObjectStore.objects[path] = b"{"
    if Path(self._url, name).is_file():
      Path(self._url, name).write_bytes(b"{")


class StandIn:
  """Changes the stand-in."""

  def __init__(self):
    self.store = FakeStore()
    self.store.there = False
    self.add, self.move = self.store.add, self.store.move

  def gc(self, keep: int) -> None:
    held = {pointer.version for pointer in self.store.pointers().values()}
    for number in self.store.versions()[:-keep]:
      if number not in held:
        self.store.remove(number)

  def sign(self, number: int) -> None:
    self.store.sign(number, details={"key": KEY})

  def damage(self, number: int) -> None:
    self.store.damaged[number] = "was changed"


@pytest.fixture(params=["folder", "objects", "stand-in"])
def writer(request, tmp_path, objects):
  if request.param == "folder":
    return Real(tmp_path / "store", tmp_path)
  if request.param == "objects":
    return Real(f"{PROTOCOL}://bucket/store", tmp_path)
  return StandIn()


def test_a_store_begins_with_its_first_version(writer):
  store = writer.store
  assert not store.exists()
  assert (store.versions(), store.pointers(), store.audit()) == ([], {}, [])
  writer.add()
  assert writer.store.exists()


def test_numbers_rise_from_1_and_are_not_used_again(writer):
  assert [writer.add() for _ in range(4)] == [1, 2, 3, 4]
  writer.move("old", 2, who="anna")
  writer.gc(1)
  assert writer.store.versions() == [2, 4]
  assert writer.add("detector") == 5
  assert writer.store.versions() == [2, 4, 5]


def test_a_version_says_what_was_added(writer):
  documents = {
    "experiment": {"name": "x"},
    "metrics": {"area": 1.5, "num_images": 3, "fast": True, "curve": {"bpp": [1.0]}},
    "verdict": {"passed": True, "results": []},
    "lineage": {"run": "7"},
  }
  writer.add(**documents)
  writer.add("detector", verdict={"passed": "perhaps"})
  writer.add(verdict={})
  versions = [writer.store.version(number) for number in (1, 2, 3)]
  assert [one.number for one in versions] == [1, 2, 3]
  assert [one.kind for one in versions] == ["codec", "detector", "codec"]
  assert [one.passed for one in versions] == [True, False, False]
  assert versions[0].numbers == {"area": 1.5, "num_images": 3}
  assert {name: getattr(versions[0], name) for name in documents} == documents
  for field, num_digits in (("model_id", 16), ("digest", 64)):
    found = {getattr(one, field) for one in versions}
    assert len(found) == 3
    assert all(len(text) == num_digits and set(text) <= HEX for text in found)


def test_files_are_those_of_the_version(writer):
  writer.add()
  files = writer.store.files(1)
  assert "saved_model.pb" in files
  assert all(len(one["sha256"]) == 64 for one in files.values())
  assert sum(one["bytes"] for one in files.values()) == (
    writer.store.version(1).num_bytes
  )


def test_what_was_never_added_is_a_value_error(writer):
  writer.add()
  for ask in (writer.store.version, writer.store.files):
    with pytest.raises(ValueError, match=r"Expected a version.* Received: 2"):
      ask(2)


def test_what_was_removed_is_not_listed_and_not_read(writer):
  for _ in range(2):
    writer.add()
  writer.gc(1)
  assert writer.store.versions() == [2]
  with pytest.raises(ValueError, match="Expected a version"):
    writer.store.version(1)


def test_a_damaged_version_is_listed_and_a_runtime_error_when_read(writer):
  for _ in range(2):
    writer.add()
  writer.damage(1)
  assert writer.store.versions() == [1, 2]
  with pytest.raises(RuntimeError):
    _ = writer.store.version(1).verdict
  assert writer.store.version(2).verdict["passed"] is True


def test_a_document_that_is_no_object_is_a_runtime_error_when_read(writer):
  writer.add(lineage=[])
  one = writer.store.version(1)
  assert one.verdict["passed"] is True
  with pytest.raises(RuntimeError, match="is no JSON object"):
    _ = one.lineage


def test_an_alias_holds_what_it_was_last_moved_to(writer):
  for _ in range(2):
    writer.add()
  writer.move("production", 1, who="anna", why="first")
  writer.move("candidate", 2, who="pipeline")
  writer.move("production", 2, who="ben", why="better")
  pointers = writer.store.pointers()
  assert {name: one.version for name, one in pointers.items()} == {
    "candidate": 2,
    "production": 2,
  }
  assert pointers["production"].digest == writer.store.version(2).digest
  assert pointers["production"].moved == writer.store.audit()[-1]
  writer.move("candidate", None, who="anna")
  assert writer.store.pointers().keys() == {"production"}


def test_a_move_that_changes_nothing_is_not_logged(writer):
  writer.add()
  writer.move("production", 1, who="anna")
  before = writer.store.audit()
  writer.move("production", 1, who="ben")
  writer.move("staging", None, who="ben")
  with pytest.raises(ValueError, match="Expected a version"):
    writer.move("production", 2, who="ben")
  assert writer.store.audit() == before
  assert writer.store.pointers()["production"].moved == before[-1]


def test_the_log_tells_every_change_oldest_first(writer):
  for _ in range(2):
    writer.add()
  writer.sign(2)
  writer.move("production", 1, who="anna", why="first")
  writer.move("production", 2, who="ben", why="better")
  writer.gc(1)
  writer.move("production", None, who="cid")
  log = writer.store.audit()
  assert [(e.action, e.alias, e.from_version, e.to_version) for e in log] == [
    ("add", None, None, 1),
    ("add", None, None, 2),
    ("sign", None, None, 2),
    ("promote", "production", None, 1),
    ("promote", "production", 1, 2),
    ("gc", None, 1, None),
    ("remove", "production", 2, None),
  ]
  one, two = (entry.digest for entry in log[:2])
  assert two == writer.store.version(2).digest
  assert [entry.digest for entry in log] == [one, two, two, one, two, None, None]
  assert log[2].details == {"key": KEY}
  assert (log[4].who, log[4].why, log[4].override) == ("ben", "better", None)
  assert len({entry.id for entry in log}) == len(log)
  assert writer.store.version(2).created_at == log[1].at
  moments = [datetime.datetime.fromisoformat(entry.at) for entry in log]
  assert moments == sorted(moments)
  assert all(moment.tzinfo for moment in moments)


def test_answers_belong_to_whoever_asked(writer):
  writer.add()
  writer.move("production", 1, who="anna")
  store = writer.store
  for answer in (store.versions(), store.pointers(), store.audit()):
    answer.clear()
  assert store.versions() == [1]
  assert store.pointers().keys() == {"production"}
  assert len(store.audit()) == 2
