"""Wheels of Python files that are here already, for workers to install.

A wheel and not a source distribution: nothing is built on a worker, so none needs
setuptools or a network for it. The format is a zip file with three more texts.
"""

from __future__ import annotations

import atexit
import base64
import functools
import hashlib
import re
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from hardmine.schemas.config import require

_WHEEL = "Wheel-Version: 1.0\nGenerator: hardmine\nRoot-Is-Purelib: true\nTag: {}\n"
_TAG = "py3-none-any"
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # the same files are the same bytes
_OF_THE_INSTALLER = {"INSTALLER", "RECORD", "REQUESTED", "WHEEL", "direct_url.json"}


def installed_package(name: str, without: str | None = None) -> Path:
  """A wheel of a pure distribution as it is installed here.

  Args:
    name: of the distribution.
    without: a folder in it that stays here.

  Raises:
    ValueError: it is a link to somebody's folder (an editable installation).
    RuntimeError: it is not installed.
  """
  try:
    found = metadata.distribution(name)
  except metadata.PackageNotFoundError:
    raise RuntimeError(f"{name} is not installed: pip install {name}") from None
  files: dict[str, bytes] = {}
  for path in found.files or ():
    inside = ".." not in path.parts and "__pycache__" not in path.parts
    inside &= without is None or not path.is_relative_to(without)
    about = path.parts[0].endswith(".dist-info")
    if inside and not (about and path.name in _OF_THE_INSTALLER):
      files[path.as_posix()] = Path(str(path.locate())).read_bytes()
  normal = _normal(found.metadata["Name"])
  require(
    any(path.startswith(f"{normal}/") for path in files)
    and any(path.endswith(".dist-info/METADATA") for path in files),
    f"{name} as a package whose files are installed",
    installed=sorted(files)[:3],
  )
  return _write(normal, found.version, files)


def user_package(paths: Sequence[str | Path]) -> Path:
  """A wheel of modules and packages, which are imported by the names they have here.

  Args:
    paths: files `NAME.py` and folders of a package. All files of a folder go along,
      but for hidden ones and bytecode.

  Returns:
    Its path. It is removed when this process ends, and has another name for other
    content.

  Raises:
    ValueError: a path is missing, no module, or has the name of one that workers have.
  """
  require(bool(paths), "a module or package", paths=list(paths))
  files: dict[str, bytes] = {}
  names: dict[str, Path] = {}
  for path in map(Path, paths):
    name = path.stem if path.suffix == ".py" else path.name
    is_module = path.suffix == ".py" and path.is_file()
    require(
      is_module or path.is_dir(), "NAME.py or a folder of modules", path=str(path)
    )
    require(
      name.isidentifier(), "a name that `import` takes: rename it", path=str(path)
    )
    require(
      name not in sys.stdlib_module_names and name not in ("apache_beam", "hardmine"),
      "a name that no module of the workers has: rename it",
      path=str(path),
    )
    require(
      name not in names,
      "one module of a name",
      path=str(path),
      other=str(names.get(name)),
    )
    names[name] = path
    files |= {path.name: path.read_bytes()} if is_module else _below(path)
  digest = hashlib.sha256()
  for name, data in sorted(files.items()):
    digest.update(b"%s\0%d\0" % (name.encode("utf-8"), len(data)) + data)
  return _write("hardmine_user_modules", f"0+{digest.hexdigest()[:12]}", files)


def _below(folder: Path) -> dict[str, bytes]:
  found = {
    path.relative_to(folder.parent): path
    for path in sorted(folder.rglob("*"))
    if path.is_file()
  }
  return {
    name.as_posix(): path.read_bytes()
    for name, path in found.items()
    if not any(part.startswith(".") or part == "__pycache__" for part in name.parts[1:])
  }


def _write(name: str, version: str, files: Mapping[str, bytes]) -> Path:
  """Writes NAME-VERSION-py3-none-any.whl; `files` may hold its METADATA."""
  about = f"{name}-{version}.dist-info"
  told = dict(files)
  told.setdefault(
    f"{about}/METADATA",
    f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
  )
  told[f"{about}/WHEEL"] = _WHEEL.format(_TAG).encode()
  told[f"{about}/RECORD"] = _record(told, f"{about}/RECORD").encode()
  path = _folder() / f"{name}-{version}-{_TAG}.whl"
  with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
    for member, data in told.items():
      info = zipfile.ZipInfo(member, _FIRST_DAY)
      info.compress_type = zipfile.ZIP_DEFLATED
      info.external_attr = 0o644 << 16
      archive.writestr(info, data)
  return path


def _record(files: Mapping[str, bytes], itself: str) -> str:
  lines = [f"{_quoted(path)},{_hash(data)},{len(data)}" for path, data in files.items()]
  return "\n".join([*lines, f"{itself},,", ""])


def _quoted(path: str) -> str:
  return '"' + path.replace('"', '""') + '"' if set(path) & set(',"') else path


def _hash(data: bytes) -> str:
  digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
  return f"sha256={digest.rstrip(b'=').decode()}"


def _normal(name: str) -> str:
  return re.sub(r"[-_.]+", "_", name).lower()


def requirements(extras: Iterable[str], name: str = "hardmine") -> list[str]:
  """What extras of an installed distribution require here, as pip reads it."""
  from packaging.requirements import Requirement

  found: list[str] = []
  for line in metadata.requires(name) or ():
    requirement = Requirement(line)
    for extra in extras:
      marker = requirement.marker
      if not marker or marker.evaluate({"extra": ""}):
        continue
      if marker.evaluate({"extra": extra}):
        found.append(f"{requirement.name}{requirement.specifier}")
  return found


def text_file(name: str, text: str) -> Path:
  """A file beside the wheels, which is removed when this process ends."""
  path = _folder() / name
  path.write_text(text, "utf-8")
  return path


@functools.cache
def _folder() -> Path:
  folder = Path(tempfile.mkdtemp(prefix="hardmine-staged-"))
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  return folder
