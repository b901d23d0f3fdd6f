"""Commands that write, ended by signals and by full disks: one line, nothing left."""

import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import main
from tests.cli.process import start

# What Python runs at its own start: a worker process pauses before it does anything.
PAUSE = """
import os, signal
if "WORKER_ID" in os.environ:
  os.kill(os.getpid(), signal.SIGSTOP)
"""


@pytest.fixture
def photographs(tmp_path):
  folder = tmp_path / "photographs"
  folder.mkdir()
  for seed in range(3):
    pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
    Image.fromarray(pixels).save(folder / f"{seed}.png")
  return folder


def stopped_children(parent):
  found = []
  for path in Path("/proc").glob("[0-9]*/stat"):
    try:
      state, of = path.read_text("latin-1").rpartition(")")[2].split()[:2]
    except OSError:
      continue
    if int(of) == parent and state == "T":
      found.append(int(path.parent.name))
  return found


def test_a_signal_ends_a_job_whose_workers_do_not_answer(tmp_path, photographs):
  (tmp_path / "start").mkdir()
  (tmp_path / "start" / "sitecustomize.py").write_text(PAUSE)
  words = ["mine", "--images", f"{photographs}/*.png", "--output", "out"]
  environment = {"PYTHONPATH": f"{tmp_path}/start:{os.getcwd()}", "TMPDIR": "."}
  process = start(tmp_path, [*words, "--workers=2"], **environment)
  deadline = time.monotonic() + 120
  while len(workers := stopped_children(process.pid)) < 2:
    assert process.poll() is None
    assert time.monotonic() < deadline
    time.sleep(0.1)
  assert list(tmp_path.glob(".out.staging-*"))
  process.send_signal(signal.SIGTERM)
  _, stderr = process.communicate(timeout=60)
  assert process.returncode == 128 + signal.SIGTERM
  *progress, line = stderr.splitlines()
  assert line == "hardmine: ended by SIGTERM"
  assert all(told.startswith("mining: ") for told in progress)
  assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
  assert {path.name for path in tmp_path.iterdir()} == {"photographs", "start"}


@pytest.fixture
def small_disk(tmp_path):
  if os.geteuid() != 0:
    pytest.skip("mounts a small file system")
  disk = tmp_path / "disk"
  disk.mkdir()
  command = ["mount", "-t", "tmpfs", "-o", "size=20k", "tmpfs", str(disk)]
  if subprocess.run(command, capture_output=True).returncode:
    pytest.skip("this machine does not let us mount")
  yield disk
  subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, photographs, small_disk):
  words = ["mine", "--images", f"{photographs}/*.png", "--output", "disk/out", "--json"]
  process = start(tmp_path, words, TMPDIR=str(tmp_path))
  stdout, stderr = process.communicate()
  assert (process.returncode, stdout) == (1, "")
  (line,) = stderr.splitlines()
  assert line.startswith(f"hardmine: {small_disk}/.out.staging-")
  assert ": No space left on device; all that was said: " in line
  assert not list(small_disk.iterdir())


def test_a_name_that_cannot_be_printed_costs_no_work(tmp_path, photographs):
  name = os.fsdecode(b"\xff\xe4")
  os.rename(photographs, tmp_path / name)
  words = ["mine", "--images", f"{name}/*.png", "--output", f"out{name}"]
  process = start(tmp_path, words, PYTHONIOENCODING="ascii")
  stdout, stderr = process.communicate()
  assert process.returncode == 0, stderr
  assert "out\\udcff\\udce4" in stdout
  assert (tmp_path / f"out{name}" / "manifest.json").is_file()


def test_a_folder_that_cannot_be_written_is_named(tmp_path, photographs, capsys):
  (tmp_path / "file").touch()
  words = ["mine", "--images", f"{photographs}/*.png"]
  assert main.main([*words, "--output", str(tmp_path / "file" / "out")]) == 1
  line = capsys.readouterr().err.splitlines()[-1]
  assert line.startswith("hardmine: ")
  assert f"{tmp_path}/file" in line
