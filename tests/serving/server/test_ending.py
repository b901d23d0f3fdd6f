"""Signals to a server at work, in a process of its own with fake models."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from tests.serving.server.loopback import Client, picture, wait_until

SCRIPT = """
import signal, sys, time
from hardmine.pipelines.cli.serve import serve_until_told
from hardmine.pipelines.cli.signals import signals_raise
from hardmine.serving.server.app import create_app
from hardmine.serving.server.connections import listen, make_server
from hardmine.serving.server.limits import Limits
from tests.serving.server.fakes import FakeStore, Shelf

shelf = Shelf()
shelf.gate.pass_through = lambda: time.sleep(1.5)
if "ignoring" in sys.argv:
  signal.signal(signal.SIGHUP, signal.SIG_IGN)
with signals_raise(), listen("127.0.0.1", 0) as listener:
  app = create_app(FakeStore(production=7), "production", load=shelf.load)
  print(listener.getsockname()[1], flush=True)
  serve_until_told(make_server(app, Limits()), listener)
print("done")
"""


def start(*words):
  process = subprocess.Popen(
    [sys.executable, "-c", SCRIPT, *words], stdout=subprocess.PIPE, text=True
  )
  assert process.stdout is not None
  client = Client(int(process.stdout.readline()))
  client.until(7)
  return process, client


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_lets_it_answer_and_end(number):
  process, client = start()
  answers = []
  asking = threading.Thread(
    target=lambda: answers.append(client.post("/v1/detect", picture()))
  )
  try:
    asking.start()
    wait_until(lambda: b"in_flight 2.0" in client.get("/metrics").body)
    process.send_signal(number)
    asking.join(30)
    assert [answer.status for answer in answers] == [200]
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "done\n")
  finally:
    process.kill()
    process.wait()


def test_what_it_was_told_to_ignore_does_not_end_it():
  process, client = start("ignoring")
  try:
    process.send_signal(signal.SIGHUP)
    assert client.post("/v1/detect", picture()).status == 200
    assert process.poll() is None
  finally:
    process.kill()
    process.wait()
