"""A server on a free port of this machine, and a client that sees everything."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from PIL import Image
from starlette.applications import Starlette

from hardmine.serving.server.connections import listen, make_server

WAIT_SECONDS = 30  # for what takes no time on a machine that is not busy


@dataclasses.dataclass(frozen=True)
class Answer:
  """A whole response."""

  status: int
  headers: http.client.HTTPMessage
  body: bytes

  @property
  def json(self) -> Any:
    return json.loads(self.body)

  @property
  def version(self) -> int:
    return int(self.headers["X-Hardmine-Version"])

  @property
  def reason(self) -> str:
    """Of a refusal."""
    assert self.json["error"]["status"] == self.status
    return self.json["error"]["reason"]

  @property
  def message(self) -> str:
    return self.json["error"]["message"]


@dataclasses.dataclass(frozen=True)
class Client:
  """Of a server that runs."""

  port: int

  def connect(self) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_SECONDS)

  def ask(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
    with contextlib.closing(self.connect()) as connection:
      connection.request(method, path, body, **options)
      response = connection.getresponse()
      return Answer(response.status, response.headers, response.read())

  def get(self, path: str) -> Answer:
    return self.ask("GET", path)

  def post(self, path: str, body: Any = b"", **options: Any) -> Answer:
    return self.ask("POST", path, body, **options)

  def send_raw(self, text: str) -> socket.socket:
    """A connection on which these lines were sent."""
    connection = socket.create_connection(("127.0.0.1", self.port), WAIT_SECONDS)
    connection.sendall(text.replace("\n", "\r\n").encode())
    return connection

  def until(self, number: int, seconds: float = WAIT_SECONDS) -> None:
    """Waits until a version answers."""
    header = "X-Hardmine-Version"
    wait_until(lambda: self.get("/readyz").headers[header] == str(number), seconds)


@contextlib.contextmanager
def running(app: Starlette) -> Iterator[Client]:
  """Serves an application until the block ends."""
  server = make_server(app, app.state.server.limits)
  listener = listen("127.0.0.1", 0)
  thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
  thread.start()
  try:
    wait_until(lambda: server.started)
    yield Client(listener.getsockname()[1])
  finally:
    server.should_exit = True
    thread.join(WAIT_SECONDS)
    listener.close()
    assert not thread.is_alive()


def wait_until(condition: Any, seconds: float = WAIT_SECONDS) -> None:
  """Returns once it is true."""
  end = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < end, "this never became true"
    time.sleep(0.01)


def picture(height_px: int = 24, width_px: int = 40, kind: str = "PNG") -> bytes:
  """A file of noise."""
  pixels = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, kind)
  return buffer.getvalue()
