"""What killed processes left goes; what living ones, or other machines, make stays."""

import os
import platform

import pytest

from hardmine.schemas.outputs import PATCHES, StagedFolder
from hardmine.schemas.staging import ASIDE, make_locked, staging_path
from tests.schemas.test_outputs import listing, make_patches


@pytest.fixture
def output(tmp_path):
  return tmp_path / "out"


def leave(output, name="half made"):
  """A staging folder of a process that is gone."""
  staging = staging_path(output)
  os.close(make_locked(staging))
  (staging / name).touch()
  return staging


def test_what_a_killed_process_left_goes(output):
  left = [leave(output), leave(output)]
  with StagedFolder(output) as staging:
    assert not any(path.exists() for path in left)
    assert staging.is_dir()
  assert listing(output.parent) == {"out": None}


def test_what_a_living_one_makes_stays(output):
  living = StagedFolder(output)
  with living as theirs:
    with StagedFolder(output):
      assert theirs.is_dir()
    output.rmdir()
    (theirs / "new").write_bytes(b"new")
  assert listing(output) == {"new": b"new"}


def test_what_others_made_stays(output, monkeypatch):
  others = [leave(output.with_name("outer")), leave(output.with_name(".out"))]
  monkeypatch.setattr(platform, "node", lambda: "another machine")
  others.append(leave(output))
  monkeypatch.undo()
  for name in (".out.staging-notes", ".out.staging", "out.staging-abcdef-01234567"):
    others.append(output.with_name(name))
    others[-1].mkdir()
  with StagedFolder(output):
    pass
  assert all(path.is_dir() for path in others)


def test_an_output_that_was_moved_aside_for_an_instant_comes_back(output):
  make_patches(output)
  before = listing(output)
  staging = leave(output)
  os.rename(output, f"{staging}{ASIDE}")
  with pytest.raises(ValueError, match="does not exist or is empty"):
    StagedFolder(output, kind=PATCHES)
  assert listing(output) == before
  with StagedFolder(output, kind=PATCHES, overwrite=True) as new:
    (new / "new").write_bytes(b"new")
  assert listing(output.parent) == {"out": None, "out/new": b"new"}


def test_an_output_that_a_living_process_moves_is_left_to_it(output):
  staging = staging_path(output)
  lock = make_locked(staging)
  aside = staging.with_name(staging.name + ASIDE)
  aside.mkdir()
  StagedFolder(output)
  assert aside.is_dir()
  os.close(lock)
  StagedFolder(output)
  assert output.is_dir()


def test_storage_without_locks_is_never_swept(output, monkeypatch):
  def refuse(*_):
    raise OSError("no locks here")

  left = leave(output)
  monkeypatch.setattr("fcntl.flock", refuse)
  with StagedFolder(output) as staging:
    (staging / "new").write_bytes(b"new")
  assert left.is_dir()
  assert listing(output) == {"new": b"new"}
