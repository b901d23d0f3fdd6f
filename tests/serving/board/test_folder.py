"""What a board writes and leaves alone, and that names in a store stay mere text."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from hardmine.serving.board.build import write_board
from hardmine.serving.board.folder import BoardFolder
from hardmine.serving.board.wording import age, moment, public, size
from tests.serving.board.fake_store import FakeStore, codec, detector, verdict

EVIL = """"'><script>alert(1)</script><b onclick=x>&amp;</svg></style>"""


def contents(folder):
  return {path.name: path.read_bytes() for path in folder.iterdir()}


def filled() -> FakeStore:
  store = FakeStore()
  for number in range(3):
    store.add(**codec(area=1.5 + number / 10))
    store.add("detector", **detector(precision=0.3 + number / 10))
  store.move("production", 3)
  store.move("detector-production", 4)
  return store


def test_the_same_store_gives_the_same_bytes(tmp_path):
  for name in ("a", "b"):
    write_board(filled(), tmp_path / name)
  assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_old_board_is_replaced_and_other_files_stay(tmp_path):
  store = filled()
  write_board(store, tmp_path)
  (tmp_path / "notes.txt").write_text("mine")
  (tmp_path / "version-99.html").write_text("mine too")
  store.remove(1)
  store.add()
  write_board(store, tmp_path)
  assert not (tmp_path / "version-1.html").exists()
  assert (tmp_path / "version-7.html").exists()
  assert (tmp_path / "notes.txt").read_text() == "mine"
  assert (tmp_path / "version-99.html").read_text() == "mine too"


def test_a_foreign_file_in_the_place_of_a_page_is_refused(tmp_path):
  store = filled()
  write_board(store, tmp_path)
  (tmp_path / "version-7.html").write_text("mine")
  before = contents(tmp_path)
  store.add()
  with pytest.raises(ValueError, match=r"version-7\.html"):
    write_board(store, tmp_path)
  assert contents(tmp_path) == before


@pytest.mark.parametrize("marker", [None, "{}", "not JSON", '{"hardmine_board": 3}'])
def test_a_folder_with_other_content_is_refused(tmp_path, marker):
  (tmp_path / "index.html").write_text("my own page")
  if marker is not None:
    (tmp_path / "board.json").write_text(marker)
  before = contents(tmp_path)
  with pytest.raises(ValueError, match="a board that this command wrote"):
    write_board(filled(), tmp_path)
  assert contents(tmp_path) == before


def test_a_file_and_a_url_are_no_output_folders(tmp_path):
  (tmp_path / "file").write_text("")
  with pytest.raises(ValueError, match="output folder"):
    BoardFolder(tmp_path / "file")
  with pytest.raises(ValueError, match="output folder"):
    BoardFolder("s3://bucket/board")


def test_a_marker_cannot_make_us_remove_what_is_no_page(tmp_path):
  write_board(filled(), tmp_path / "board")
  (tmp_path / "precious").write_text("x")
  (tmp_path / "board" / "notes.txt").write_text("x")
  names = ["../precious", "notes.txt", "/etc/hostname", "version-5.html"]
  (tmp_path / "board" / "board.json").write_text(json.dumps({"hardmine_board": names}))
  with pytest.raises(ValueError, match=r"version-\d\.html"):  # they are not ours now
    write_board(filled(), tmp_path / "board")
  folder = BoardFolder(tmp_path / "board")
  folder.replace([], [])
  assert (tmp_path / "precious").exists()
  assert (tmp_path / "board" / "notes.txt").exists()
  assert not (tmp_path / "board" / "version-5.html").exists()


