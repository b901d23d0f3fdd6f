"""`make benchmarks` runs whatever is one, and nothing that needs to be told more."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = {path.stem: path for path in (ROOT / "benchmarks").glob("*.py")}
(PATTERN,) = re.findall(r"for file in (\S+);", (ROOT / "Makefile").read_text("utf-8"))
RUN = {path.stem: path for path in ROOT.glob(PATTERN)}


def needed(tree):
  """The arguments that a program's parser asks for."""
  for call in ast.walk(tree):
    if not isinstance(call, ast.Call) or not call.args:
      continue
    if getattr(call.func, "attr", None) != "add_argument":
      continue
    name = ast.literal_eval(call.args[0])
    words = {one.arg: getattr(one.value, "value", None) for one in call.keywords}
    if not name.startswith("-") and words.get("nargs") not in ("?", "*"):
      yield name
    if words.get("required"):
      yield name


def is_program(tree):
  return any(
    isinstance(one, ast.If) and ast.unparse(one.test) == "__name__ == '__main__'"
    for one in tree.body
  )


@pytest.mark.parametrize("name", sorted(RUN))
def test_a_benchmark_runs_without_arguments(name):
  tree = ast.parse(RUN[name].read_text("utf-8"))
  assert is_program(tree), "what others import begins with an underscore"
  assert not list(needed(tree)), "give them defaults, or begin with an underscore"


@pytest.mark.parametrize("name", sorted(FILES.keys() - RUN.keys()))
def test_what_is_not_run_is_part_of_what_is(name):
  assert name.startswith("_")
  assert any(
    re.search(rf"\b{name}\b", path.read_text("utf-8")) for path in RUN.values()
  )
