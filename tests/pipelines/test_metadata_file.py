"""A root whose metadata.sqlite is gone, empty, old, damaged or not to be written."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hardmine.pipelines import metadata_file
from hardmine.pipelines.metadata_file import check_metadata
from hardmine.pipelines.site import Site


def write_records(path: str, num_executions: int) -> None:
  """What of ML Metadata's tables is looked at, and pages enough to be damaged."""
  with closing(sqlite3.connect(path)) as database, database:
    database.execute("CREATE TABLE Execution (id INTEGER PRIMARY KEY, text TEXT)")
    rows = [(i + 1, "x" * 1000) for i in range(num_executions)]
    database.executemany("INSERT INTO Execution VALUES (?, ?)", rows)


@pytest.fixture
def site(tmp_path):
  """A root with 20 executions, of which two left outputs."""
  site = Site(root=str(tmp_path / "root"))
  for place in ("PatchGen/examples/1", "Trainer/model/20"):
    Path(site.artifacts_dir, place).mkdir(parents=True)
  # TFX's own folders are no outputs.
  Path(site.artifacts_dir, "Trainer/.system/99").mkdir(parents=True)
  write_records(site.metadata_path, 20)
  return site


def refusal(site) -> str:
  with pytest.raises(RuntimeError) as caught:
    check_metadata(site)
  line = str(caught.value)
  assert "\n" not in line
  assert site.metadata_path in line
  return line


def test_a_whole_root_and_a_new_one_pass(site, tmp_path):
  check_metadata(site)
  check_metadata(Site(root=str(tmp_path / "new")))
  shutil.rmtree(site.artifacts_dir)  # cleaned: what is gone is made anew
  check_metadata(site)


def test_outputs_without_their_records_are_refused_with_what_to_do(site, tmp_path):
  Path(site.metadata_path).unlink()
  line = refusal(site)
  assert "is not there or holds nothing: put it back, or start anew" in line
  before = tmp_path / "root" / "before"
  assert f"`mkdir {before} && mv {site.artifacts_dir} {before}`" in line
  before.mkdir()
  shutil.move(site.artifacts_dir, before)
  check_metadata(site)


@pytest.mark.parametrize("content", ["empty file", "empty tables", "a backup"])
def test_records_that_do_not_know_the_outputs_are_refused(site, content):
  path = Path(site.metadata_path)
  path.unlink()
  if content == "empty file":
    path.touch()
  else:
    write_records(site.metadata_path, 0 if content == "empty tables" else 19)
  state = "is older than they are" if content == "a backup" else "holds nothing"
  assert state in refusal(site)


@pytest.mark.parametrize("fault", ["text", "cut", "overwritten"])
def test_damage_is_told_with_the_files_name_and_what_to_do(site, fault):
  path = Path(site.metadata_path)
  data = path.read_bytes()
  path.write_bytes(
    {
      "text": b"no database, but long enough to be taken for one" * 100,
      "cut": data[: len(data) // 2],
      "overwritten": data[:8192] + b"\xff" * 4096 + data[12288:],
    }[fault]
  )
  line = refusal(site)
  assert "is damaged (" in line
  assert f"mv {path} {site.artifacts_dir} " in line


def test_a_file_that_another_program_holds_is_told(site, monkeypatch):
  monkeypatch.setattr(metadata_file, "_BUSY_SECONDS", 0.2)
  with closing(sqlite3.connect(site.metadata_path)) as other:
    other.execute("BEGIN EXCLUSIVE")
    assert "cannot be written (database is locked)" in refusal(site)


def test_a_file_that_may_not_be_written_is_told(site, monkeypatch):
  connect = sqlite3.connect

  def read_only(path, **options):
    return connect(f"file:{path}?mode=ro", uri=True, **options)

  monkeypatch.setattr(sqlite3, "connect", read_only)
  assert "cannot be written (attempt to write a readonly" in refusal(site)


def test_a_folder_in_its_place_is_told(site):
  Path(site.metadata_path).unlink()
  Path(site.metadata_path).mkdir()
  assert "cannot be written (unable to open" in refusal(site)