def test_a_writer_that_died_leaves_a_board_that_the_next_completes(tmp_path):
  store = filled()
  write_board(store, tmp_path)
  old_index = (tmp_path / "index.html").read_bytes()
  store.add()

  def report(done, total):
    if done == 3:
      raise KeyboardInterrupt

  with pytest.raises(KeyboardInterrupt):
    write_board(store, tmp_path, report=report)
  assert (tmp_path / "index.html").read_bytes() == old_index  # it comes last
  write_board(store, tmp_path)
  write_board(store, tmp_path / "fresh")
  fresh = contents(tmp_path / "fresh")
  assert {name: (tmp_path / name).read_bytes() for name in fresh} == fresh


def test_a_page_that_is_the_same_is_not_written_again(tmp_path):
  write_board(filled(), tmp_path)
  before = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
  write_board(filled(), tmp_path)
  assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == before


def test_a_missing_store_leaves_nothing_behind(tmp_path):
  store = FakeStore()
  store.there = False
  with pytest.raises(ValueError, match="a model store"):
    write_board(store, tmp_path / "board")
  assert not (tmp_path / "board").exists()


@pytest.mark.parametrize("kind", ["codec", "detector"])
def test_every_value_is_escaped(board, store, tmp_path, kind):
  made = codec() if kind == "codec" else detector()
  metrics = {
    **made["metrics"],
    EVIL: 1.0,
    "problems": [EVIL],
    "baselines": {EVIL: {"title": EVIL, "bpp": [1], "ms_ssim": [1]}},
    "per_category": [{"name": EVIL, "AP": 0.5, "AP50": 0.5, "num_objects": 1}],
  }
  judged = verdict(EVIL, 1.0)
  judged["results"][0]["reason"] = EVIL
  for _ in range(2):
    store.add(
      kind,
      who=EVIL,
      metrics=metrics,
      verdict=judged,
      experiment={EVIL: EVIL},
      lineage={EVIL: [EVIL]},
    )
  store.files = lambda number: {EVIL: {"sha256": EVIL, "bytes": 1}}
  fields = {"why": EVIL, "override": EVIL, "details": {"refused": {EVIL: EVIL}}}
  store.move(f"production{EVIL}", 1, who=EVIL, **fields)
  store.move(EVIL, 2, who=EVIL, action=EVIL)
  store.damaged[3] = EVIL
  store._versions[3] = store._versions[1]
  store.url = f"/models/{EVIL}"
  pages = board(title=EVIL)  # holds every page to be whole and without scripts
  assert len(pages) == 3
  for name in pages:
    text = (tmp_path / "board" / name).read_text()
    assert "<script" not in text
    assert "<b onclick" not in text
    assert text.count("</style>") == 1


def test_a_url_is_shown_without_its_password(board, store):
  store.url = "s3://me:secret@bucket/models?token=secret"
  text = board()["index.html"].text
  assert "s3://bucket/models" in text
  assert "secret" not in text


def test_words_for_times_and_sizes():
  assert moment("2026-03-01T12:00:00.123+02:00") == "2026-03-01 10:00 UTC"
  assert moment("2026-03-01T12:00:00Z") == "2026-03-01 12:00 UTC"
  assert moment("yesterday") == "yesterday"
  assert age("2026-03-01T12:00:00Z", "2026-03-01T12:00:30Z") == "moments"
  assert age("2026-03-01T12:00:00Z", "2026-03-04T12:00:00Z") == "3 days"
  assert age("2025-03-01T12:00:00Z", "2026-03-04T12:00:00Z") == "1 year"
  assert age("then", "now") == "unknown"
  assert [size(n) for n in (7, 999, 1000, 12_345_678, 99_960_000)] == [
    *("7 B", "999 B", "1.0 kB", "12.3 MB", "100 MB")
  ]
  assert public("memory://models") == "memory://models"


def test_needs_neither_tensorflow_nor_tfx_nor_beam():
  code = (
    "import sys, hardmine.serving.board.build, hardmine.serving.store.store as s\n"
    "heavy = {'tensorflow', 'tfx', 'apache_beam', 'keras', 'matplotlib', 'PIL'}\n"
    "sys.exit(', '.join(heavy & set(sys.modules)) or 0)"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
