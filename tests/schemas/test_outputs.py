"""`hardmine.schemas.outputs`: what is replaced, and what never is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from hardmine.schemas.manifest import write_manifest
from hardmine.schemas.output_sets import check_sources
from hardmine.schemas.outputs import PATCHES, FileKind, OutputFile, StagedFolder

NOTE = FileKind("a note", re.compile(rb"note:"))


def make_patches(folder: Path, kind: str = PATCHES) -> Path:
  (folder / "Split-train").mkdir(parents=True)
  (folder / "Split-train" / "shard").write_bytes(b"old")
  write_manifest(folder, ["Split-train/shard"], kind=kind)
  return folder


def replace(folder: Path, **options) -> None:
  with StagedFolder(folder, overwrite=True, kind=PATCHES, **options) as staging:
    (staging / "new").write_bytes(b"new")


def listing(folder: Path) -> dict[str, bytes | None]:
  """Everything below a folder: a file's content, None of the others."""
  return {
    str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
    for path in folder.rglob("*")
  }


def test_a_new_name_is_free_and_an_old_one_needs_overwrite(tmp_path):
  path = tmp_path / "a"
  OutputFile(path, NOTE).write("note: 1")
  with pytest.raises(ValueError, match="a new name, or --overwrite"):
    OutputFile(path, NOTE)
  OutputFile(path, NOTE, overwrite=True).write("note: 2")
  assert path.read_text() == "note: 2"
  assert os.listdir(tmp_path) == ["a"]


def test_only_files_of_the_kind_are_replaced_and_empty_ones(tmp_path):
  path = tmp_path / "a"
  path.write_text("a thesis")
  with pytest.raises(ValueError, match="a note, which alone is replaced"):
    OutputFile(path, NOTE, overwrite=True)
  path.write_text("")
  OutputFile(path, NOTE, overwrite=True).write("note: 1")


def test_a_source_is_no_output_by_whatever_name(tmp_path):
  source = tmp_path / "source"
  source.write_text("note: mine")
  (tmp_path / "inner").mkdir()
  os.symlink(source, tmp_path / "link")
  os.link(source, tmp_path / "twin")
  names = ("source", "link", "twin", "inner/../source", "./source")
  for path in (f"{tmp_path}/{name}" for name in names):
    with pytest.raises(ValueError, match="another file than the one that is read"):
      OutputFile(path, NOTE, overwrite=True, sources=[source])
  assert source.read_text() == "note: mine"


def test_places_that_are_no_file(tmp_path):
  for path, message in (
    (tmp_path / "none" / "a", "a folder that exists"),
    (tmp_path, "a file, or nothing"),
    ("/dev/null", "a file, or nothing"),
  ):
    with pytest.raises(ValueError, match=message):
      OutputFile(path, NOTE, overwrite=True)


def test_a_link_stays_a_link(tmp_path):
  os.symlink("target", tmp_path / "link")
  OutputFile(tmp_path / "link", NOTE).write("note: 1")
  with pytest.raises(ValueError, match="--overwrite"):
    OutputFile(tmp_path / "link", NOTE)
  OutputFile(tmp_path / "link", NOTE, overwrite=True).write("note: 2")
  assert (tmp_path / "link").is_symlink()
  assert (tmp_path / "target").read_text() == "note: 2"


def test_what_appears_in_the_meantime_stays(tmp_path):
  output = OutputFile(tmp_path / "a", NOTE)
  (tmp_path / "a").write_text("note: of somebody else")
  with pytest.raises(ValueError, match="--overwrite"):
    output.write("note: mine")
  assert (tmp_path / "a").read_text() == "note: of somebody else"


def test_our_own_folder_is_replaced_by_a_whole_one(tmp_path):
  folder = make_patches(tmp_path / "out")
  before = listing(folder)
  with (
    pytest.raises(RuntimeError, match="broken"),
    StagedFolder(folder, overwrite=True, kind=PATCHES),
  ):
    raise RuntimeError("broken")
  assert listing(folder) == before
  replace(folder)
  assert listing(tmp_path) == {"out": None, "out/new": b"new"}


