"""How the tasks of a training find each other: the chief listens, the others come.

A worker that is early tries again, and one that comes while the chief still does other
things is kept. Nobody is let in who was not told the same cluster, or whose programs
differ.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import ipaddress
import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Any

from hardmine.trainers.workers.tf_config import Place

_LENGTH = struct.Struct("!I")
_MOST_BYTES = 1 << 16
_PATIENCE_SECONDS = 20.0  # for one greeting
_PAUSE_SECONDS = 0.5  # between two tries
_PROGRAMS = ("hardmine", "keras", "tensorflow")


class Door:
  """The chief's port, open until `close`.

  Args:
    place: the chief's.
    enter: called in a thread with every worker's rank and connection.

  Raises:
    RuntimeError: the port is taken, or the address is not of this machine.
  """

  def __init__(self, place: Place, enter: Callable[[int, socket.socket], None]):
    self._place, self._enter = place, enter
    host, port = _host_and_port(place.addresses[0])
    try:
      self._listener = socket.create_server(
        ("127.0.0.1" if _is_loopback(host) else "", port)
      )
    except OSError as error:
      raise RuntimeError(
        f"{place.name} cannot listen on port {port}: {error.strerror}; end what uses "
        "the port, or give the chief another one in TF_CONFIG on every machine"
      ) from error
    threading.Thread(target=self._listen, daemon=True).start()

  def close(self) -> None:
    """Nobody comes in any more."""
    with contextlib.suppress(OSError):
      self._listener.shutdown(socket.SHUT_RDWR)
    self._listener.close()

  def _listen(self) -> None:
    with contextlib.suppress(OSError):  # closed
      while True:
        connection, _ = self._listener.accept()
        # whoever says nothing must not keep the others out
        greet = threading.Thread(target=self._greet, args=(connection,), daemon=True)
        greet.start()

  def _greet(self, connection: socket.socket) -> None:
    connection.settimeout(_PATIENCE_SECONDS)
    try:
      greeting = _hear(connection)
      refusal = _refusal(greeting, self._place)
      _say(connection, {"refusal": refusal})
    except (OSError, ValueError):
      connection.close()
      return
    if refusal:
      connection.close()
    else:
      self._enter(int(greeting["rank"]), connection)


def come(place: Place, seconds: float) -> socket.socket:
  """A worker's connection to the chief, which may come later than the worker.

  Raises:
    ValueError: the programs here and there differ.
    RuntimeError: no chief came in that time.
  """
  host, port = _host_and_port(place.addresses[0])
  until = time.monotonic() + seconds
  while True:
    try:
      connection = socket.create_connection((host, port), _PATIENCE_SECONDS)
      try:
        _say(connection, _greeting(place))
        refusal = _hear(connection)["refusal"]
      except BaseException:
        connection.close()
        raise
      if refusal is None:
        return connection
      connection.close()
      if refusal.get("for_good"):
        raise ValueError(f"{place.names[0]} refuses {place.name}: {refusal['why']}")
      why = refusal["why"]
    except OSError as error:
      why = error.strerror or str(error)
    except (KeyError, TypeError, json.JSONDecodeError):
      why = "what listens there is no chief of a training"
    if time.monotonic() > until:
      raise RuntimeError(
        f"{place.names[0]} did not take {place.name} in within {seconds:g} s: {why}; "
        "start all tasks of the cluster, and where they come later set "
        "HARDMINE_START_SECONDS"
      )
    time.sleep(_PAUSE_SECONDS)


def _greeting(place: Place) -> dict[str, Any]:
  cluster = hashlib.sha256(json.dumps(place.names).encode("utf-8")).hexdigest()
  return {"rank": place.rank, "cluster": cluster, "programs": _programs()}


def _refusal(greeting: Any, place: Place) -> dict[str, Any] | None:
  """Why a greeting is not good enough, and whether another try ends so too."""
  own = _greeting(place)
  if not isinstance(greeting, dict) or greeting.get("cluster") != own["cluster"]:
    return {"why": "TF_CONFIG names another cluster there"}
  if greeting["programs"] != own["programs"]:
    why = f"it has {greeting['programs']}, the chief {own['programs']}"
    return {"why": why, "for_good": True}
  rank = greeting.get("rank")
  if not isinstance(rank, int) or not 0 < rank < place.size:
    return {"why": f"no worker has the rank {rank!r}", "for_good": True}
  return None


def _programs() -> str:
  """What must be the same on every machine, as in "keras 3.12.4"."""
  found = []
  for name in _PROGRAMS:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
      found.append(f"{name} {importlib.metadata.version(name)}")
  return ", ".join(found)


def _host_and_port(address: str) -> tuple[str, int]:
  host, _, port = address.rpartition(":")
  return host.strip("[]"), int(port)


def _is_loopback(host: str) -> bool:
  with contextlib.suppress(ValueError):
    return ipaddress.ip_address(host).is_loopback
  return host == "localhost"


def _say(connection: socket.socket, words: Any) -> None:
  text = json.dumps(words).encode("utf-8")
  connection.sendall(_LENGTH.pack(len(text)) + text)


def _hear(connection: socket.socket) -> Any:
  (length,) = _LENGTH.unpack(_exactly(connection, _LENGTH.size))
  if length > _MOST_BYTES:
    raise ValueError("no greeting is that long")
  return json.loads(_exactly(connection, length))


def _exactly(connection: socket.socket, length: int) -> bytes:
  found = b""
  while len(found) < length:
    piece = connection.recv(length - len(found))
    if not piece:
      raise ConnectionError("it hung up")
    found += piece
  return found
