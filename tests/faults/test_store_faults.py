"""What a store in a folder stands: killed writers, full disks, races, damage."""

from __future__ import annotations

import errno
import itertools
import json
import os
import random
import signal
import tempfile
import threading
import time
from pathlib import Path

import pytest

from hardmine.serving.store import local
from hardmine.serving.store.contents import MANIFEST, digest_of
from hardmine.serving.store.entries import AuditEntry, Conflict
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by, facts, write_model

# Each takes a tenth of a second; continuous integration takes them all.
NUM_KILLS = 200 if os.environ.get("HARDMINE_ALL_TESTS") else 40
ENOUGH_ADDED, MAX_KILLS = 20, 1000  # a busy machine needs more of them


@pytest.fixture
def store(tmp_path):
  return ModelStore(tmp_path / "store")


def in_child(work) -> int:
  """Runs `work` in a forked process; returns its id."""
  child = os.fork()
  if child == 0:
    try:
      work()
    finally:
      os._exit(0)
  return child


def num_added(store: ModelStore) -> int:
  return sum(entry.action == "add" for entry in store.audit())


def check_whole(store: ModelStore) -> None:
  """Everything a reader sees is complete, and the log tells how it came to be."""
  numbers, entries = store.versions(), store.audit()
  for number in numbers:
    store.verify(number)
    assert store.version(number).experiment["name"] == "tiny"
  for alias, number in store.aliases().items():
    assert number in numbers, alias
  for number in numbers:
    for key, content in store.signatures(number).items():
      assert content == b"!" * 1000
      assert any(
        (e.action, e.to_version, e.details.get("key")) == ("sign", number, key)
        for e in entries
      )
  ids = [entry.id for entry in entries]
  assert len(set(ids)) == len(ids)


@pytest.fixture
def fast_dir(tmp_path):
  """A folder in memory where there is one: a disk's fsync would be all we test."""
  if not os.access("/dev/shm", os.W_OK):
    yield tmp_path
    return
  with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
    yield Path(folder)


