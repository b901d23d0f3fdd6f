"""The names under which configs store classes, and what may be imported by them.

Ours are `trainers.module:Name`, wherever the package is imported from, since ids and
caches hold these names. Every other name is of the user's: of the experiment's file
itself, or of a module beside it. Those are trusted as the experiment is, whose code
the user asked to be run; no other folder is ever searched, so neither a model's file
nor a store can name code that is not there already.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from types import ModuleType

_PACKAGE = __name__.partition(".")[0]
_OURS = "trainers"

_trusted_dirs: list[Path] = []  # the last one trusted comes first
_experiments: dict[str, ModuleType] = {}


def trust_modules_in(directory: str | Path) -> None:
  """Lets configs name classes of the modules in a folder, an experiment's.

  Raises:
    ValueError: a module of this name was imported from another experiment's folder,
      and Python would give that one.
  """
  directory = Path(directory).resolve()
  for name, module in _imported(directory).items():
    file = _file_of(module)
    elsewhere = any(file in _resolved(_places(d, name)) for d in _trusted_dirs)
    places = [place for place in _places(directory, name) if place.is_file()]
    if elsewhere and places and file not in _resolved(places):
      raise ValueError(
        f"Expected one module {name!r}: {file} was imported before {places[0]}; rename "
        f"one of them, or use them in processes of their own. Received: {name!r}"
      )
  if directory in _trusted_dirs:
    _trusted_dirs.remove(directory)
  _trusted_dirs.insert(0, directory)


def search_modules_in(directory: str | Path) -> None:
  """Lets the modules of a folder import one another.

  They are found behind all that is installed, so a `random.py` there hides nothing;
  but before the folders of a checkout of ours that is, such as `components`.
  """
  sys.path[:] = [path for path in sys.path if path != str(directory)]
  sys.path.append(str(directory))
  checkout = Path(__file__).parents[2]
  if (checkout / _PACKAGE / _OURS).is_symlink() and str(checkout) in sys.path:
    sys.path[:] = [path for path in sys.path if path != str(checkout)]
    sys.path.append(str(checkout))


def trust_experiment(module: ModuleType) -> None:
  """Lets configs name the classes of an experiment's file, which was run just now."""
  _experiments[module.__name__] = module


def forget_modules_in(directory: str | Path) -> None:
  """Undoes what an experiment's folder brought: another copy of it is to be used."""
  directory = Path(directory).resolve()
  if directory not in _trusted_dirs:
    return
  for name, module in [*_imported(directory).items(), *_experiments.items()]:
    if _file_of(module) in _resolved(_places(directory, name)):
      sys.modules.pop(name, None)
      _experiments.pop(name, None)
  _trusted_dirs.remove(directory)
  sys.path[:] = [path for path in sys.path if path != str(directory)]
  importlib.invalidate_caches()


def own_files(text: str) -> list[tuple[Path, str]]:
  """What a config needs of the user's modules.

  Args:
    text: the config as JSON.

  Returns:
    Files with their paths below the folder that they were found in: of all modules
    that were imported from there, and of packages the rest too, as they may import it
    late. None where every class is ours. The experiment's own file is among them only
    where a class of it is named.
  """
  named = {module for module in _experiments if f'"{module}:' in text}
  for directory in _trusted_dirs:
    found: dict[str, Path] = {}
    imported = _imported(directory) | {name: _experiments[name] for name in named}
    for name, module in imported.items():
      for place in _places(directory, name):  # not what lies deeper, as a .venv does
        if place.is_file() and place.resolve() == _file_of(module):
          found.update(_with_siblings(directory, place))
    if any(f'"{name}:' in text for name in map(_module_of, found)):
      return [(path, name) for name, path in sorted(found.items())]
  return []


def own_code_sha256(text: str) -> str | None:
  """Of the user's modules that a config needs; None where every class is ours."""
  files = own_files(text)
  if not files:
    return None
  digest = hashlib.sha256()
  for path, name in files:
    digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
  return digest.hexdigest()


