"""What a store in an object store stands: lost answers, busy servers, races, kills."""

from __future__ import annotations

import random

import pytest

from hardmine.schemas import bucket
from hardmine.serving.store.entries import Conflict
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by, facts, write_model
from tests.serving.store.object_store import (
  PROTOCOL,
  FakeObjectStore,
  HttpError,
)

URL = f"{PROTOCOL}://bucket/store"


@pytest.fixture
def objects(tmp_path, monkeypatch):
  monkeypatch.setattr(bucket, "DELAYS_SECONDS", (0.0005,) * 5)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  FakeObjectStore.reset()
  yield FakeObjectStore
  FakeObjectStore.reset()


def every(period: int, error, when: str):
  """A fault that hits each request whose number is a multiple of `period`."""
  count = 0

  def fault(operation: str, path: str, at: str) -> None:
    nonlocal count
    if at == when:
      count += 1
      if count % period == 0:
        raise error

  return staticmethod(fault)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
  "error",
  [HttpError(429), HttpError(503), TimeoutError("slow"), ConnectionResetError("gone")],
  ids=["429", "503", "time-out", "reset"],
)
def test_faults_that_pass_are_not_noticed(objects, tmp_path, error, when):
  objects.fault = every(3, error, when)
  store = ModelStore(URL)
  for number, content in enumerate("abcd", start=1):
    assert add(store, tmp_path, content) == number
    store.move("production", number, reason=by("ann"))
  assert store.gc(2) == [1, 2]
  store.verify(4)
  objects.fault = every(10**9, error, when)
  entries = store.audit()
  assert [entry.action for entry in entries] == ["add", "promote"] * 4 + ["gc"] * 2
  assert len({entry.id for entry in entries}) == len(entries)
  assert store.aliases() == {"production": 4}


@pytest.mark.parametrize("status", [None, 412])
def test_a_refused_precondition_is_a_lost_race_and_no_error(objects, tmp_path, status):
  objects.precondition_status = status
  store = ModelStore(URL)
  add(store, tmp_path, "a")
  add(store, tmp_path, "b")
  overtaken = []

  def fault(operation, path, at):
    if (operation, at) == ("create", "before") and "/audit/" in path and not overtaken:
      overtaken.append(path)
      ModelStore(URL).move("production", 1, reason=by("bob"))

  objects.fault = staticmethod(fault)
  move = store.move("production", 2, reason=by("ann"))  # decides anew after bob's move
  assert (move.from_version, move.to_version) == (1, 2)
  assert [e.who for e in store.audit() if e.alias] == ["bob", "ann"]


def test_the_loser_of_a_race_learns_who_won(objects, tmp_path):
  store = ModelStore(URL)
  for content in "abc":
    add(store, tmp_path, content)
  store.move("production", 1, reason=by("test"))
  overtaken = []

  def fault(operation, path, at):
    if (operation, at) == ("create", "before") and "/audit/" in path and not overtaken:
      overtaken.append(path)
      ModelStore(URL).move("production", 2, reason=by("bob"))

  objects.fault = staticmethod(fault)
  with pytest.raises(Conflict, match="production is version 2, moved by bob"):
    store.move("production", 3, reason=by("ann"), if_current=1)


def test_a_server_that_stays_away_is_named(objects, tmp_path):
  store = ModelStore(URL)
  add(store, tmp_path, "a")
  objects.fault = every(1, HttpError(503), "before")
  with pytest.raises(RuntimeError, match="6 times: HttpError: status 503"):
    store.move("production", 1, reason=by("ann"))


def test_a_forbidden_request_is_not_repeated(objects, tmp_path):
  store = ModelStore(URL)
  add(store, tmp_path, "a")
  objects.fault = every(1, HttpError(403), "before")
  before = objects.num_requests
  with pytest.raises(HttpError):
    store.move("production", 1, reason=by("ann"))
  assert objects.num_requests == before + 1


class Killed(BaseException):
  """Nothing catches it, as nothing catches SIGKILL."""


