"""The Dockerfiles, whose steps run here in virtual environments of their own."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardmine.pipelines.orchestrators import vertex

ROOT = Path(__file__).resolve().parents[1]
WORKER, WHOLE = ROOT / "Dockerfile.worker", ROOT / "Dockerfile"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
LANES = {"3.10": "tfx-1.16", "3.12": "tfx-1.21", "3.13": "tfx-1.21"}
# What a worker imports to run our jobs; nothing of it may need what is not there.
WORKER_MODULES = (
  "hardmine.components.patch_gen.mine_part",
  "hardmine.components.patch_gen.patch_job",
  "hardmine.components.coco_gen.convert_part",
  "hardmine.components.jobs.shards",
  "hardmine.schemas.folders",
)
MINED = """
import importlib, io, sys
from importlib.util import find_spec
for name in sys.argv[1:]:
  importlib.import_module(name)
for name in ("tensorflow", "tfx", "keras"):
  assert find_spec(name) is None, name
for name in ("apache_beam.runners.dataflow.internal.apiclient", "gcsfs", "s3fs"):
  importlib.import_module(name)

import numpy as np
from PIL import Image
from hardmine.components.patch_gen.mine_image import Mined, mine_image
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import serialize

file = io.BytesIO()
pixels = np.random.default_rng(0).integers(0, 256, (96, 64, 3), dtype=np.uint8)
Image.fromarray(pixels).save(file, "PNG")
mined = mine_image(file.getvalue(), "a.png", MiningConfig(images=("a.png",)))
assert isinstance(mined, Mined), mined
print(len(mined.patches), sum(len(serialize(patch)) > 3072 for patch in mined.patches))
"""


def steps(dockerfile: Path, **arguments: str) -> list[tuple[str, str]]:
  """(instruction, its words), with the arguments of the build in place."""
  lines = dockerfile.read_text("utf-8").replace("\\\n", " ").splitlines()
  values: dict[str, str] = {}
  found = []
  for line in lines:
    if not line.strip() or line.startswith("#"):
      continue
    instruction, _, words = line.partition(" ")
    if instruction == "ARG":
      name, _, default = words.partition("=")
      values[name] = arguments.get(name, values.get(name, default))
      continue
    found.append((instruction, re.sub(r"\$\{(\w+)\}", lambda m: values[m[1]], words)))
  return found


def copied(dockerfile: Path, folder: Path, **arguments: str) -> Path:
  """What the image's COPY steps bring; links stay links."""
  folder.mkdir()
  ignored = shutil.ignore_patterns("__pycache__")
  for instruction, words in steps(dockerfile, **arguments):
    if instruction != "COPY":
      continue
    *sources, target = words.split()
    for source in sources:
      path = folder / target if (ROOT / source).is_dir() else folder / Path(source).name
      if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, path, symlinks=True, ignore=ignored)
      else:
        shutil.copy(ROOT / source, path)
  return folder


@pytest.mark.parametrize("dockerfile", [WORKER, WHOLE], ids=lambda path: path.name)
@pytest.mark.parametrize("lane", sorted(set(LANES.values())))
def test_an_image_is_of_what_its_lane_pins(dockerfile, lane):
  lock = (ROOT / "requirements" / f"{lane}.lock").read_text("utf-8")
  (beam,) = re.findall(r"^apache-beam==(\S+)", lock, re.M)
  arguments = {
    "tfx-1.16": {"PYTHON": "3.10", "DEBIAN": "bookworm"},
    "tfx-1.21": {"PYTHON": "3.13", "DEBIAN": "trixie"},
  }[lane]
  base = "python:{PYTHON}-{DEBIAN}".format_map(arguments)
  if dockerfile == WORKER:
    arguments = {"PYTHON": arguments["PYTHON"], "BEAM": beam}
    base = "apache/beam_python{PYTHON}_sdk:{BEAM}".format_map(arguments)
  arguments["LANE"] = lane
  if lane == "tfx-1.16":  # the defaults of the file
    assert steps(dockerfile) == steps(dockerfile, **arguments)
  else:  # what its comment says
    for name, value in arguments.items():
      assert f"--build-arg {name}={value}" in dockerfile.read_text("utf-8")
  made = steps(dockerfile, **arguments)
  assert made[0] == ("FROM", base)
  assert any(words.startswith(f"requirements/{lane}.lock ") for _, words in made)


@pytest.mark.parametrize("dockerfile", [WORKER, WHOLE], ids=lambda path: path.name)
def test_every_folder_of_the_package_is_copied(dockerfile):
  folders = {words for instruction, words in steps(dockerfile) if instruction == "COPY"}
  for link in (ROOT / "hardmine").iterdir():
    if link.is_symlink():
      assert f"{link.name} {link.name}" in folders


def built(dockerfile: Path, tmp_path: Path):
  """Runs the steps; gives what runs a program of the environment they make."""
  uv = shutil.which("uv") or str(ROOT / ".tools" / "bin" / "uv")
  arguments = {"PYTHON": PYTHON, "LANE": LANES[PYTHON], "GPU": ""}
  folder = copied(dockerfile, tmp_path / "opt", **arguments)
  environment = {**os.environ, "VIRTUAL_ENV": str(tmp_path / "env")}
  environment.pop("PYTHONPATH", None)

  def run(*command):
    result = subprocess.run(
      command, cwd=folder, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout

  run(uv, "venv", "--quiet", "--python", sys.executable, str(tmp_path / "env"))
  for instruction, words in steps(dockerfile, **arguments):
    if instruction == "RUN" and not words.startswith("rm "):
      program, *rest = shlex.split(words)
      assert program == "pip"  # as uv has it: pip itself takes minutes
      run(uv, "pip", *(word for word in rest if word != "--no-cache-dir"))
  shutil.rmtree(folder / "hardmine")  # what was installed, not what was copied
  return lambda program, *words: run(tmp_path / "env" / "bin" / program, *words)


@pytest.mark.slow
def test_the_steps_of_the_worker_make_one_that_mines(tmp_path):
  run = built(WORKER, tmp_path)
  assert run("python", "-c", MINED, *WORKER_MODULES) == "6 6\n"


@pytest.mark.slow
def test_the_steps_of_the_whole_make_a_machine_that_is_ready(tmp_path):
  run = built(WHOLE, tmp_path)
  report = json.loads(run("hardmine", "doctor", "--json"))
  assert report["ready"] is True
  assert report["installed"] == ["light", "worker", "pipelines"]
  found = {finding["subject"]: finding for finding in report["findings"]}
  for subject in ("gs:// paths", "s3:// paths", "mysql:// records", "conflicts"):
    assert found[subject]["status"] == "ok", found[subject]
  # What the containers of a compiled pipeline are started with.
  assert "--node" in run(*vertex.COMMAND, "--help")
  shutil.rmtree(tmp_path / "env")
