"""Models that hang, swell, crash or lack a signature are refused, with the reason.

What is run in the sub-process are stand-ins, which say what they do by name; a model
without our signatures is real.
"""

from __future__ import annotations

import functools
import sys
import time
from pathlib import Path

import pytest

from hardmine.serving.probe.ask_model import ask
from hardmine.serving.probe.sandbox import run_limited
from hardmine.serving.store.promotion import Refused, promote
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by, facts

BAD = {
  "hangs": ("import time; time.sleep(60)", "no answer within 2 s"),
  "swells": ("x = bytearray(10 << 30); x[::4096] = b'1' * len(x[::4096])", "more than"),
  "crashes": ("import os; os.abort()", "died of SIGABRT"),
  "raises": ("raise ValueError('no signature decode')", "no signature decode"),
  "leaves a child": (
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(61)']);"
    "time.sleep(60)",
    "no answer",
  ),
}


def processes_of(word: str) -> list[str]:
  """Command lines that contain a word, of processes that are not yet gone."""
  found = []
  for path in Path("/proc").glob("[0-9]*/cmdline"):
    try:
      text = path.read_bytes().replace(b"\0", b" ").decode()
    except OSError:
      continue
    if word in text:
      found.append(text)
  return found


@pytest.mark.parametrize("name", BAD)
def test_a_bad_model_is_refused_and_leaves_no_process(tmp_path, name):
  code, reason = BAD[name]
  mark = f"bad-model-{name.replace(' ', '-')}-{tmp_path.name}"
  store = ModelStore(tmp_path / "store")
  add(store, tmp_path, "a")

  def check(model_dir):
    return run_limited(
      [sys.executable, "-c", code, mark],
      timeout_seconds=2 if reason.startswith("no answer") else 30,
      memory_bytes=300 << 20,
    )

  with pytest.raises(Refused, match=f"answers: .*{reason}"):
    promote(store, 1, "production", reason=by("ann"), check=check)
  assert store.aliases() == {}
  deadline = time.monotonic() + 5
  while processes_of(mark) and time.monotonic() < deadline:
    time.sleep(0.05)
  assert processes_of(mark) == []


def test_a_graph_that_cannot_be_loaded_is_refused_with_the_reason(tmp_path):
  store = ModelStore(tmp_path / "store")
  add(store, tmp_path, "a")
  limited = functools.partial(ask, timeout_seconds=120, memory_bytes=4 << 30)
  with pytest.raises(Refused, match="answers: ") as caught:
    promote(store, 1, "production", reason=by("ann"), check=limited)
  assert len(str(caught.value)) < 1000
  assert store.aliases() == {}


def test_a_real_model_answers_and_one_without_signatures_does_not(tmp_path):
  import json

  import tensorflow as tf

  from tests.serving.server.tiny_models import export_tiny_codec

  export_tiny_codec(tmp_path / "real")
  path = tmp_path / "real" / "assets.extra" / "codec.json"
  given = {**facts("a"), "model_id": json.loads(path.read_text())["model_id"]}
  store = ModelStore(tmp_path / "store")
  store.add(tmp_path / "real", **given)
  found = promote(store, 1, "production", reason=by("ann"))
  assert found.moved
  assert found.checks[-1].reason.startswith("answered in ")

  tf.saved_model.save(tf.Module(), str(tmp_path / "mute"))
  (tmp_path / "mute" / "assets.extra").mkdir()
  (tmp_path / "mute" / "assets.extra" / "codec.json").write_bytes(path.read_bytes())
  store.add(tmp_path / "mute", **given)
  with pytest.raises(Refused, match=r"answers: .*encode"):
    promote(store, 2, "production", reason=by("ann"))
  assert store.aliases() == {"production": 1}
