"""`hardmine serve`: its mistakes. `test_real_models` has it as a process."""

from __future__ import annotations

import socket

import pytest

from hardmine.pipelines.cli.main import main


@pytest.fixture(autouse=True)
def an_empty_store(tmp_path):
  (tmp_path / "versions").mkdir()


def test_a_store_that_is_none_is_not_waited_for(tmp_path, capsys, monkeypatch):
  monkeypatch.delenv("HARDMINE_STORE", raising=False)
  assert main(["serve"]) == 2
  assert main(["serve", "--store", str(tmp_path / "stroe")]) == 2
  err = capsys.readouterr().err
  assert "--store URL, or HARDMINE_STORE" in err
  assert "Expected a model store" in err


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
