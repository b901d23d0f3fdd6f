"""The connections of a server: how it listens, and how long clients may be slow.

The application bounds what a request costs from its headers to its answer. Before the
headers are whole, and while a client does not read the answer, the request is nobody's
but the connection's.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol

from hardmine.serving.server.limits import Limits

_LOOKS = 10  # at a connection, in the time it has
_TURNED_AWAY = (
  b"HTTP/1.1 503 Service Unavailable\r\n"
  b"Retry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


def listen(host: str, port: int) -> socket.socket:
  """A listening socket; made here, as uvicorn exits where it gets none.

  Args:
    host: name or address of this machine.
    port: 0 takes a free one.

  Raises:
    OSError: the address is not to be had.
  """
  family = socket.AF_INET6 if ":" in host else socket.AF_INET
  try:
    listener = socket.create_server((host, port), family=family)
  except OSError as error:
    raise OSError(f"{host}:{port} cannot be listened on: {error}") from error
  # Connections inherit it. asyncio sets it for sockets of its own only; without it the
  # body of an answer waits 40 ms for the client to acknowledge the headers.
  listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
  return listener


def make_server(app: Starlette, limits: Limits) -> uvicorn.Server:
  """Uvicorn, with bounds on its connections."""

  class Protocol(BoundedProtocol):
    timeout_seconds = limits.timeout_seconds
    max_connections = limits.max_connections

  config = uvicorn.Config(
    app,
    http=Protocol,
    ws="none",
    lifespan="on",
    log_config=None,
    log_level="warning",
    access_log=False,  # /metrics counts
    server_header=False,
    timeout_graceful_shutdown=max(1, round(limits.timeout_seconds)),
  )
  return uvicorn.Server(config)


class BoundedProtocol(H11Protocol):
  """A connection that ends when nothing moves for `timeout_seconds`."""

  timeout_seconds: float
  max_connections: int
  _looking: asyncio.TimerHandle | None = None

  def connection_made(self, transport: Any) -> None:
    """Turns it away, or begins to look after it."""
    super().connection_made(transport)
    if len(self.connections) > self.max_connections:
      transport.write(_TURNED_AWAY)
      transport.close()
      return
    self._state: tuple[str, int] = ("", 0)
    self._since = self.loop.time()
    self._look()

  def connection_lost(self, exc: Exception | None) -> None:
    """The client has gone, or was let go."""
    super().connection_lost(exc)
    if self._looking is not None:
      self._looking.cancel()

  def _look(self) -> None:
    state, now = self._describe(), self.loop.time()
    if state != self._state:
      self._state, self._since = state, now
    elif state[0] != "works" and now - self._since >= self.timeout_seconds:
      self.transport.abort()  # `close` would wait for the client to read
      return
    self._looking = self.loop.call_later(self.timeout_seconds / _LOOKS, self._look)

  def _describe(self) -> tuple[str, int]:
    """What goes on, and a number that changes as it gets on."""
    unread = self.transport.get_write_buffer_size()
    if unread:
      return "sends", unread
    cycle = self.cycle
    if cycle is not None and not cycle.response_complete:
      return "works", id(cycle)  # the application has its own clock
    return "waits", id(cycle)
