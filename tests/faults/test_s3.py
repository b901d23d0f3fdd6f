"""A store on S3: the real client over HTTP, against moto's server on this machine."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hardmine.serving.store.entries import Conflict
from hardmine.serving.store.promotion import promote, rollback
from hardmine.serving.store.signing import sign, verify_signature
from hardmine.serving.store.store import ModelStore
from tests.s3_server import s3_server
from tests.serving.store.fake_models import add, by
from tests.serving.store.keys import write_keys
from tests.serving.store.test_promotion import answers

NUM_WRITERS = 3
NUM_VERSIONS = 4  # of each


@pytest.fixture(scope="module")
def bucket():
  with s3_server("models") as client:
    yield client


@pytest.fixture
def store(bucket, request, tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  return ModelStore(f"s3://models/{request.node.name}")


def test_the_whole_life_of_versions(store, tmp_path):
  keys = write_keys(tmp_path, "ann")
  for content, area in (("a", 1.5), ("b", 1.6), ("c", 1.7)):
    number = add(store, tmp_path, content, area=area)
    sign(store, number, keys.private, reason=by("ann"))
    store.verify(number)
    options = {"reason": by("ann"), "public_keys": [keys.public], "check": answers}
    assert promote(store, number, "production", **options).moved
  assert add(store, tmp_path, "c", area=1.7) == 3  # once is enough
  assert rollback(store, "production", reason=by("ann"), check=answers).to_version == 2
  store.export(2, tmp_path / "out")
  assert (tmp_path / "out" / "saved_model.pb").read_text() == "graph b"
  assert store.gc(1) == [1]
  assert store.versions() == [2, 3]
  assert store.signatures(1) == {}
  assert verify_signature(store, 2, [keys.public])
  actions = [entry.action for entry in store.audit()]
  assert actions == ["add", "sign", "promote"] * 3 + ["rollback", "gc"]


def test_what_another_writer_made_is_seen_at_once(store, tmp_path):
  """Listings of a second ago are no answer; s3fs keeps them for ever."""
  other = ModelStore(f"{store.url}/")
  for content, writer, reader in (("a", store, other), ("b", other, store)):
    number = add(writer, tmp_path, content)
    assert reader.versions()[-1] == number
    reader.move(
      "production", number, reason=by("reader"), if_current=number - 1 or None
    )
    assert writer.aliases() == {"production": number}
  with pytest.raises(Conflict, match="production is version 2, moved by reader"):
    other.move("production", 1, reason=by("late"), if_current=1)


def write(url: str, writer: int) -> None:
  """What each of the processes below does."""
  store = ModelStore(url)
  with tempfile.TemporaryDirectory() as folder:
    for turn in range(NUM_VERSIONS):
      number = add(store, Path(folder), f"{writer}-{turn}")
      store.move("production", number, reason=by(f"writer {writer}"))


@pytest.mark.slow
def test_writers_in_processes_lose_nothing_of_each_other(store):
  script = (
    "import sys; from tests.faults.test_s3 import write; write(*eval(sys.argv[1]))"
  )
  writers = [
    subprocess.Popen([sys.executable, "-c", script, repr((store.url, writer))])
    for writer in range(NUM_WRITERS)
  ]
  assert [writer.wait(120) for writer in writers] == [0] * NUM_WRITERS
  numbers, entries = store.versions(), store.audit()
  assert len(numbers) == NUM_WRITERS * NUM_VERSIONS
  for number in numbers:
    store.verify(number)
  added = [entry.to_version for entry in entries if entry.action == "add"]
  assert sorted(added) == numbers  # each once
  moves = [entry for entry in entries if entry.alias == "production"]
  for before, after in itertools.pairwise(moves):
    assert after.from_version == before.to_version
  assert store.aliases() == {"production": moves[-1].to_version}


def test_a_changed_object_is_found(store, bucket, tmp_path):
  path = f"{store.url}/versions/{add(store, tmp_path, 'a')}/saved_model.pb"
  key = path.removeprefix("s3://models/")
  bucket.put_object(Bucket="models", Key=key, Body=b"graph b")
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs from its SHA-256"):
    store.verify(1)
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    store.local_dir(1)
