"""Which classes a config may name, and under which names."""

import sys
from pathlib import Path

import pytest

import hardmine
from hardmine.pipelines.experiments import find
from hardmine.schemas.class_names import (
  class_path,
  forget_modules_in,
  import_class,
  own_code_sha256,
  own_files,
  trust_modules_in,
)
from hardmine.schemas.config import Config
from hardmine.schemas.experiment import CodecExperiment

CHECKOUT = str(Path(hardmine.__file__).parents[1])
CELL = "class {name}:\n  pass\n"
EXPERIMENT = """
from hardmine.pipelines.experiments import codec_demo
from {module} import {name}

def experiment():
  import dataclasses
  base = codec_demo.experiment()
  codec = dataclasses.replace(base.codec, cell={name})
  return dataclasses.replace(base, name="own", codec=codec)
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
  """A user's folder; what is imported from it is forgotten afterwards."""
  before = set(sys.modules)
  monkeypatch.setattr("hardmine.schemas.class_names._trusted_dirs", [])
  monkeypatch.setattr("hardmine.schemas.class_names._experiments", {})
  others = [path for path in sys.path if path not in ("", CHECKOUT)]
  monkeypatch.setattr(sys, "path", [*others, CHECKOUT])  # as `make install` leaves it
  yield tmp_path
  for name in set(sys.modules) - before:
    file = getattr(sys.modules[name], "__file__", None)
    if file and Path(file).is_relative_to(tmp_path):
      del sys.modules[name]


def write(folder, module, name):
  (folder / f"{module}.py").write_text(CELL.format(name=name))
  path = folder / "experiment.py"
  path.write_text(EXPERIMENT.format(module=module, name=name))
  return str(path)


def test_ours_are_spelt_without_the_package():
  """As version 0.1 spelt them: ids, caches and stores hold these names."""
  path = "trainers.codec.cells.gru:ConvGRUCell"
  assert class_path(import_class(path)) == path
  assert import_class(path).__module__ == f"hardmine.{path.partition(':')[0]}"


def test_a_cell_of_the_users_own_survives_json(folder):
  experiment = find(write(folder, "a_cell_beside", "OwnCell"))
  text = experiment.to_json()
  assert '"cell": "a_cell_beside:OwnCell"' in text
  assert CodecExperiment.from_json(text) == experiment


def test_so_does_one_in_the_experiments_own_file(folder):
  path = folder / "all_in_one.py"
  text = EXPERIMENT.format(module="", name="OwnCell").replace(
    "from  import OwnCell", CELL.format(name="OwnCell")
  )
  path.write_text(text)
  experiment = find(str(path))
  assert '"cell": "all_in_one:OwnCell"' in experiment.to_json()
  assert CodecExperiment.from_json(experiment.to_json()) == experiment


def test_an_experiment_of_json_finds_the_modules_beside_it(folder):
  experiment = find(write(folder, "another_cell", "OwnCell"))
  beside = folder / "saved.json"
  beside.write_text(experiment.to_json())
  assert find(str(beside)) == experiment


def test_nothing_else_is_imported(folder):
  (folder / "elsewhere.py").write_text("raise SystemExit('imported')")
  for path in ("elsewhere:Name", "os:PathLike", "hardmine.schemas.config:Config"):
    with pytest.raises(ValueError, match="beside the experiment"):
      import_class(path)


@pytest.mark.parametrize("path", ["", "a", ":", "a:", ":B", "a.:B", "a:B.C", "a b:C"])
def test_what_is_no_name_is_refused(path):
  with pytest.raises(ValueError, match="module:Name"):
    import_class(path)


def test_a_class_that_does_not_exist_is_refused(folder):
  (folder / "empty_beside.py").write_text("")
  trust_modules_in(folder)
  for path in ("empty_beside:Name", "trainers.codec.cells.gru:Name", "trainers.x:Y"):
    with pytest.raises(ValueError, match="a class that exists"):
      import_class(path)


def test_a_users_module_called_trainers_is_refused(folder):
  experiment = find(write(folder, "trainers", "OwnCell"))
  with pytest.raises(ValueError, match="rename yours") as refusal:
    experiment.to_json()
  assert len(str(refusal.value).splitlines()) == 1


def test_a_module_that_another_one_hides_is_refused(folder):
  (folder / "random.py").write_text(CELL.format(name="OwnCell"))
  trust_modules_in(folder)
  with pytest.raises(ValueError, match="is found first, rename yours"):
    import_class("random:OwnCell")


def names_of(experiment):
  return [name for _, name in own_files(experiment.to_json())]


