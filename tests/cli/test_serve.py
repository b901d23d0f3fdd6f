"""`hardmine serve`: its mistakes. `test_real_models` has it as a process."""

from __future__ import annotations

import socket

import pytest

from pipelines.cli.main import main


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
  ],
)
def test_mistakes_are_usage_errors(tmp_path, capsys, words, message):
  assert main(["serve", "--store", str(tmp_path), *words]) == 2
  assert message in capsys.readouterr().err
