"""The one rule: schemas <- trainers <- components <- pipelines, and no circles."""

from __future__ import annotations

import ast
import functools
import graphlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("schemas", "trainers", "components", "pipelines")  # left to right
# What else each folder must do without, however deep inside a function.
FOREIGN = {
  "schemas": {"apache_beam", "keras", "matplotlib", "tfx", "PIL"},
  "trainers": {"apache_beam", "tfx", "tfx_bsl", "ml_metadata"},
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
      found[name] = path
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
  assert {name.split(".")[0] for name in modules()} == set(FOLDERS)
  assert "schemas.config" in imports_of("schemas.manifest") | imports_of(
    "schemas.gates"
  )


@pytest.mark.parametrize("module", sorted(modules()))
def test_no_module_imports_to_its_right(module):
  folder = module.split(".")[0]
  right = set(FOLDERS[FOLDERS.index(folder) + 1 :])
  tops = {name.split(".")[0] for name in imports_of(module)}
  assert not tops & right
  assert not tops & FOREIGN[folder]
  assert "tests" not in tops
  assert "benchmarks" not in tops


def test_no_module_is_named_after_nothing():
  names = {name.rpartition(".")[2] for name in modules()}
  assert not names & {"utils", "common", "helpers", "misc"}


def test_there_are_no_circles():
  graph = {
    module: {name for name in imports_of(module) if name in modules()} - {module}
    for module in modules()
  }
  try:
    graphlib.TopologicalSorter(graph).prepare()
  except graphlib.CycleError as error:
    pytest.fail(f"circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize(
  "module", [name for name in sorted(modules()) if name.startswith("pipelines.cli")]
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
