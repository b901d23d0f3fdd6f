"""What is staged for workers holds all that they import, and nothing is built there."""

import subprocess
import sys
import zipfile
from importlib import metadata

import pytest

from hardmine.pipelines.wheels import installed_package, requirements, user_package


def unpacked(wheel, folder):
  """What `pip install` does with a wheel of pure Python, for `PYTHONPATH`."""
  zipfile.ZipFile(wheel).extractall(folder)
  return folder


def answer(folder, program):
  environment = {"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}
  command = [sys.executable, "-c", program]
  return subprocess.check_output(command, cwd="/", env=environment, text=True).strip()


@pytest.fixture
def modules(tmp_path):
  """A module that imports a package beside it, which has a file of data."""
  folder = tmp_path / "mine"
  (folder / "shapes" / "inner").mkdir(parents=True)
  (folder / "shapes" / "__init__.py").write_text("SIDES = 4\n")
  (folder / "shapes" / "inner" / "__init__.py").write_text("")
  (folder / "shapes" / "inner" / "words.txt").write_text("four, five")
  (folder / "shapes" / ".hidden").write_text("no")
  (folder / "shapes" / "__pycache__").mkdir()
  (folder / "shapes" / "__pycache__" / "old.pyc").write_bytes(b"no")
  (folder / "corners.py").write_text("from shapes import SIDES\nNUMBER = SIDES\n")
  return folder


def test_modules_of_a_user_are_imported_elsewhere_by_their_names(modules, tmp_path):
  wheel = user_package([modules / "corners.py", modules / "shapes"])
  there = unpacked(wheel, tmp_path / "there")
  program = (
    "import corners, shapes.inner, importlib.resources as r; "
    "print(corners.NUMBER, (r.files(shapes.inner) / 'words.txt').read_text(), "
    "corners.__file__)"
  )
  assert answer(there, program) == f"4 four, five {there}/corners.py"
  names = set(zipfile.ZipFile(wheel).namelist())
  assert not any("hidden" in name or "pycache" in name for name in names)


def test_pip_takes_it_for_a_distribution(modules, tmp_path):
  there = unpacked(user_package([modules / "corners.py"]), tmp_path / "there")
  (found,) = metadata.distributions(path=[str(there)])
  assert found.metadata["Name"] == "hardmine_user_modules"
  assert {str(path): path.hash.value for path in found.files if path.hash}.keys() == {
    "corners.py",
    f"hardmine_user_modules-{found.version}.dist-info/METADATA",
    f"hardmine_user_modules-{found.version}.dist-info/WHEEL",
  }


def test_the_same_modules_are_the_same_wheel_and_others_another(modules):
  first = user_package([modules / "corners.py"])
  before = first.read_bytes()
  again = user_package([modules / "corners.py"])
  assert (again, again.read_bytes()) == (first, before)
  (modules / "corners.py").write_text("NUMBER = 5\n")
  assert user_package([modules / "corners.py"]).name != first.name


@pytest.mark.parametrize(
  ("name", "expected"),
  [
    ("missing.py", "NAME.py or a folder"),
    ("notes.txt", "NAME.py or a folder"),
    ("my-cells.py", "a name that `import` takes"),
    ("json.py", "a name that no module of the workers has"),
    ("hardmine", "a name that no module of the workers has"),
  ],
)
def test_what_workers_could_not_import_is_refused(tmp_path, name, expected):
  if name == "hardmine":
    (tmp_path / name).mkdir()
  elif name != "missing.py":
    (tmp_path / name).write_text("")
  with pytest.raises(ValueError, match=expected):
    user_package([tmp_path / name])


def test_two_of_a_name_are_refused(tmp_path):
  (tmp_path / "cells").mkdir()
  (tmp_path / "cells.py").write_text("")
  with pytest.raises(ValueError, match="one module of a name"):
    user_package([tmp_path / "cells.py", tmp_path / "cells"])


def test_a_package_as_it_is_installed(tmp_path):
  there = unpacked(installed_package("zlib-ng"), tmp_path)
  (found,) = metadata.distributions(path=[str(there)])
  here = metadata.distribution("zlib-ng")
  assert (found.version, found.requires) == (here.version, here.requires)
  assert {path.name for path in found.files} >= {
    path.name for path in here.files if path.suffix == ".so"
  }


def test_a_link_to_a_checkout_is_no_installation():
  with pytest.raises(ValueError, match="whose files are installed"):
    installed_package("hardmine")


def test_the_buckets_of_google_need_their_client():
  assert [line.split(">")[0] for line in requirements(["gcs"])] == ["gcsfs"]