def test_without_overwrite_a_folder_is_new_or_empty(tmp_path):
  (tmp_path / "empty").mkdir()
  for name in ("empty", "new"):
    with StagedFolder(tmp_path / name) as staging:
      (staging / "new").write_bytes(b"new")
  with pytest.raises(ValueError, match="does not exist or is empty"):
    StagedFolder(make_patches(tmp_path / "out"), kind=PATCHES)


def photographs(folder: Path) -> None:
  (folder / "a.png").write_bytes(b"a photograph")


@pytest.mark.parametrize(
  "spoil",
  [
    photographs,
    lambda folder: (folder / "Split-train" / ".notes").write_bytes(b"x"),
    lambda folder: (folder / "inner").mkdir(),
    lambda folder: os.symlink("/", folder / "link"),
    lambda folder: (folder / "manifest.json").write_text("[]"),
    lambda folder: (folder / "manifest.json").write_text('{"files": {"a.png": 1}}'),
    lambda folder: (folder / "manifest.json").unlink(),
  ],
)
def test_a_folder_that_holds_anything_else_stays(tmp_path, spoil):
  folder = make_patches(tmp_path / "out")
  spoil(folder)
  before = listing(tmp_path)
  with pytest.raises(ValueError, match="patches made before and nothing else"):
    replace(folder)
  assert listing(tmp_path) == before


def test_a_folder_of_another_kind_stays(tmp_path):
  folder = make_patches(tmp_path / "out", kind="annotated_images")
  with pytest.raises(ValueError, match=r"no manifest\.json of patches"):
    replace(folder)
  assert (folder / "Split-train" / "shard").read_bytes() == b"old"


@pytest.mark.parametrize("path", ["out", ".", "out/..", "out/../out", "link"])
def test_photographs_survive_every_careless_output(tmp_path, monkeypatch, path):
  (tmp_path / "out").mkdir()
  photographs(tmp_path / "out")
  photographs(tmp_path)
  os.symlink("out", tmp_path / "link")
  monkeypatch.chdir(tmp_path)
  before = listing(tmp_path)
  with pytest.raises(ValueError, match="nothing else"):
    replace(Path(path))
  assert listing(tmp_path) == before
  assert Path("link").is_symlink()


def test_the_current_folder_stays_even_if_it_is_empty(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(ValueError, match="not the current one"):
    StagedFolder(".")


def test_a_source_in_an_output_of_ours_is_refused(tmp_path):
  folder = make_patches(tmp_path / "out")
  os.symlink(folder / "Split-train" / "shard", tmp_path / "link")
  output = str(StagedFolder(folder, overwrite=True, kind=PATCHES).output)
  check_sources(output, [str(tmp_path / "elsewhere"), "gs://bucket/out"])
  for source in (folder / "Split-train" / "shard", tmp_path / "link"):
    for name in (str(source), f"file://{source}"):
      with pytest.raises(ValueError, match="without any of the files that are read"):
        check_sources(output, [name])


def test_a_linked_folder_is_filled_and_stays_linked(tmp_path):
  os.symlink("target", tmp_path / "link")
  make_patches(tmp_path / "target")
  replace(tmp_path / "link")
  assert (tmp_path / "link").is_symlink()
  assert listing(tmp_path / "target") == {"new": b"new"}


def test_a_folder_that_was_filled_meanwhile_stays(tmp_path):
  folder = StagedFolder(tmp_path / "out")
  (folder.__enter__() / "new").write_bytes(b"new")
  (tmp_path / "out").mkdir()
  photographs(tmp_path / "out")
  with pytest.raises(RuntimeError, match="what was made lies in"):
    folder.__exit__(None, None, None)
  assert listing(tmp_path / "out") == {"a.png": b"a photograph"}
  (kept,) = tmp_path.glob("out-*")
  assert listing(kept) == {"new": b"new"}


def test_a_file_is_no_folder(tmp_path):
  (tmp_path / "out").write_text("x")
  with pytest.raises(ValueError, match="and no file"):
    replace(tmp_path / "out")
  assert (tmp_path / "out").read_text() == "x"
