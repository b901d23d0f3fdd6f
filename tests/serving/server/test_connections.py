"""Sockets, and clients that are slow or many."""

from __future__ import annotations

import socket
import time
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from hardmine.serving.server.connections import listen
from hardmine.serving.server.limits import Limits
from tests.serving.server.loopback import running, wait_until


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_answers_do_not_wait_for_acknowledgements(host):
  try:
    listener = listen(host, 0)
  except OSError:
    assert host == "::1", "only IPv6 may be missing here"
    pytest.skip("no IPv6")
  with listener, socket.create_connection(listener.getsockname()[:2]):
    connection, _ = listener.accept()
    with connection:
      assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_an_address_that_is_taken_is_named():
  with listen("127.0.0.1", 0) as listener:
    port = listener.getsockname()[1]
    with pytest.raises(OSError, match=f"127.0.0.1:{port} cannot be listened on"):
      listen("127.0.0.1", port)


def large(request):
  return PlainTextResponse("x" * (50 << 20))


def serving(**limits):
  app = Starlette(routes=[Route("/", large)])
  app.state.server = SimpleNamespace(limits=Limits(**limits))
  return running(app)


@pytest.mark.parametrize("sent", [b"", b"GET /small HT"])
def test_who_sends_no_whole_request_is_let_go(sent):
  with serving(timeout_seconds=0.5) as client, client.send_raw("") as connection:
    connection.sendall(sent)
    assert connection.recv(1) == b""


def test_who_reads_no_answer_is_let_go():
  with serving(timeout_seconds=0.5) as client, client.send_raw("") as connection:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
    time.sleep(2.5)
    # What the system held ready is still to be had, and no more.
    assert 0 < len(connection.recv(60 << 20, socket.MSG_WAITALL)) < 50 << 20


def test_who_reads_slowly_gets_all_of_it():
  with serving(timeout_seconds=0.5) as client, client.send_raw("") as connection:
    connection.sendall(b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    received = 0
    while piece := connection.recv(1 << 20):
      received += len(piece)
      time.sleep(0.02)
    assert received > 50 << 20


def test_more_connections_than_allowed_are_turned_away():
  with serving(max_connections=2) as client, client.send_raw("") as first:
    with client.send_raw(""):
      wait_until(lambda: client.get("/small").status == 503)
    wait_until(lambda: client.get("/small").status == 404)
    assert first.fileno() >= 0
