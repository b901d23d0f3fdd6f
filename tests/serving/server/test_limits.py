"""What a server does not take: too much, too slow, too many at once."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from hardmine.serving.server.limits import Limits
from tests.serving.server.fakes import FakeStore
from tests.serving.server.loopback import picture, wait_until

VERSION = 7


@pytest.fixture
def threads():
  with ThreadPoolExecutor(8) as pool:
    yield pool


def response_to(connection) -> str:
  """All that a server says until it closes the connection."""
  with contextlib.closing(connection), connection.makefile("rb") as file:
    return file.read().decode("latin-1")


def test_large_bodies_are_refused_before_they_are_sent(serve):
  client = serve(FakeStore(production=VERSION), max_body_bytes=1000)
  began = time.monotonic()
  connection = client.send_raw(
    "POST /v1/detect HTTP/1.1\nHost: x\nContent-Length: 1001\nExpect: 100-continue\n\n"
  )
  response = response_to(connection)
  assert response.startswith("HTTP/1.1 413")  # and no 100 that asks for the body
  assert '"reason":"body_too_large"' in response
  assert "Received: 1,001" in response
  assert f"x-hardmine-version: {VERSION}" in response.lower()
  assert time.monotonic() - began < 20


def test_a_client_that_sends_on_sees_why_it_was_refused(serve):
  client = serve(FakeStore(production=VERSION), max_body_bytes=1000)
  answer = client.post("/v1/detect", bytes(3 << 20))
  assert (answer.status, answer.reason) == (413, "body_too_large")
  assert answer.headers["Connection"] == "close"  # what is left unread ends with it
  unknown_length = (bytes(300) for _ in range(10))
  answer = client.post("/v1/detect", unknown_length, encode_chunked=True)
  assert (answer.status, answer.reason) == (413, "body_too_large")
  fitting = picture(4, 4)
  assert client.post("/v1/detect", iter([fitting]), encode_chunked=True).status == 200


@pytest.mark.parametrize(
  ("head", "message"),
  [
    ("POST /v1/detect HTTP/1.1\nContent-Length: 9\nTransfer-Encoding: chunked", "both"),
    ("POST /v1/detect HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 0", "both"),
    ("GET /healthz HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 5", "both"),
    ("POST /nope HTTP/1.1\nContent-Length: 5\nTransfer-Encoding: chunked", "both"),
    (
      "POST /v1/detect HTTP/1.0\nTransfer-Encoding: chunked",
      "Transfer-Encoding in HTTP/1.0",
    ),
  ],
)
def test_a_request_has_one_length(serve, head, message):
  client = serve(FakeStore(production=VERSION))
  connection = client.send_raw(f"{head}\nHost: x\n\n0\n\nGET /metrics HTTP/1.1\n\n")
  response = response_to(connection)
  assert response.startswith("HTTP/1.1 400")
  assert '"reason":"bad_framing"' in response
  assert f"Received: {message}" in response
  assert "connection: close" in response.lower()
  assert response.count("HTTP/1.1 ") == 1  # what follows is no request


def test_a_body_that_does_not_come(serve):
  client = serve(FakeStore(production=VERSION), timeout_seconds=0.3)
  head = "POST /v1/detect HTTP/1.1\nHost: x\nContent-Length: 9\n\nfour"
  response = response_to(client.send_raw(head))
  assert response.startswith("HTTP/1.1 408")
  assert "4 bytes came" in response


def test_a_bounded_line_and_the_rest_is_turned_away(serve, shelf, threads):
  client = serve(FakeStore(production=VERSION), concurrency=2, max_waiting=1)
  shelf.gate.shut()
  body = picture()
  working = [threads.submit(client.post, "/v1/detect", body) for _ in range(2)]
  wait_until(lambda: shelf.gate.num_waiting == 2)
  waiting = threads.submit(client.post, "/v1/detect", body)
  wait_until(lambda: b"in_flight 4.0" in client.get("/metrics").body)
  refused = client.post("/v1/detect", body)
  assert (refused.status, refused.reason) == (503, "busy")
  assert int(refused.headers["Retry-After"]) >= 1
  assert client.get("/healthz").status == 200  # the event loop is free
  assert not any(one.done() for one in (*working, waiting))
  shelf.gate.open()
  assert [one.result().status for one in (*working, waiting)] == [200] * 3
  assert client.post("/v1/detect", body).status == 200
  assert shelf.models[VERSION].num_calls == 4
  assert b'rejected_total{reason="busy"} 1.0' in client.get("/metrics").body


def test_work_that_takes_too_long_keeps_its_place_to_its_end(serve, shelf):
  client = serve(
    FakeStore(production=VERSION), concurrency=1, max_waiting=0, timeout_seconds=0.3
  )
  shelf.gate.shut()
  slow = client.post("/v1/detect", picture())
  assert (slow.status, slow.reason) == (504, "too_slow")
  assert slow.version == VERSION
  # A thread cannot be stopped; a second one would make the machine slower still.
  refused = client.post("/v1/detect", picture())
  assert refused.reason == "busy"
  assert "1 requests are being answered" in refused.message  # at once, at the door
  shelf.gate.open()
  wait_until(lambda: client.post("/v1/detect", picture()).status == 200)


def test_who_waits_too_long_is_asked_to_come_again(serve, shelf, threads):
  client = serve(
    FakeStore(production=VERSION), concurrency=1, max_waiting=1, timeout_seconds=0.5
  )
  shelf.gate.shut()
  first = threads.submit(client.post, "/v1/detect", picture())
  wait_until(lambda: shelf.gate.num_waiting == 1)
  second = client.post("/v1/detect", picture())
  assert (second.status, second.reason) == (503, "busy")
  assert "No turn came" in second.message
  assert first.result().status == 504
  shelf.gate.open()
  wait_until(lambda: client.post("/v1/detect", picture()).status == 200)
  assert shelf.models[VERSION].num_calls == 2  # the second was never begun


def test_nothing_is_done_for_clients_that_went_away(serve, shelf, threads):
  client = serve(FakeStore(production=VERSION), concurrency=1, max_waiting=1)
  shelf.gate.shut()
  first = threads.submit(client.post, "/v1/detect", picture())
  wait_until(lambda: shelf.gate.num_waiting == 1)
  impatient = client.connect()
  impatient.request("POST", "/v1/detect", picture())
  wait_until(lambda: client.post("/v1/detect", picture()).status == 503)
  impatient.close()
  gone = b'rejected_total{reason="client_gone"} 1.0'
  wait_until(lambda: gone in client.get("/metrics").body)
  shelf.gate.open()
  assert first.result().status == 200
  assert client.post("/v1/detect", picture()).status == 200
  assert shelf.models[VERSION].num_calls == 2


@pytest.mark.parametrize(
  "limits",
  [{"max_body_bytes": 0}, {"concurrency": 0}, {"max_waiting": -1}, {"max_pixels": -3}],
)
def test_limits_that_cannot_be(limits):
  with pytest.raises(ValueError, match=next(iter(limits))):
    Limits(**limits)
