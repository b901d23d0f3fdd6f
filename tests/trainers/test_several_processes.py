"""Several processes, or devices, train what one does with the whole batch.

They are forked by a process that has imported TensorFlow and nothing more, which takes
each of them seconds otherwise.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import signal
import uuid
from multiprocessing import forkserver

import numpy as np
import pytest

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas import coco_example, patch_example
from hardmine.schemas.categories import CATEGORIES_NAME
from tests.trainers import several
from tests.trainers.detection.rectangles import CATEGORIES, rectangle
from tests.trainers.workers.test_team import environments

pytestmark = pytest.mark.slow

PROCESSES = multiprocessing.get_context("forkserver")
IMPORTED = ("hardmine.trainers.codec.run_fn", "hardmine.trainers.detection.run_fn")
ERRORS = ("RuntimeError: ", "ValueError: ")
SPLITS = (("train", range(10)), ("eval", range(100, 103)))


@pytest.fixture(scope="module", autouse=True)
def imported():
  """What the processes share; other tests' are not to be forked from it."""
  forkserver._forkserver._stop()
  PROCESSES.set_forkserver_preload([several.__name__, *IMPORTED])
  yield
  forkserver._forkserver._stop()
  PROCESSES.set_forkserver_preload([])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Beside which every training has its own: examples of both kinds."""
  folder = tmp_path_factory.mktemp("several")
  for split, indices in SPLITS:
    for kind in ("codec", "recipe"):
      path = folder / "data" / kind / f"Split-{split}" / "patches.gz"
      path.parent.mkdir(parents=True)
      write_records(path, (patch(index) for index in indices))
    path = folder / "data" / "ssd" / f"Split-{split}" / "images.gz"
    path.parent.mkdir(parents=True)
    write_records(path, (coco_example.serialize(rectangle(i)) for i in indices))
  (folder / "data" / "ssd" / CATEGORIES_NAME).write_text(CATEGORIES.to_file())
  return folder


def patch(index):
  generator = np.random.default_rng(index)
  pixels = generator.integers(0, 256, (4, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1)
  one = patch_example.Patch(
    pixels=pixels, source=str(index), row_px=0, column_px=0, score=100
  )
  return patch_example.serialize(one)


def start(kind, where, environment, **settings):
  """A process that trains; see `several.py`."""
  environment = {**environment, **{k: str(v) for k, v in settings.items()}}
  log = where.with_name(f"{uuid.uuid4().hex}.log")
  process = PROCESSES.Process(
    target=several.train, args=(kind, where, environment, log), daemon=True
  )
  process.start()
  return process, log


def end(*processes):
  """Their exit statuses and the errors that ended them, whatever TensorFlow adds."""
  found = []
  try:
    for process, log in processes:
      process.join(timeout=300)
      lines = [x for x in log.read_text().splitlines() if x.startswith(ERRORS)]
      found.append((process.exitcode, lines[-1:]))
  finally:
    for process, _ in processes:
      process.kill()
  return found


def train(kind, where, size=1, **settings):
  tasks = environments(size) if size > 1 else [{}]
  for status, errors in end(*(start(kind, where, task, **settings) for task in tasks)):
    assert status == 0, errors


def losses(where, suffix=""):
  return np.array(json.loads((where / f"losses{suffix}.json").read_text()))


def weights(where, suffix=""):
  with np.load(where / f"weights{suffix}.npz") as file:
    return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def alone(folder):
  """The training of one process."""
  for kind in ("recipe", "ssd"):
    train(kind, folder / f"{kind}-alone", EXPORTS=0)
  return folder


@pytest.fixture(scope="module")
def two(alone):
  """The same of two processes."""
  for kind in ("recipe", "ssd"):
    train(kind, alone / f"{kind}-two", size=2)
  return alone


@pytest.mark.parametrize("kind", ["recipe", "ssd"])
def test_two_processes_have_the_curve_of_one(kind, two):
  alone, where = two, two / f"{kind}-two"
  curve = losses(alone / f"{kind}-alone")
  assert len(curve) == 20
  assert np.ptp(curve) > 0.01  # it does train
  np.testing.assert_allclose(losses(where), curve, atol=1e-4, rtol=1e-5)
  np.testing.assert_array_equal(losses(where, "-1"), losses(where))
  expected = weights(alone / f"{kind}-alone")
  for name, value in weights(where).items():
    np.testing.assert_allclose(value, expected[name], atol=1e-4, err_msg=name)
    np.testing.assert_array_equal(value, weights(where, "-1")[name], err_msg=name)
  assert len(list((where / "checkpoints").rglob("*.npz"))) == 2
  assert (where / "model" / "saved_model.pb").is_file()


def test_two_devices_have_the_curve_of_one(alone):
  where = alone / "recipe-mirrored"
  train("recipe", where, NUM_DEVICES=2)
  curve = losses(alone / "recipe-alone")
  np.testing.assert_allclose(losses(where), curve, atol=1e-4)


def test_after_a_kill_all_end_and_go_on_to_the_same_weights(two):
  """The worker dies in step 15, behind the checkpoint of step 12."""
  where = two / "killed"
  chief, worker = environments(2)
  (status, (line,)), (killed, _) = end(
    start("recipe", where, chief), start("recipe", where, worker, KILL_AT=14)
  )
  assert (status, killed) == (1, -signal.SIGKILL)
  assert "worker 0 (127.0.0.1:1)" in line
  assert "start all tasks again" in line
  assert not (where / "model").exists()
  train("recipe", where, size=2, EXPORTS=0)
  assert len(losses(where)) == 8
  expected = weights(two / "recipe-two")
  for name, value in weights(where).items():
    np.testing.assert_array_equal(value, expected[name], err_msg=name)


def test_all_end_together_when_nothing_gets_better(folder):
  """Step 4 is the best of those that find nothing; another two are waited for."""
  where = folder / "ssd-patience"
  train("ssd", where, size=2, PATIENCE=2)
  assert len(losses(where)) == len(losses(where, "-1")) == 12
  (notes,) = where.rglob("evaluations.json")
  assert list(json.loads(notes.read_text())) == ["4", "8", "12"]
  kept = sorted(path.name for path in notes.parent.glob("*.npz"))
  assert kept == [f"step-{step:09d}.npz" for step in (4, 8, 12)]
  assert (where / "model" / "saved_model.pb").is_file()
  shutil.rmtree(where / "model")
  train("ssd", where, size=2, PATIENCE=2)  # there is nothing left to train
  assert (where / "model" / "saved_model.pb").is_file()
  assert len(losses(where)) == 12


def test_a_worker_that_does_not_come_is_one_line(folder):
  chief, _ = environments(2)
  ((status, (line,)),) = end(
    start("recipe", folder / "missing", chief, HARDMINE_START_SECONDS=1)
  )
  assert status == 1
  assert "worker 0 (127.0.0.1:1) did not come within 1 s" in line
