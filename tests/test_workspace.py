"""The tree that `WORKSPACE.md` draws is the tree."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("schemas", "trainers", "serving", "components", "pipelines")


def drawn():
  """Every path of the drawing, patterns as they stand."""
  text = (ROOT / "WORKSPACE.md").read_text("utf-8")
  (block,) = re.findall(r"^## The tree\n\n```\n(.*?)^```", text, re.S | re.M)
  folders, found = [], set()
  for line in block.splitlines():
    depth = (len(line) - len(line.lstrip())) // 2
    names, *_ = re.split(r"\s{3,}", line.strip(), maxsplit=1)  # then what they are
    found.update("/".join([*folders[:depth], name]) for name in names.split())
    folders[depth:] = [names.rstrip("/")]
  return found


@pytest.mark.parametrize("path", sorted(drawn()))
def test_what_is_drawn_is_there(path):
  if path.endswith("/"):
    assert (ROOT / path).is_dir()
  else:
    assert (ROOT / path).is_dir() or list(ROOT.glob(f"{path}.py"))


@pytest.mark.parametrize("folder", [*FOLDERS, "trainers/codec", "trainers/detection"])
def test_what_is_there_is_drawn(folder):
  paths = drawn()
  known = {match for path in paths for match in ROOT.glob(f"{path}.py")}
  known |= {ROOT / path.rstrip("/") for path in paths}
  for path in (ROOT / folder).iterdir():
    if path.name.startswith("__") or path.suffix not in ("", ".py"):
      continue
    assert path in known, f"draw {path.relative_to(ROOT)} in WORKSPACE.md"


def test_the_map_names_only_files_that_exist():
  text = (ROOT / "WORKSPACE.md").read_text("utf-8")
  names = re.findall(r"`((?:\w+/)+\w+\.(?:py|md|jinja))`", text)
  rooms = [ROOT / name for name in (*FOLDERS, "tests", "docs", "benchmarks")]
  for name in names:
    assert (ROOT / name).exists() or any([*room.rglob(name)] for room in rooms), name
