"""`hardmine serve`: its mistakes. `test_real_models` has it as a process."""

from __future__ import annotations

import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.schemas.exported_model import read_facts
from tests.cli.process import start


@pytest.fixture(autouse=True)
def an_empty_store(tmp_path):
  (tmp_path / "versions").mkdir()


def test_a_store_that_is_none_is_not_waited_for(tmp_path, capsys):
  assert main(["serve", "--store", str(tmp_path / "stroe")]) == 2
  assert "Expected a model store" in capsys.readouterr().err


def test_a_model_that_is_none_is_told(tmp_path, capsys):
  assert main(["serve", "--model", str(tmp_path)]) == 2
  assert main(["serve", "--model", "codec_huge"]) == 2
  err = capsys.readouterr().err
  assert "a folder with saved_model.pb" in err
  assert "a shipped one (codec_shipped, codec_small)" in err


@pytest.mark.parametrize("words", [[], ["--model", "codec_small"]])
def test_one_model_is_served_without_a_store(tmp_path, words):
  """What ships, where nothing is named; the figures beside it are told too."""
  process = start(tmp_path, ["serve", "--port", "0", *words], HARDMINE_STORE="")
  try:
    line = process.stdout.readline()
    name, _, url = line.strip().rpartition(" at ")
    assert Path(name).name == (words or ["codec_shipped"])[-1]
    told = answer(f"{url}/v1/model")
    assert told["model_id"] == read_facts(name, "codec")["model_id"]
    assert told["metrics"]["ms_ssim_auc"] > 1.7
  finally:
    process.terminate()
    process.communicate()
  assert process.returncode == 0


def answer(url):
  """JSON, once the model is loaded."""
  for _ in range(200):
    with (
      contextlib.suppress(urllib.error.HTTPError),
      urllib.request.urlopen(url) as response,
    ):
      return json.load(response)
    time.sleep(0.1)
  raise AssertionError(f"{url} did not answer")


def test_an_address_that_is_taken_is_one_line(tmp_path, capsys):
  with socket.create_server(("127.0.0.1", 0)) as taken:
    port = taken.getsockname()[1]
    assert main(["serve", "--store", str(tmp_path), "--port", str(port)]) == 1
  err = capsys.readouterr().err
  assert f"127.0.0.1:{port} cannot be listened on" in err
  assert err.count("\n") == 1


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (["--port", "70000"], "a port from 0 to 65535"),
    (["--poll-seconds", "0"], "poll_seconds=0"),
    (["--concurrency", "0"], "concurrency >= 1"),
    (["--timeout-seconds", "inf"], "a finite timeout_seconds"),
    (["--poll-seconds", "nan"], "a finite poll_seconds"),
    (["--public-key", "absent"], "a public key of an elliptic curve"),
    (["--max-pixels", "many"], "invalid int value"),
    (["--max-memory-bytes", "0"], "max_memory_bytes >= 1"),
  ],
)
def test_mistakes_are_usage_errors(tmp_path, capsys, words, message):
  assert main(["serve", "--store", str(tmp_path), *words]) == 2
  assert message in capsys.readouterr().err
