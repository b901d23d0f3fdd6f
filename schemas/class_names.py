"""The names under which configs store classes, and what may be imported by them.

Ours are `trainers.module:Name`, wherever the package is imported from, since ids and
caches hold these names. Every other name is of the user's: of the experiment's file
itself, or of a module beside it. Those are trusted as the experiment is, whose code
the user asked to be run; no other folder is ever searched, so neither a model's file
nor a store can name code that is not there already.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

_PACKAGE = __name__.partition(".")[0]
_OURS = "trainers"

_trusted_dirs: list[Path] = []
_experiments: dict[str, ModuleType] = {}


def trust_modules_in(directory: str | Path) -> None:
  """Lets configs name classes of the modules in a folder, an experiment's.

  They are found behind all that is installed, so a `random.py` there hides nothing;
  but before the folders of a checkout of ours that is, such as `components`.
  """
  directory = Path(directory).resolve()
  if directory not in _trusted_dirs:
    _trusted_dirs.append(directory)
  if str(directory) not in sys.path:
    checkout = str(Path(__file__).parents[2])
    places = [place for place, path in enumerate(sys.path) if path == checkout]
    sys.path.insert(max(places, default=len(sys.path)), str(directory))


def trust_experiment(module: ModuleType) -> None:
  """Lets configs name the classes of an experiment's file, which was run just now."""
  _experiments[module.__name__] = module


def trusted_files() -> list[tuple[Path, str]]:
  """Files of the user's modules that this process has imported.

  Returns:
    Each with its path below the folder that it was found in.
  """
  found = {}
  for name, module in [*_experiments.items(), *sys.modules.items()]:
    path = Path(getattr(module, "__file__", None) or "nowhere").resolve()
    for directory in _trusted_dirs:
      if path in _places(directory, name):  # not what lies deeper, as a .venv does
        found.setdefault(str(path.relative_to(directory)), path)
  return [(path, name) for name, path in sorted(found.items())]


def class_path(cls: type) -> str:
  """The `module:Name` under which a config stores a class.

  Raises:
    ValueError: a user's module whose name would be taken for one of ours.
  """
  module = cls.__module__
  top = module.partition(".")[0]
  if top == _PACKAGE:
    return f"{module.removeprefix(f'{_PACKAGE}.')}:{cls.__qualname__}"
  if top == _OURS:
    raise ValueError(
      f"Expected another name for the module of {cls.__qualname__}: {_OURS!r} is "
      f"hardmine's own, rename yours. Received: module={module!r}"
    )
  return f"{module}:{cls.__qualname__}"


def import_class(path: str) -> type:
  """The class stored as `module:Name`.

  Raises:
    ValueError: no such class, or none that may be imported.
  """
  module, _, name = path.partition(":")
  if not all(part.isidentifier() for part in (*module.split("."), name)):
    raise ValueError(f"Expected a class as 'module:Name'. Received: path={path!r}")
  try:
    return getattr(_import(module, path), name)
  except (ImportError, AttributeError) as error:
    raise ValueError(
      f"Expected a class that exists ({error}). Received: path={path!r}"
    ) from error


def _import(module: str, path: str) -> ModuleType:
  if module.partition(".")[0] == _OURS:
    return importlib.import_module(f"{_PACKAGE}.{module}")
  if module in _experiments:
    return _experiments[module]
  for directory in _trusted_dirs:
    places = [place for place in _places(directory, module) if place.is_file()]
    if places:
      found = importlib.import_module(module)
      file = Path(getattr(found, "__file__", None) or "nowhere").resolve()
      if file not in places:
        raise ValueError(
          f"Expected another name for {places[0]}: {file} has it too and is found "
          f"first, rename yours. Received: path={path!r}"
        )
      return found
  raise ValueError(
    f"Expected a class of hardmine's {_OURS}, or of a module beside the experiment's "
    f"file. Received: path={path!r}"
  )


def _places(directory: Path, module: str) -> tuple[Path, Path]:
  """Where a module of a folder may lie."""
  place = directory.joinpath(*module.split("."))
  return place.parent / f"{place.name}.py", place / "__init__.py"
