"""The fingerprint that needs no memory is the one of the list that does."""

import hashlib
import json
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardmine.components.jobs.source_tables import (
  patterns_fingerprint,
  sources_fingerprint,
)
from hardmine.components.jobs.sources import Source, find_sources, fingerprint

NAMES = [
  *("a.png", "b/a.png", "b/c/a.png", "b/c/A.JPG", "x/photos/1.png", "y/photos/1.png"),
  *("q/notes.txt", "q/._a.png", "ü/\U0001f5bc.png", "ü/\ufffd.png"),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in NAMES:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(name, "utf-8")
  with open(os.path.join(os.fsencode(tmp_path), b"b", b"\xff.png"), "wb"):
    pass
  (tmp_path / "list.txt").write_text("b/a.png\nx/photos/1.png\n/elsewhere/z.png\n")
  return tmp_path


def as_ever(sources):
  """The formula of version 0.1, whose values caches hold."""
  facts = [[source.path, source.id, source.stamp] for source in sources]
  return hashlib.sha256(json.dumps(sorted(facts)).encode()).hexdigest()


@pytest.mark.parametrize(
  "patterns",
  [
    ["**/*.png"],
    ["b", "b/c"],
    ["b/c", "b"],
    ["x/photos/*.png", "y/photos/*.png", "b/**"],
    ["@list.txt", "b/*.{png,jpg}"],
    ["b/*.{png,jpg}", "@list.txt"],
    ["ü"],
    ["q/*", "*"],
  ],
)
def test_it_is_that_of_the_list(folder, patterns):
  sources = find_sources(patterns).sources
  assert patterns_fingerprint(patterns) == as_ever(sources) == fingerprint(sources)


def test_it_changes_with_a_file(folder):
  before = patterns_fingerprint(["b"])
  (folder / "b" / "new.png").write_bytes(b"")
  assert patterns_fingerprint(["b"]) != before


def test_what_the_job_would_refuse_is_refused(folder):
  for name in ("1/a/b/c.png", "2/a/b/c.png"):
    (folder / name).parent.mkdir(parents=True)
    (folder / name).touch()
  same = ["1/a/*/*.png", "2/a/b/*.png", "1/a/b/*.png"]
  with pytest.raises(ValueError, match="at least one image"):
    patterns_fingerprint(["b", "none/*.png"])
  assert patterns_fingerprint(same) == fingerprint(find_sources(same).sources)


TEXTS = st.text(st.characters(max_codepoint=0x1FFFF), max_size=4)


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS)))
def test_any_sources_are_sorted_as_python_sorts_them(rows):
  sources = [
    Source(id=name, path=path, is_directory=False, stamp=stamp)
    for path, name, stamp in rows
  ]
  assert sources_fingerprint(sources) == as_ever(sources)


# Not of `resource`, which counts what the process was before it became Python's.
MEASURED = """
import pathlib, re, sys
from hardmine.components.jobs.source_tables import patterns_fingerprint
patterns_fingerprint([sys.argv[1]])
status = pathlib.Path("/proc/self/status").read_text()
print(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_photographs(tmp_path):
  kilobytes = []
  for number in (1_000, 200_000):
    path = tmp_path / f"{number}.txt"
    path.write_text("".join(f"{i // 1000}/IMG_{i:07d}.jpg\n" for i in range(number)))
    told = subprocess.check_output([sys.executable, "-c", MEASURED, f"@{path}"])
    kilobytes.append(int(told))
  assert kilobytes[1] < kilobytes[0] + 20_000