def test_writers_killed_at_every_request_leave_nothing_half_made(objects, tmp_path):
  models = [write_model(tmp_path / f"m{n}", str(n)) for n in range(4)]
  store = ModelStore(URL)
  store.add(models[0], **facts("0"))
  store.move("production", 1, reason=by("test"))
  kills, seed = 0, random.Random(0)
  for nth in range(1, 71):
    for when in ("before", "after"):
      requests = 0

      def fault(operation, path, at, nth=nth, when=when):
        nonlocal requests
        requests += at == when
        if requests == nth and at == when:
          raise Killed

      objects.fault = staticmethod(fault)
      writer = ModelStore(URL)
      area = 1 + seed.random()
      try:
        number = writer.add(models[nth % 4], **facts(str(nth % 4), area=area))
        writer.move("production", number, reason=by("writer"))
        writer.gc(3)
      except Killed:
        kills += 1
      objects.fault = staticmethod(lambda *facts: None)
      reader = ModelStore(URL)
      assert reader.aliases()["production"] in reader.versions()
      reader.verify(reader.aliases()["production"])
  assert kills > 100
  store = ModelStore(URL)
  last = store.add(models[0], **facts("0", area=9.0))
  store.move("production", last, reason=by("test"))
  for number in store.versions():
    store.verify(number)
  entries = store.audit()
  added = [entry.to_version for entry in entries if entry.action == "add"]
  assert len(set(added)) == len(added)
  assert set(store.versions()) <= set(added)
  store.gc(1)
  assert store.versions() == [last]
  left = {path.split("/versions/")[1].split("/")[0] for path in models_in(objects)}
  assert left == {str(last)}
  (copy,) = [path for path in objects.objects if "/aliases/" in path]
  assert f'"version": {last}'.encode() in objects.objects[copy]


def models_in(objects) -> list[str]:
  return [path for path in objects.objects if "/versions/" in path]


def test_an_unfinished_upload_is_no_version_and_its_graph_comes_last(objects, tmp_path):
  store = ModelStore(URL)
  written = []

  def fault(operation, path, at):
    if operation == "put" and "/versions/" in path and at == "before":
      written.append(path.rpartition("/")[2])
      assert store.versions() == []

  objects.fault = staticmethod(fault)
  add(store, tmp_path, "a")
  assert written[-1] == "saved_model.pb"
  assert written.count("saved_model.pb") == 1
  assert store.versions() == [1]


def test_gc_during_an_upload_makes_it_begin_anew(objects, tmp_path):
  store = ModelStore(URL)
  add(store, tmp_path, "a")
  swept = []

  def fault(operation, path, at):
    if path.endswith("/commits/2.json") and at == "before" and not swept:
      swept.append(path)
      ModelStore(URL).gc(1)

  objects.fault = staticmethod(fault)
  assert add(store, tmp_path, "b") == 3
  assert store.versions() == [1, 3]
  store.verify(3)


def test_damage_is_found_and_never_served(objects, tmp_path):
  store = ModelStore(URL)
  add(store, tmp_path, "a")
  copy = store.local_dir(1)
  (copy / "saved_model.pb").write_text("graph b")  # the cache decays: fetched anew
  assert (store.local_dir(1) / "saved_model.pb").read_text() == "graph a"
  (name,) = [p for p in objects.objects if p.endswith("versions/1/saved_model.pb")]
  objects.objects[name] = b"graph b"
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    store.verify(1)
  assert store.local_dir(1) == copy  # whole, and under its digest
  (copy / "saved_model.pb").unlink()
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    store.local_dir(1)
  objects.objects.pop(name)
  with pytest.raises(RuntimeError, match=r"saved_model\.pb is missing"):
    store.verify(1)
  with pytest.raises(RuntimeError, match="versions/1 lacks"):
    store.local_dir(1)


def test_a_url_that_nothing_can_reach_is_one_error():
  with pytest.raises((RuntimeError, ValueError), match="nowhere"):
    ModelStore("nowhere://bucket/store").versions()
