"""The socket that a server listens on."""

from __future__ import annotations

import socket


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
