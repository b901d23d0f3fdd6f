"""The serving check against commands that hang, swell, crash, and real models."""

import json
import os
import sys
import time
from pathlib import Path

import pytest

from hardmine.serving.probe.sandbox import run_limited

MIB = 1 << 20


def python(code: str, timeout_seconds: float = 20, memory_bytes: int = 500 * MIB):
  return run_limited(
    [sys.executable, "-c", code],
    timeout_seconds=timeout_seconds,
    memory_bytes=memory_bytes,
  )


def is_alive(pid: int) -> bool:
  """Whether a process runs; one that waits to be reaped does not."""
  try:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
  except FileNotFoundError:
    return False


def test_answer_passes_with_its_last_line():
  outcome = python("print('first'); print('last')")
  assert outcome.passed
  assert outcome.last_line == "last"


def test_hang_is_cut_off_at_the_time_limit():
  outcome = python("import time; time.sleep(60)", timeout_seconds=0.5)
  assert not outcome.passed
  assert outcome.reason == "no answer within 0.5 s"
  assert outcome.seconds < 5


def test_memory_above_the_limit_is_cut_off():
  outcome = python(
    "import time; x = b'1' * (200 << 20); time.sleep(60)", memory_bytes=100 * MIB
  )
  assert not outcome.passed
  assert "more than 100 MiB" in outcome.reason
  assert outcome.peak_bytes > 100 * MIB
  assert outcome.seconds < 20


def test_endless_text_is_cut_off_and_not_read():
  outcome = python("while True: print('x' * 100_000)", timeout_seconds=60)
  assert outcome.reason == "wrote more than 64 MiB of text"
  assert len(outcome.last_line) <= 500
  assert outcome.seconds < 50


def test_memory_of_children_counts_too():
  outcome = python(
    "import subprocess, sys; subprocess.run([sys.executable, '-c', "
    "\"import time; x = b'1' * (200 << 20); time.sleep(60)\"])",
    memory_bytes=100 * MIB,
  )
  assert "more than 100 MiB" in outcome.reason


def test_crash_is_named_by_its_signal():
  assert python("import os; os.abort()").reason == "died of SIGABRT"


def test_exception_is_given_by_its_last_line():
  outcome = python("raise ValueError('no signature decode')")
  assert not outcome.passed
  assert outcome.reason == "ValueError: no signature decode"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads /proc")
@pytest.mark.parametrize("ending", ["pass", "time.sleep(60)"])
def test_no_process_stays_behind(tmp_path, ending):
  note = tmp_path / "child.pid"
  outcome = python(
    "import subprocess, sys, time;"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
    f"open({str(note)!r}, 'w').write(str(child.pid)); {ending}",
    timeout_seconds=2,
  )
  child = int(note.read_text())
  deadline = time.monotonic() + 5
  while is_alive(child) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert not is_alive(child)
  assert outcome.passed == (ending == "pass")


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
  """An untrained codec, exported as training exports it."""
  from tests.serving.server.tiny_models import export_tiny_codec

  return export_tiny_codec(tmp_path_factory.mktemp("model") / "Format-Serving")


def check(model_dir: Path, folder: Path, timeout_seconds: float = 120):
  """The blessing that InfraCheck gives to a model, as the Pusher reads it."""
  from tfx.components.util import model_utils
  from tfx.types import standard_artifacts

  from hardmine.components.infra_check import ask, write_blessing

  outcome = ask(
    str(model_dir), timeout_seconds=timeout_seconds, memory_bytes=4000 * MIB
  )
  blessing = standard_artifacts.InfraBlessing()
  blessing.uri = str(folder)
  write_blessing(blessing, outcome)
  return model_utils.is_infra_validated(blessing), blessing


def test_real_model_is_blessed(model_dir, tmp_path):
  blessed, blessing = check(model_dir, tmp_path)
  assert blessed
  assert sorted(os.listdir(tmp_path)) == ["INFRA_BLESSED", "answer.json"]
  answer = json.loads((tmp_path / "answer.json").read_text())["answer"]
  facts = json.loads((model_dir / "assets.extra" / "codec.json").read_text())
  assert answer["model_id"] == facts["model_id"]
  assert answer["stream_bytes"] > 0
  assert blessing.get_string_custom_property("reason") == "answered"


def test_model_without_our_signatures_is_not_blessed(tmp_path):
  import tensorflow as tf

  tf.saved_model.save(tf.Module(), str(tmp_path / "model"))
  blessed, blessing = check(tmp_path / "model", tmp_path / "blessing")
  assert not blessed
  assert "codec.json" in blessing.get_string_custom_property("reason")
  assert (tmp_path / "blessing" / "INFRA_NOT_BLESSED").is_file()


@pytest.mark.parametrize(
  ("runtime", "pattern"),
  [
    ("onnxruntime", "assets.extra/light/encode_step.onnx"),
    ("tensorflow", "variables/variables.data-*"),
  ],
  ids=["onnxruntime", "tensorflow"],
)
def test_truncated_model_is_not_blessed(
  model_dir, tmp_path, monkeypatch, runtime, pattern
):
  import shutil

  monkeypatch.setenv("HARDMINE_RUNTIME", runtime)
  broken = tmp_path / "model"
  shutil.copytree(model_dir, broken)
  (data,) = broken.glob(pattern)
  data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
  blessed, _ = check(broken, tmp_path / "blessing")
  assert not blessed