def test_writers_killed_at_any_moment_leave_nothing_half_made(fast_dir):
  store, tmp_path = ModelStore(fast_dir / "store"), fast_dir
  models = [write_model(tmp_path / f"m{n}", str(n)) for n in range(8)]
  store.add(models[0], **facts("0"))
  store.move("production", 1, reason=by("test"))
  seed = random.Random(0)

  def write(turn: int, ready: int):
    os.write(ready, b"!")
    reason = by(f"writer {turn}")
    for n in range(turn, turn + 100):
      area = 1 + random.Random(n).random()
      number = store.add(models[n % 8], **facts(str(n % 8), area=area))
      store.move("production", number, reason=reason)
      if n % 2 == 0:
        store.add_signature(number, f"{n % 4:064x}", b"!" * 1000, reason=reason)
      if n % 3 == 0:
        store.gc(4, reason=reason)

  for kill in range(MAX_KILLS):
    if kill >= NUM_KILLS and num_added(store) > ENOUGH_ADDED:
      break
    started, ready = os.pipe()
    child = in_child(lambda kill=kill, ready=ready: write(kill * 100, ready))
    os.read(started, 1)
    os.close(started)
    os.close(ready)
    time.sleep(seed.uniform(0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    if kill % 10 == 0:
      check_whole(store)

  check_whole(store)
  last = store.add(models[0], **facts("0", area=9.0))  # nobody's lock is left
  store.move("production", last, reason=by("test"))
  entries = store.audit()
  added = [entry.to_version for entry in entries if entry.action == "add"]
  assert len(set(added)) == len(added)  # no number was given twice
  assert set(store.versions()) <= set(added)
  moves = [entry for entry in entries if entry.alias == "production"]
  for before, after in itertools.pairwise(moves):
    assert after.from_version == before.to_version  # no move is missing in the log
  store.gc(1)
  assert store.versions() == [last]
  assert os.listdir(tmp_path / "store" / ".staging") == []
  names = [path.name for path in (tmp_path / "store" / "signatures").rglob("*")]
  assert set(names) <= {str(last), *(f"{n:064x}.sig" for n in range(4))}
  assert sorted(os.listdir(tmp_path / "store" / "aliases")) == ["production.json"]
  assert len(added) > ENOUGH_ADDED, "too slow to say anything"


def test_a_line_that_was_cut_off_is_written_again(store, tmp_path):
  add(store, tmp_path, "a")
  store.move("production", 1, reason=by("ann"))
  path = tmp_path / "store" / "audit.jsonl"
  whole = path.read_bytes()
  lines = whole.splitlines(keepends=True)
  path.write_bytes(b"".join(lines[:-1]) + lines[-1][:20])  # as after a power cut
  assert [entry.action for entry in store.audit()] == ["add"]
  store.move("staging", 1, reason=by("bob"))
  assert [entry.who for entry in store.audit()] == ["tester", "ann", "bob"]
  path.unlink()
  store.move("staging", None, reason=by("bob"))
  assert {entry.action for entry in store.audit()} == {"add", "promote", "remove"}


def test_of_two_promoters_at_once_one_wins(store, tmp_path):
  for content in "abcdefghi":
    add(store, tmp_path, content)
  store.move("production", 1, reason=by("test"))
  barrier, lost = threading.Barrier(8), []

  def promote(number: int):
    barrier.wait()
    try:
      store.move("production", number, reason=by(f"p{number}"), if_current=1)
    except Conflict as conflict:
      lost.append(str(conflict))

  threads = [threading.Thread(target=promote, args=(n,)) for n in range(2, 10)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  winner = store.aliases()["production"]
  assert len(lost) == 7
  assert all(
    f"production is version {winner}, moved by p{winner}" in one for one in lost
  )
  assert [e.to_version for e in store.audit() if e.alias] == [1, winner]


def test_two_processes_that_add_at_once_get_different_numbers(store, tmp_path):
  models = [write_model(tmp_path / f"m{n}", str(n)) for n in range(6)]
  children = [
    in_child(lambda n=n: store.add(models[n], **facts(str(n)))) for n in range(6)
  ]
  for child in children:
    assert os.waitpid(child, 0)[1] == 0
  assert store.versions() == [1, 2, 3, 4, 5, 6]
  check_whole(store)


@pytest.mark.parametrize("nth", range(1, 30, 3))
def test_a_full_disk_leaves_the_store_as_it_was(store, tmp_path, monkeypatch, nth):
  add(store, tmp_path, "a")
  store.move("production", 1, reason=by("ann"))
  before = store.audit()
  calls = 0
  fsync = os.fsync

  def full(descriptor):
    nonlocal calls
    calls += 1
    if calls == nth:
      raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    fsync(descriptor)

  monkeypatch.setattr(os, "fsync", full)

  def write_on():
    for n in range(10):
      add(store, tmp_path, f"b{n}")
      store.move("production", store.versions()[-1], reason=by("bob"))

  with pytest.raises(OSError, match="No space left"):
    write_on()
  monkeypatch.undo()
  check_whole(store)
  assert store.audit()[: len(before)] == before
  number = add(store, tmp_path, "c")
  store.move("production", number, reason=by("cid"))
  check_whole(store)
  entries = store.audit()
  assert {e.to_version for e in entries if e.action == "add"} == set(store.versions())


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small file system")
def test_a_disk_that_really_is_full(tmp_path):
  import subprocess

  disk = tmp_path / "disk"
  disk.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
  if subprocess.run(command, capture_output=True).returncode:
    pytest.skip("this machine does not let us mount")
  try:
    store = ModelStore(disk / "store")

    def fill():
      for n in range(100):
        path = write_model(tmp_path / f"big{n}", str(n))
        (path / "large").write_bytes(os.urandom(30_000))
        store.add(path, **facts(str(n)))
        store.move("production", n + 1, reason=by("ann"))

    with pytest.raises(OSError, match="No space left"):
      fill()
    check_whole(store)
    assert store.versions()
    assert store.gc(1)  # which makes room
    add(store, tmp_path, "last")
    check_whole(store)
  finally:
    subprocess.run(["umount", str(disk)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts read-only")
def test_a_read_only_store_can_be_read(tmp_path):
  import subprocess

  store = ModelStore(tmp_path / "store")
  add(store, tmp_path, "a")
  store.move("production", 1, reason=by("ann"))
  place = str(tmp_path / "store")
  if subprocess.run(["mount", "--bind", place, place], capture_output=True).returncode:
    pytest.skip("this machine does not let us mount")
  try:
    subprocess.run(["mount", "-o", "remount,ro,bind", place], check=True)
    assert store.resolve("production") == 1
    store.verify(1)
    with pytest.raises(OSError, match="Read-only file system"):
      add(store, tmp_path, "b")
    with pytest.raises(OSError, match="Read-only file system"):
      store.move("production", None, reason=by("bob"))
    assert store.aliases() == {"production": 1}
  finally:
    subprocess.run(["umount", place], check=True)


def test_every_flipped_bit_is_found_and_named(store, tmp_path):
  add(store, tmp_path, "a")
  folder = store.local_dir(1)
  seed = random.Random(0)
  for path in sorted(folder.rglob("*")):
    if path.is_file():
      whole = path.read_bytes()
      for _ in range(5):
        damaged = bytearray(whole)
        damaged[seed.randrange(len(whole))] ^= 1 << seed.randrange(8)
        path.write_bytes(damaged)
        if path.name == "manifest.json":  # an indent may change and mean the same
          try:
            store.verify(1)
            assert store.version(1).digest == digest_in(whole)
          except RuntimeError:
            pass
        else:
          with pytest.raises(RuntimeError, match=path.name):
            store.verify(1)
      path.write_bytes(whole)
  store.verify(1)


def digest_in(manifest: bytes) -> str:
  return json.loads(manifest)["digest"]


def test_a_forged_version_does_not_fit_the_log(store, tmp_path):
  add(store, tmp_path, "a")
  add(ModelStore(tmp_path / "other"), tmp_path, "b")
  place = store.local_dir(1)
  os.rename(place, tmp_path / "away")
  os.rename(tmp_path / "other" / "versions" / "1", place)
  with pytest.raises(RuntimeError, match="is not what was added"):
    store.verify(1)


@pytest.mark.parametrize(
  "name", ["../outside", "/etc/passwd", "a/../../x", "a//b", "./a", "a\\..\\b", "a\nb"]
)
def test_a_manifest_that_names_files_outside_is_refused(store, tmp_path, name):
  add(store, tmp_path, "a")
  path = store.local_dir(1) / MANIFEST
  manifest = json.loads(path.read_text())
  manifest["files"][name] = {"sha256": "0" * 64, "bytes": 0}
  manifest["digest"] = digest_of(
    manifest["kind"], manifest["model_id"], manifest["files"]
  )
  path.write_text(json.dumps(manifest))
  for use in (store.verify, store.version, store.local_dir):
    with pytest.raises(RuntimeError, match="outside its folder"):
      use(1)
  with pytest.raises(RuntimeError, match="outside its folder"):
    store.export(1, tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_links_in_a_pushed_folder_are_refused(store, tmp_path):
  (tmp_path / "secret").write_text("secret")
  for name in ("file", "folder"):
    model = write_model(tmp_path / name)
    target = tmp_path / "secret" if name == "file" else tmp_path
    (model / "variables" / "link").symlink_to(target)
    with pytest.raises(ValueError, match="only plain files and folders"):
      store.add(model, **facts())
  model = write_model(tmp_path / "pipe")
  os.mkfifo(model / "fifo")
  with pytest.raises(ValueError, match="only plain files and folders"):
    store.add(model, **facts())
  assert not store.exists()
  add(store, tmp_path, "a")
  data = store.local_dir(1) / "variables" / "variables.index"
  data.unlink()
  data.symlink_to(tmp_path / "secret")
  with pytest.raises(RuntimeError, match="no part of it"):
    store.verify(1)


def test_a_file_too_many_is_found(store, tmp_path):
  add(store, tmp_path, "a")
  (store.local_dir(1) / "variables" / "more").write_text("x")
  with pytest.raises(RuntimeError, match="more is not in"):
    store.verify(1)


def test_the_clock_going_back_changes_no_order(store, tmp_path, monkeypatch):
  years = iter(range(2050, 2000, -1))

  def now(cls, reason, **fields):
    at, id = f"{next(years)}-01-01T00:00:00", os.urandom(8).hex()
    return cls(at=at, id=id, who=reason.who, why=reason.why, **fields)

  monkeypatch.setattr(AuditEntry, "now", classmethod(now))
  for number, content in enumerate("abc", start=1):
    assert add(store, tmp_path, content) == number
    store.move("production", number, reason=by("ann"))
  assert store.aliases() == {"production": 3}
  assert [e.to_version for e in store.audit()] == [1, 1, 2, 2, 3, 3]
  assert store.gc(1) == [1, 2]


def test_a_reader_sees_a_whole_live_model_through_100_promotions(fast_dir):
  store, tmp_path = ModelStore(fast_dir / "store"), fast_dir
  for content in "abcde":
    add(store, tmp_path, content)
  store.move("live", 1, reason=by("test"))
  stop, seen, faults = threading.Event(), set(), []

  def read():
    while not stop.is_set():
      try:
        number = store.resolve("live")
        store.verify(number)
        seen.add(number)
      except Exception as error:
        faults.append(error)

  reader = threading.Thread(target=read)
  reader.start()
  for turn in range(100):
    store.move("live", 1 + (turn + 1) % 5, reason=by(f"turn {turn}"))
  stop.set()
  reader.join()
  assert faults == []
  assert len(seen) > 1
  assert len([e for e in store.audit() if e.alias == "live"]) == 101


def test_gc_leaves_alone_what_a_living_writer_works_on(store, tmp_path, monkeypatch):
  add(store, tmp_path, "a")
  check = local.check_files

  def swept_meanwhile(directory, manifest):
    store.gc(1)
    check(directory, manifest)

  monkeypatch.setattr(local, "check_files", swept_meanwhile)
  assert add(store, tmp_path, "b") == 2


def test_a_lock_that_is_never_freed_is_named(store, tmp_path, monkeypatch):
  import fcntl

  add(store, tmp_path, "a")
  monkeypatch.setattr(local, "LOCK_TIMEOUT_SECONDS", 0.05)
  with open(Path(store.url, ".lock"), "a") as held:
    fcntl.flock(held, fcntl.LOCK_EX)
    with pytest.raises(RuntimeError, match=r"another process has held .*\.lock"):
      store.move("production", 1, reason=by("ann"))
    assert store.versions() == [1]  # readers do not wait


def test_a_model_that_changes_while_it_is_copied_is_refused(
  store, tmp_path, monkeypatch
):
  import shutil

  copy = shutil.copyfile

  def another(source, target, **options):
    copy(source, target, **options)
    if target.name == "saved_model.pb":
      target.write_text("graph x")

  monkeypatch.setattr(shutil, "copyfile", another)
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    add(store, tmp_path, "a")
  assert store.versions() == []


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_gc_that_was_killed_is_finished_by_the_next_writer(
  store, tmp_path, monkeypatch, moment
):
  for content in "abc":
    add(store, tmp_path, content)
  remove = local.LocalStorage._remove

  def killed(self, number):
    if moment == "after":
      remove(self, number)
    raise KeyboardInterrupt

  with monkeypatch.context() as patch:
    patch.setattr(local.LocalStorage, "_remove", killed)
    with pytest.raises(KeyboardInterrupt):
      store.gc(1)
  store.move("production", 3, reason=by("ann"))
  assert store.versions() == [2, 3]  # of the second nothing was logged yet
  with pytest.raises(ValueError, match="Expected a version"):
    store.move("production", 1, reason=by("ann"))
  store.gc(1)
  gone = [entry.from_version for entry in store.audit() if entry.action == "gc"]
  assert gone == [1, 2]


def test_gc_of_a_copied_store_without_hidden_folders(store, tmp_path):
  for content in "abc":
    add(store, tmp_path, content)
  os.rmdir(tmp_path / "store" / ".staging")
  assert store.gc(1) == [1, 2]
  assert store.versions() == [3]


def test_a_half_copied_version_stops_nobody(store, tmp_path):
  for content in "ab":
    store.move("production", add(store, tmp_path, content), reason=by("ann"))
  folder = tmp_path / "store" / "versions" / "9" / "assets.extra"
  folder.mkdir(parents=True)
  (folder / "manifest.json").write_text('{"digest": ')
  store.move("production", 1, reason=by("ann"))
  assert store.aliases() == {"production": 1}
  with pytest.raises(RuntimeError, match=r"manifest\.json is damaged"):
    store.verify(9)
  assert add(store, tmp_path, "c") == 10


@pytest.mark.parametrize(
  "change",
  [
    {"model_id": None},
    {"numbers": {"area": "x"}},
    {"numbers": {"area": float("nan")}},
    {"numbers": {"area": True}},
    {"added": {}},
    {"added": []},
  ],
)
def test_a_manifest_of_the_wrong_types_is_damaged(store, tmp_path, change):
  add(store, tmp_path, "a")
  path = store.local_dir(1) / MANIFEST
  path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
  with pytest.raises(RuntimeError, match=r"manifest\.json (is damaged|was changed)"):
    store.version(1)


def test_no_link_and_no_pipe_among_signatures_is_followed(store, tmp_path):
  for content in "abc":
    add(store, tmp_path, content)
  victim, signatures = tmp_path / "victim", tmp_path / "store" / "signatures"
  victim.mkdir()
  (victim / ".precious.tmp").write_text("precious")
  (victim / f"{1:064x}.sig").write_text("not ours")
  store.add_signature(3, "0" * 64, b"!", reason=by("ann"))
  for number in (1, 2, 77):
    (signatures / str(number)).symlink_to(victim)
  os.mkfifo(signatures / "3" / "zz.sig")
  (signatures / "3" / "large.sig").write_bytes(b"!" * (local.MAX_SIGNATURE_BYTES + 1))
  assert store.signatures(1) == {}
  assert store.signatures(3).keys() == {"0" * 64}
  with pytest.raises(RuntimeError, match="is a link"):
    store.add_signature(1, "0" * 64, b"!", reason=by("ann"))
  assert store.gc(1) == [1, 2]
  assert len(os.listdir(victim)) == 2
