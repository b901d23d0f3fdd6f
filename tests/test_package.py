"""The wheel: what it holds, and what it does alone, in a folder of somebody else's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hardmine.serving.probe.ask_model import ask
from tests.serving.store.fake_models import write_model

REPOSITORY = Path(__file__).resolve().parents[1]
EARLIER = REPOSITORY / "tests" / "fixtures" / "version_0_1"
PARTS = ("schemas", "trainers", "serving", "components", "pipelines")
# What a user's own folder may hold. None of it is ours or Python's to import.
HOSTILE = (*PARTS, "tests", "random", "json")
NEITHER = ("apache_beam", "keras", "matplotlib", "tensorflow", "tfx")


def build(source: Path, folder: Path, kind: str, **environment: str) -> Path:
  """Builds a `wheel` or an `sdist` as pip does, without a network."""
  program = (
    "import sys; from setuptools.build_meta import __legacy__ as backend; "
    f"backend.build_{kind}(sys.argv[1])"
  )
  command = [sys.executable, "-c", program, str(folder)]
  folder.mkdir()
  environment = {**os.environ, "HARDMINE_WITHOUT_MODELS": "", **environment}
  result = subprocess.run(
    command, cwd=source, env=environment, capture_output=True, text=True
  )
  assert result.returncode == 0, result.stderr
  (path,) = folder.iterdir()
  return path


@pytest.fixture(scope="module")
def source(tmp_path_factory):
  """A copy of what is packed: building leaves folders behind."""
  folder = tmp_path_factory.mktemp("package") / "source"
  folder.mkdir()
  ignored = shutil.ignore_patterns("__pycache__")
  for name in ("hardmine", *PARTS):
    shutil.copytree(REPOSITORY / name, folder / name, symlinks=True, ignore=ignored)
  for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
    shutil.copy(REPOSITORY / name, folder)
  return folder


@pytest.fixture(scope="module")
def wheel(source):
  return build(source, source.parent / "wheel", "wheel")


def members(wheel: Path) -> set[str]:
  return set(zipfile.ZipFile(wheel).namelist())


def test_the_wheel_holds_every_file_of_the_packages_and_no_other(source, wheel):
  info = f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"
  assert {name.split("/")[0] for name in members(wheel)} == {"hardmine", info}
  expected = {
    f"hardmine/{path.relative_to(source)}"
    for part in PARTS
    for path in (source / part).rglob("*")
    if path.is_file()
  }
  held = {name for name in members(wheel) if name.startswith("hardmine/")}
  assert held == expected | {"hardmine/__init__.py", "hardmine/py.typed"}
  endings = {".pbtxt", ".jinja", ".css", ".html", ".template"}
  assert {Path(name).suffix for name in held} >= endings
  assert f"{info}/licenses/LICENSE" in members(wheel)


def test_the_source_distribution_makes_the_same_wheel(source, wheel):
  archive = build(source, source.parent / "sdist", "sdist")
  with tarfile.open(archive) as file:
    assert not any(member.issym() or member.islnk() for member in file)
    file.extractall(source.parent / "unpacked")
  (unpacked,) = (source.parent / "unpacked").iterdir()
  assert members(build(unpacked, source.parent / "again", "wheel")) == members(wheel)


def test_workers_of_jobs_get_no_model_that_they_do_not_need(source, tmp_path):
  """Beam runs `setup.py` so, in an environment that `pipelines/dataflow` sets."""
  left = shutil.ignore_patterns("build", "*.egg-info")  # by the builds before
  shutil.copytree(source, tmp_path / "clean", symlinks=True, ignore=left)
  place = tmp_path / "for_workers"
  archive = build(tmp_path / "clean", place, "sdist", HARDMINE_WITHOUT_MODELS="1")
  with tarfile.open(archive) as file:
    names = file.getnames()
  assert not any("pretrained" in name for name in names)
  assert any(name.endswith("progress_page.html.jinja") for name in names)


def test_what_was_asked_for_is_required():
  text = (REPOSITORY / "setup.py").read_text("utf-8")
  for name in (
    "apache-beam",
    "tensorflow",
    "tfx",
    "pycocotools",
    "scikit-image",
    "absl-py",
  ):
    assert f'"{name}>=' in text


@pytest.fixture(scope="module")
def light_python(wheel, tmp_path_factory):
  """A Python with the wheel and, as links, what the light install brings: no more."""
  folder = tmp_path_factory.mktemp("light") / "env"
  venv.EnvBuilder(symlinks=True).create(folder)
  (packages,) = folder.glob("lib/python*/site-packages")
  zipfile.ZipFile(wheel).extractall(packages)
  (info,) = packages.glob("*.dist-info")
  link_requirements(metadata.Distribution.at(info), packages)
  script = folder / "bin" / "hardmine"
  script.write_text("from hardmine.pipelines.cli.main import run\nrun()\n")
  return folder / "bin" / "python"


def link_requirements(distribution: metadata.Distribution, packages: Path) -> None:
  """Links what a distribution requires without extras, and what that requires."""
  for line in distribution.requires or []:
    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
      continue
    required = metadata.distribution(requirement.name)
    names = {path.parts[0] for path in required.files or []} - {"..", "__pycache__"}
    for name in names:
      if not (packages / name).is_symlink():
        (packages / name).symlink_to(Path(str(required.locate_file(name))))
    link_requirements(required, packages)


@pytest.fixture(scope="module")
def hostile_dir(tmp_path_factory):
  """A folder whose own modules must not be imported in the place of others."""
  folder = tmp_path_factory.mktemp("hostile")
  for name in HOSTILE:
    (folder / name).mkdir()
    program = f"raise SystemExit('imported {name} of the current folder')\n"
    (folder / name / "__init__.py").write_text(program)
  return folder


@pytest.fixture(scope="module")
def there(hostile_dir):
  """What the commands are given: a store, a model, a stream, a photograph, boxes."""
  shutil.unpack_archive(EARLIER / "store.tar.xz", hostile_dir)
  shutil.copy(EARLIER / "stream-1.hmc", hostile_dir / "photo.hmc")
  shutil.copy(EARLIER / "picture.png", hostile_dir / "photo.png")
  write_model(hostile_dir / "detector", kind="detector")
  box = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}
  truth = {
    "images": [{"id": 1, "width": 56, "height": 40, "file_name": "photo.png"}],
    "annotations": [{"id": 1, "area": 81, "iscrowd": 0, **box}],
    "categories": [{"id": 1, "name": "cup"}],
  }
  (hostile_dir / "true.json").write_text(json.dumps(truth))
  (hostile_dir / "found.json").write_text(json.dumps([{"score": 0.5, **box}]))
  return hostile_dir


def hardmine(python: Path, folder: Path, *words: str) -> subprocess.CompletedProcess:
  names = ("PYTHONPATH", "HARDMINE_MODEL", "HARDMINE_TRACEBACK")
  environment = {name: os.environ[name] for name in os.environ.keys() - set(names)}
  return subprocess.run(
    [python, python.with_name("hardmine"), *words],
    cwd=folder,
    env=environment,
    capture_output=True,
    text=True,
    timeout=120,
  )


def test_the_light_install_is_light(light_python):
  program = (
    "from importlib.util import find_spec; "
    f"print([name for name in {NEITHER} if find_spec(name)])"
  )
  out = subprocess.check_output([light_python, "-c", program], text=True)
  assert out == "[]\n"


@pytest.mark.parametrize(
  ("words", "said"),
  [
    ("--version", "hardmine 0.1.0"),
    ("mine --help", "usage: hardmine mine"),
    ("serve --help", "usage: hardmine serve"),
    ("run --help", "usage: hardmine run"),
    ("inspect photo.hmc", "complete"),
    ("models list --store store", "candidate"),
    ("models verify 1 --store store", ""),
    ("board --store store --output board", "board/index.html"),
    ("evaluate coco --annotations true.json --detections found.json", "cup"),
    ("doctor", "\nhardmine is ready: light\n"),
  ],
)
def test_the_light_install_answers(light_python, there, words, said):
  result = hardmine(light_python, there, *words.split())
  assert result.returncode == 0, result.stderr
  assert said in result.stdout


@pytest.mark.parametrize("kind", ["codec", "detector"])
def test_the_light_install_makes_a_project(light_python, tmp_path, kind):
  result = hardmine(light_python, tmp_path, "new", "mine", "--kind", kind)
  assert result.returncode == 0, result.stderr
  made = {path.name for path in (tmp_path / "mine").iterdir()}
  assert {"experiment.py", "test_experiment.py", "Makefile", ".gitignore"} <= made


@pytest.mark.parametrize(
  ("words", "line"),
  [
    ("mine --images photo.png --output mined", "mine needs Apache Beam: {worker}"),
    (
      "coco --images . --annotations true.json --output records",
      "coco needs Apache Beam: {worker}",
    ),
    ("run codec_cpu", "run needs TFX: {pipelines}"),
    ("demo", "demo needs TFX: {pipelines}"),
    ("train codec_cpu", "train needs Keras: {pipelines}"),
    (
      "models convert 1 --store store",
      "models needs Keras: {pipelines}",
    ),
  ],
)
def test_what_it_lacks_is_one_line_with_the_extra(light_python, there, words, line):
  result = hardmine(light_python, there, *words.split())
  extras = {
    extra: f"pip install 'hardmine[{extra}]'" for extra in ("worker", "pipelines")
  }
  assert result.stderr == f"hardmine: {line.format(**extras)}\n"
  assert (result.returncode, result.stdout) == (1, "")


@pytest.mark.parametrize(
  "words",
  [
    "encode photo.png out.hmc --model store:1",
    "decode photo.hmc out.png --model store:1",
    "detect photo.png --model detector",
    "evaluate rate-distortion --images photo.png --model store:1 --output measured",
  ],
)
def test_a_model_of_before_says_how_it_gets_its_light_form(light_python, there, words):
  result = hardmine(light_python, there, *words.split())
  assert result.stderr == (
    "hardmine: tensorflow is not installed; pip install 'hardmine[pipelines]', or have "
    "`hardmine models convert` add the light form where TensorFlow is\n"
  )
  assert (result.returncode, result.stdout) == (1, "")


def test_the_light_install_compresses_at_once(light_python, there, tmp_path):
  """By the model that ships with it, with nothing named."""
  written = str(tmp_path / "a.hmc")
  for words in (["encode", "photo.png", written], ["decode", written]):
    result = hardmine(light_python, there, *words)
    assert result.returncode == 0, result.stderr
  assert (tmp_path / "a.png").is_file()
  result = hardmine(light_python, there, "doctor")
  assert "codec_shipped, codec_small" in result.stdout


@pytest.mark.slow
def test_the_light_install_uses_a_model(light_python, there, tmp_path):
  from tests.serving.server.tiny_models import export_tiny_codec

  codec = str(export_tiny_codec(tmp_path / "codec"))
  for words in (
    ["encode", "photo.png", f"{tmp_path}/a.hmc", "--model", codec],
    ["decode", f"{tmp_path}/a.hmc", "--model", codec],
  ):
    result = hardmine(light_python, there, *words)
    assert result.returncode == 0, result.stderr
  assert (tmp_path / "a.png").is_file()
  program = (
    "from hardmine import Codec; "
    f"codec = Codec.load({codec!r}); "
    f"print(codec.decompress(open('{tmp_path}/a.hmc', 'rb').read()).shape)"
  )
  assert subprocess.check_output([light_python, "-c", program], text=True) == (
    "(40, 56, 3)\n"
  )


def test_a_model_is_asked_from_a_folder_with_modules_of_its_own(there, monkeypatch):
  monkeypatch.chdir(there)
  outcome = ask("store/versions/1")
  assert outcome.passed, outcome.reason
