"""The one rule, no circles, and nothing at the top level but `hardmine`."""

from __future__ import annotations

import ast
import functools
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAX_LINES = 350
FOLDERS = ("schemas", "trainers", "serving", "components", "pipelines")  # left to right
SOURCES = sorted(
  path
  for folder in (*FOLDERS, "tests", "benchmarks")
  for path in (ROOT / folder).rglob("*.py")
)
# A file of it imports from a sub-folder that, elsewhere, imports from the files.
FOLDERS_IN_CIRCLES = ("hardmine.pipelines",)
# What else each folder must do without, however deep inside a function.
FOREIGN = {
  "schemas": {"apache_beam", "keras", "matplotlib", "tfx", "PIL"},
  "trainers": {"apache_beam", "tfx", "tfx_bsl", "ml_metadata"},
  "serving": {"apache_beam", "tfx", "tfx_bsl", "ml_metadata"},
  "components": set(),
  "pipelines": set(),
}
# Imported with the module, these would make `hardmine --help` wait.
HEAVY = {
  "apache_beam",
  "jax",
  "keras",
  "matplotlib",
  "numpy",
  "pandas",
  "PIL",
  "rich",
  "scipy",
  "skimage",
  "tensorflow",
  "tfx",
}


@functools.cache
def modules() -> dict[str, Path]:
  found = {}
  for folder in FOLDERS:
    for path in sorted((ROOT / folder).rglob("*.py")):
      parts = path.relative_to(ROOT).with_suffix("").parts
      name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
      found[f"hardmine.{name}"] = path
  return found


@functools.cache
def imports_of(module: str, top_level_only: bool = False) -> frozenset[str]:
  """Modules (ours as files, others as written) that a module imports.

  Inside functions too; imports for the type checker alone do not run and do not
  count.
  """
  path = modules()[module]
  package = module if path.name == "__init__.py" else module.rpartition(".")[0]
  found: set[str] = set()
  pending: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
  while pending:
    node = pending.pop()
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
      pending += node.orelse
      continue
    if top_level_only and isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
      continue
    if isinstance(node, ast.Import):
      found.update(alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      base = node.module or ""
      if node.level:
        parents = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join([*parents, base] if base else parents)
      for alias in node.names:
        inner = f"{base}.{alias.name}"
        found.add(inner if inner in modules() else base)
    pending += ast.iter_child_nodes(node)
  return frozenset(found)


def test_the_rule_has_something_to_hold():
  assert {name.split(".")[1] for name in modules()} == set(FOLDERS)
  assert "hardmine.schemas.config" in imports_of("hardmine.schemas.gates")


def test_the_package_is_links_to_the_folders():
  links = {path.name: path for path in (ROOT / "hardmine").iterdir()}
  for folder in FOLDERS:
    assert links[folder].is_symlink()
    assert links[folder].readlink() == Path("..", folder)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_our_folders_are_imported_through_the_package_alone(path):
  tree = ast.parse(path.read_text("utf-8"))
  imported = {
    name
    for node in ast.walk(tree)
    for name in (
      [alias.name for alias in node.names]
      if isinstance(node, ast.Import)
      else [node.module or ""]
      if isinstance(node, ast.ImportFrom) and not node.level
      else []
    )
  }
  assert not {name.split(".")[0] for name in imported} & set(FOLDERS)


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_module_imports_to_its_right(module):
  folder = module.split(".")[1]
  right = {f"hardmine.{name}" for name in FOLDERS[FOLDERS.index(folder) + 1 :]}
  imported = imports_of(module)
  assert not {".".join(name.split(".")[:2]) for name in imported} & right
  tops = {name.split(".")[0] for name in imported}
  assert not tops & FOREIGN[folder]
  assert "tests" not in tops
  assert "benchmarks" not in tops


def test_no_module_is_named_after_nothing():
  names = {name.rpartition(".")[2] for name in modules()}
  assert not names & {"utils", "common", "helpers", "misc"}


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_holds_one_idea(module):
  """What is longer holds two: split it."""
  assert len(modules()[module].read_text("utf-8").splitlines()) <= MAX_LINES


def test_there_are_no_circles():
  graph = {
    module: {name for name in imports_of(module) if name in modules()} - {module}
    for module in modules()
  }
  try:
    graphlib.TopologicalSorter(graph).prepare()
  except graphlib.CycleError as error:
    pytest.fail(f"circle: {' <- '.join(error.args[1])}")


def order_inside(folder: str) -> dict[str, set[str]]:
  """What each file and folder in a folder, taken as a whole, imports of the others."""

  def part(module: str) -> str:
    return module.removeprefix(f"{folder}.").partition(".")[0]

  inside = {name for name in modules() if name.startswith(f"{folder}.")}
  graph: dict[str, set[str]] = {part(name): set() for name in inside}
  for name in inside:
    graph[part(name)] |= {part(other) for other in imports_of(name) & inside}
  return {name: others - {name} for name, others in graph.items()}


@pytest.mark.parametrize(
  "folder",
  sorted(
    {name.rpartition(".")[0] for name in modules()} - {"hardmine", *FOLDERS_IN_CIRCLES}
  ),
)
def test_folders_form_an_order_too(folder):
  """So that a reader can learn one room after the other."""
  try:
    graphlib.TopologicalSorter(order_inside(folder)).prepare()
  except graphlib.CycleError as error:
    pytest.fail(f"circle in {folder}: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("folder", FOLDERS_IN_CIRCLES)
def test_a_folder_that_came_into_order_stays_so(folder):
  """Its name is then to be taken off the list."""
  with pytest.raises(graphlib.CycleError):
    graphlib.TopologicalSorter(order_inside(folder)).prepare()


@pytest.mark.parametrize(
  "module",
  [name for name in sorted(modules()) if name.startswith("hardmine.pipelines.cli")],
)
def test_commands_import_nothing_heavy_before_they_run(module):
  """Follows our own modules as far as they import each other at the top."""
  reached, pending = set(), [module]
  while pending:
    name = pending.pop()
    if name in reached:
      continue
    reached.add(name)
    if name in modules():
      parents = name.split(".")
      pending += [".".join(parents[:n]) for n in range(1, len(parents))]
      pending += imports_of(name, top_level_only=True)
  assert not {name.split(".")[0] for name in reached} & HEAVY
