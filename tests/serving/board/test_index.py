"""The index: aliases, versions, plots and the log, for stores of every sort."""

from __future__ import annotations

import time

import pytest

from hardmine.serving.board.build import write_board
from tests.serving.board.fake_store import codec
from tests.serving.board.pages import read


def test_an_empty_store_says_so(board):
  text = board()["index.html"].text
  assert "nothing is live" in text
  assert "holds no version" in text
  assert "Nothing has happened yet" in text


@pytest.mark.parametrize("kinds", [["codec"], ["detector"], ["codec", "detector"]])
@pytest.mark.parametrize("num", [1, 3])
def test_every_kind_has_its_numbers_and_plots(board, store, kinds, num):
  for _ in range(num):
    for kind in kinds:
      store.add(kind)
  pages = board()
  index = pages["index.html"]
  assert len(pages) == 1 + num * len(kinds)
  assert index.tags.count("svg") == 2 * len(kinds)
  assert ("MS-SSIM area" in index.text) == ("codec" in kinds)
  assert ("AP50" in index.text) == ("detector" in kinds)
  # Which plots are whose needs saying only where there are both.
  assert ("Detectors" in index.headings) == (len(kinds) == 2)


def test_says_what_is_live_since_when_by_whom_and_why(board, store):
  store.add()
  store.move("production", 1, who="anna", why="best on Kodak")
  store.add()
  index = board()["index.html"]
  live = index.text.partition("What is live")[2].partition("Versions")[0]
  for words in (
    *("production", "version 1", "anna", "best on Kodak"),
    *("2026-03-02 12:00 UTC", "for 1 day"),
  ):
    assert words in live


def test_versions_come_newest_first_with_age_size_and_verdict(board, store):
  store.add()
  store.add(**codec(area=1.7, passed=False))
  store.add(verdict={})
  store.move("production", 1)
  text = board()["index.html"].text.partition("Metrics Age Size Aliases")[2]
  assert text.index("0000003") < text.index("0000002") < text.index("0000001")
  rows = text.partition("Metrics over versions")[0]
  assert "not judged" in rows
  assert "not blessed" in rows
  assert "1.7000 MS-SSIM area" in rows
  assert "42.50 PSNR-HVS area" in rows
  assert "3 days 2026-03-01 12:00 UTC 1.2 MB production" in rows


def test_plots_link_to_versions_and_name_the_aliases(board, store, tmp_path):
  for _ in range(3):
    store.add()
  store.move("production", 2)
  board()
  svg = (tmp_path / "board" / "index.html").read_text().partition("<svg")[2]
  svg = svg.partition("</svg>")[0]
  assert svg.count("<circle") == 3
  assert 'href="version-2.html"' in svg
  assert ">production</text>" in svg


def test_the_log_sets_overrides_off(board, store, tmp_path):
  store.add()
  store.add()
  store.move("production", 1)
  store.move(
    "production",
    2,
    who="ben",
    override="the fair is tomorrow",
    details={"refused": {"verdict": "no gate was passed"}},
  )
  store.remove(1)
  text = board()["index.html"].text.partition("Log")[2]
  assert text.index("removed version 1") < text.index("ben") < text.index("anna")
  assert "Checks were passed over: the fair is tomorrow" in text
  assert "verdict : no gate was passed" in text
  html = (tmp_path / "board" / "index.html").read_text()
  assert html.count('class="overridden"') == 1
  assert 'class="badge">Override' in html


def test_the_log_names_the_key_of_a_signature(board, store):
  store.add()
  store.sign(1, details={"key": "ab" * 32})
  store.sign(1)  # by a program that does not say
  pages = board()
  assert "anna signed version 1 by key abababababab" in pages["index.html"].text
  assert "anna signed" in pages["version-1.html"].text


def test_a_damaged_version_does_not_stop_the_others(board, store):
  store.add()
  store.add()
  store.move("production", 2)
  store.damaged[2] = "versions/2/manifest.json was changed"
  pages = board()
  assert "version-2.html" not in pages
  assert "manifest.json was changed" in pages["index.html"].text
  assert "version 2, which cannot be read" in pages["index.html"].text
  assert "version-1.html" in pages


def test_a_version_that_is_removed_meanwhile_is_left_out(board, store):
  store.add()
  store.add()
  numbers = store.versions()
  store.remove(1)
  store.versions = lambda: numbers
  assert set(board()) == {"index.html", "version-2.html"}


def test_a_thousand_versions_take_seconds_and_small_pages(store, tmp_path):
  for number in range(1000):
    store.add("detector" if number % 4 == 0 else "codec")
  store.move("production", 998)
  store.move("detector-production", 997)
  start = time.process_time()  # whatever else the machine does meanwhile
  board = write_board(store, tmp_path)
  assert time.process_time() - start < 15
  assert board.num_versions == 1000
  sizes = {path.name: path.stat().st_size for path in tmp_path.glob("*.html")}
  assert len(sizes) == board.num_pages
  assert sum(sizes.values()) == board.num_bytes
  assert sizes["index.html"] < 150_000
  assert max(sizes.values()) < 300_000
  assert len(read(tmp_path, "version-99?.html")) == 10
  pages = {
    name: page
    for pattern in ("index.html", "versions-*.html", "log-*.html")
    for name, page in read(tmp_path, pattern).items()
  }
  listed = {link for page in pages.values() for link in page.links}
  assert {f"version-{number}.html" for number in range(1, 1001)} <= listed
  # Every page can be reached from the index, newest first.
  assert "versions-1.html" in pages["index.html"].links
  assert "versions-2.html" in pages["versions-1.html"].links
  assert "log-1.html" in pages["index.html"].links