def test_the_users_files_are_told_and_not_what_lies_deeper(folder):
  (folder / "helper_beside.py").write_text("VALUE = 1\n")
  (folder / "cell_with_helper.py").write_text(
    "import helper_beside\n" + CELL.format(name="OwnCell")
  )
  (folder / ".venv").mkdir()
  (folder / ".venv" / "installed_deeper.py").write_text("")
  sys.path.append(str(folder / ".venv"))
  path = folder / "experiment.py"
  path.write_text(
    "import installed_deeper\n"
    + EXPERIMENT.format(module="cell_with_helper", name="OwnCell")
  )
  experiment = find(str(path))
  assert names_of(experiment) == ["cell_with_helper.py", "helper_beside.py"]
  before = own_code_sha256(experiment.to_json())
  (folder / "helper_beside.py").write_text("VALUE = 2\n")
  assert own_code_sha256(experiment.to_json()) != before
  assert own_files(find("codec_demo").to_json()) == []
  assert own_code_sha256(find("codec_demo").to_json()) is None


def test_a_package_is_told_with_what_it_may_import_late(folder):
  package = folder / "cells_of_mine"
  (package / "data").mkdir(parents=True)
  (package / "__init__.py").write_text("from .own import OwnCell\n")
  (package / "own.py").write_text(CELL.format(name="OwnCell"))
  (package / "late.py").write_text("")
  (package / "data" / "table.txt").write_text("1")
  path = folder / "experiment.py"
  path.write_text(EXPERIMENT.format(module="cells_of_mine", name="OwnCell"))
  experiment = find(str(path))
  assert '"cells_of_mine.own:OwnCell"' in experiment.to_json()
  assert names_of(experiment) == [
    f"cells_of_mine/{name}"
    for name in ("__init__.py", "data/table.txt", "late.py", "own.py")
  ]


def test_a_module_that_is_a_link_is_one_of_the_folder(folder):
  (folder / "common").mkdir()
  (folder / "project").mkdir()
  (folder / "common" / "a_linked_cell.py").write_text(CELL.format(name="OwnCell"))
  link = folder / "project" / "a_linked_cell.py"
  link.symlink_to("../common/a_linked_cell.py")
  path = folder / "project" / "experiment.py"
  path.write_text(EXPERIMENT.format(module="a_linked_cell", name="OwnCell"))
  experiment = find(str(path))
  assert CodecExperiment.from_json(experiment.to_json()) == experiment
  assert names_of(experiment) == ["a_linked_cell.py"]


def test_two_folders_with_one_name_are_not_mixed_up(folder):
  for name in ("first", "second"):
    (folder / name).mkdir()
    write(folder / name, "cell_of_both", "OwnCell")
  first = find(str(folder / "first" / "experiment.py"))
  with pytest.raises(ValueError, match="rename one of them"):
    find(str(folder / "second" / "experiment.py"))
  forget_modules_in(folder / "first")
  second = find(str(folder / "second" / "experiment.py"))
  assert first.codec.cell is not second.codec.cell
  assert CodecExperiment.from_json(second.to_json()) == second


@pytest.mark.usefixtures("folder")
def test_nothing_of_ours_is_ever_forgotten(monkeypatch):
  """Whoever works in a checkout has all of it below the current folder."""
  monkeypatch.chdir(CHECKOUT)
  trust_modules_in(".")
  before = dict(sys.modules)
  forget_modules_in(".")
  after = set(sys.modules)
  sys.modules.update(before)  # these tests lie there too, and were forgotten
  assert {name for name in before if name.partition(".")[0] == "hardmine"} <= after
  assert find("codec_demo") == find("codec_demo")


@pytest.mark.parametrize("name", ["random.py", "numpy.py", "my-cell.py"])
def test_an_experiment_whose_classes_could_not_be_found_again_is_refused(folder, name):
  path = folder / name
  text = EXPERIMENT.format(module="", name="OwnCell").replace(
    "from  import OwnCell", CELL.format(name="OwnCell")
  )
  path.write_text(text)
  experiment = find(str(path))
  with pytest.raises(ValueError, match="rename yours"):
    experiment.to_json()


def test_json_alone_starts_no_code_of_its_folder(folder):
  (folder / "setup.py").write_text("raise SystemExit('started')")
  path = folder / "saved.json"
  path.write_text(find("codec_demo").to_json())
  before = list(sys.path)
  find(str(path))
  assert sys.path == before


def test_a_package_that_a_cell_needs_is_named_as_missing(folder):
  (folder / "needs_much.py").write_text("import a_package_that_nobody_has\n")
  trust_modules_in(folder)
  with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
    import_class("needs_much:OwnCell")


def test_what_is_no_class_is_refused():
  with pytest.raises(ValueError, match="a class that exists"):
    import_class("trainers.images:io")


def test_a_config_without_kind_is_not_told_one():
  with pytest.raises(ValueError, match="kind"):
    Config.from_json('{"kind": "other"}')
