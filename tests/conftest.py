"""What tests of every folder share."""

import os
import signal
import sys
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

# Newer gcsfs asks by gRPC what kind of bucket one is, which no stand-in answers. Read
# when gcsfs is imported.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# Where pytest runs several processes, each takes its share of the processors: the
# threads of TensorFlow would fight over them. Read when TensorFlow is imported.
if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
  num_workers = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
  num_threads = max(1, len(os.sched_getaffinity(0)) // num_workers)
  os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(num_threads))


def pytest_collection_modifyitems(items):
  """The long stories of whole pipelines first, lest a process ends with one alone."""
  items.sort(key=lambda item: "e2e" not in item.path.parts)


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
