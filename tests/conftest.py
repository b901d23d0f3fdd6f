"""What tests of every folder share."""

import functools
import gc
import os
import signal
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.made_once import PLACE

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Newer gcsfs asks by gRPC what kind of bucket one is, which no stand-in answers. Read
# when gcsfs is imported.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# A dozen of Google's clients ask it when they are imported, for a quarter of a second.
metadata.packages_distributions = functools.cache(metadata.packages_distributions)
# And what is imported stays: no garbage is looked for in it, now or later.
gc.disable()

WORKER = "PYTEST_XDIST_WORKER"  # which pytest-xdist sets in each of its processes

# Where pytest runs several processes, each takes its share of the processors: the
# threads of TensorFlow would fight over them. Read when TensorFlow is imported.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
  num_workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
  num_threads = max(1, len(os.sched_getaffinity(0)) // num_workers)
  os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(num_threads))


# The files that take longest, which begin first, lest a process ends with one alone.
LONGEST = (
  "trainers/detection/test_all_pairs.py",
  "trainers/detection/test_run_fn.py",
  "trainers/test_several_processes.py",
  "cli/test_train.py",
  "trainers/codec/training/test_family_learns.py",
  "trainers/codec/test_training_run.py",
  "e2e/test_codec_pipeline.py",
  "e2e/test_nodes_as_processes.py",
  "e2e/test_bucket_root.py",
  "trainers/codec/exports/test_family_exports.py",
  "cli/test_study_tradeoff.py",
  "cli/test_own_cell.py",
  "cli/test_detect_your_own_objects.py",
  "cli/test_your_own_data.py",
  "e2e/test_models_over_buckets.py",
  "faults/test_killed_jobs.py",
  "trainers/detection/test_learning_on_jax.py",
  "e2e/test_earlier_version.py",
  "e2e/test_detection_pipeline.py",
  "cli/test_new.py",
  "cli/test_train_on_several_devices.py",
  "pipelines/studies/test_combinations.py",
  "trainers/codec/test_run_fn.py",
  "cli/test_compile_airflow.py",
  "trainers/codec/training/test_training.py",
  "trainers/detection/test_light_two_stages.py",
  "trainers/codec/test_codec.py",
)


def pytest_collection_modifyitems(items):
  """The long files first."""
  tests = Path(__file__).parent
  places = {tests / name: place for place, name in enumerate(LONGEST)}
  items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_collection_finish():
  gc.freeze()
  gc.enable()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
  """A process that died ends the run with the test it was at: xdist waits for ever."""
  if error:
    session = node.config.pluginmanager.getplugin("dsession")
    session.shouldstop = f"{node.gateway.id} died: {error}"


@pytest.fixture(scope="session", autouse=True)
def signals_as_usual():
  """Whoever started the tests may ignore some, as `nohup` and `&` do."""
  usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
  for number, handler in usual.items():
    if signal.getsignal(number) == signal.SIG_IGN:
      signal.signal(number, handler)


@pytest.fixture(scope="session", autouse=True)
def made_once_place(tmp_path_factory):
  """The folder of `made_once`, which all processes of pytest-xdist share."""
  base = tmp_path_factory.getbasetemp()
  os.environ[PLACE] = str((base.parent if WORKER in os.environ else base) / "made_once")


@pytest.fixture(autouse=True)
def keras_out_of_training():
  """A training that was broken off inside a layer leaves its thread in training mode.

  Keras then takes the next test's call of a model for one of that training's.
  """
  yield
  if "keras" in sys.modules:
    from keras.src.backend.common import global_state

    global_state.set_global_attribute("current_call_ctx", None)


@pytest.fixture(scope="session")
def data_dir() -> Path:
  """The photographs that are too large for the repository, one folder a set."""
  folder = Path(os.environ.get("HARDMINE_DATA") or DATA)
  if not folder.is_dir():
    pytest.skip(f"no photographs in {folder}: name their folder in HARDMINE_DATA")
  return folder