def class_path(cls: type) -> str:
  """The `module:Name` under which a config stores a class.

  Raises:
    ValueError: a user's module whose name would be taken for another one.
  """
  module = cls.__module__
  top = module.partition(".")[0]
  if top == _PACKAGE:
    return f"{module.removeprefix(f'{_PACKAGE}.')}:{cls.__qualname__}"
  taken = None
  if top == _OURS:
    taken = f"{_OURS!r} is hardmine's own"
  elif not module.replace(".", "").isidentifier():
    taken = "a config needs one of letters, digits and underscores"
  elif module in _experiments and _is_installed(module):
    taken = "an installed one has it too"
  if taken:
    raise ValueError(
      f"Expected another name for the module of {cls.__qualname__}: {taken}, rename "
      f"yours. Received: module={module!r}"
    )
  return f"{module}:{cls.__qualname__}"


def import_class(path: str) -> type:
  """The class stored as `module:Name`.

  Raises:
    ValueError: no such class, or none that may be imported.
    ModuleNotFoundError: its module is there and needs a package that is not.
  """
  module, _, name = path.partition(":")
  if not all(part.isidentifier() for part in (*module.split("."), name)):
    raise ValueError(f"Expected a class as 'module:Name'. Received: path={path!r}")
  try:
    found = getattr(_import(module, path), name)
    if not isinstance(found, type):
      raise AttributeError(f"{name} is a {type(found).__name__}")
    return found
  except (ImportError, AttributeError) as error:
    missing = getattr(error, "name", None) or ""
    if isinstance(error, ModuleNotFoundError) and not _is_part(missing, module):
      raise
    raise ValueError(
      f"Expected a class that exists ({error}). Received: path={path!r}"
    ) from error


def _import(module: str, path: str) -> ModuleType:
  if module.partition(".")[0] == _OURS:
    return importlib.import_module(f"{_PACKAGE}.{module}")
  if module in _experiments:
    return _experiments[module]
  for directory in _trusted_dirs if module.partition(".")[0] != _PACKAGE else ():
    places = [place for place in _places(directory, module) if place.is_file()]
    if places:
      search_modules_in(directory)
      found = importlib.import_module(module)
      if _file_of(found) not in _resolved(places):
        raise ValueError(
          f"Expected another name for {places[0]}: {_file_of(found)} has it too and "
          f"is found first, rename yours. Received: path={path!r}"
        )
      return found
  raise ValueError(
    f"Expected a class of hardmine's {_OURS}, or of a module beside the experiment's "
    f"file. Received: path={path!r}"
  )


def _imported(directory: Path) -> dict[str, ModuleType]:
  """The modules whose names a folder has too, wherever they came from.

  Never ours, of which a run's folder and a checkout hold copies.
  """
  # Thousands are imported with TFX: to look for the files of each takes seconds.
  try:
    there = {name.partition(".")[0] for name in os.listdir(directory)} - {_PACKAGE}
  except OSError:  # none of it is there, or nobody may look
    there = set()
  return {
    name: module
    for name, module in list(sys.modules.items())
    if name.partition(".")[0] in there
  }


def _places(directory: Path, module: str) -> list[Path]:
  """Where a module of a folder may lie."""
  place = directory.joinpath(*module.split("."))
  return [place.parent / f"{place.name}.py", place / "__init__.py"]


def _resolved(places: list[Path]) -> list[Path]:
  return [place.resolve() for place in places]


def _file_of(module: ModuleType | None) -> Path:
  return Path(getattr(module, "__file__", None) or "nowhere").resolve()


def _with_siblings(directory: Path, place: Path) -> dict[str, Path]:
  """A module's file, or of one in a package all files of that, by their paths."""
  top = directory / place.relative_to(directory).parts[0]
  files = [top] if top.is_file() else [p for p in top.rglob("*") if p.is_file()]
  return {
    str(path.relative_to(directory)): path
    for path in files
    if "__pycache__" not in path.parts
  }


def _module_of(path: str) -> str:
  parts = Path(path).with_suffix("").parts
  return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _is_installed(module: str) -> bool:
  """Whether Python finds another file under the name of an experiment's."""
  if module in sys.stdlib_module_names:
    return True
  spec = PathFinder.find_spec(module)
  origin = Path(spec.origin).resolve() if spec and spec.origin else None
  return origin is not None and origin != _file_of(_experiments[module])


def _is_part(missing: str, module: str) -> bool:
  """Whether a module that was not found is the wanted one or holds it."""
  wanted = f"{module}."
  return wanted.startswith(f"{missing}.") or f"{_PACKAGE}.{wanted}".startswith(
    f"{missing}."
  )
