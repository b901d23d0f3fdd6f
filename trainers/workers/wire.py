"""One connection between two processes that train together.

Both ends give a sign of life all the time, whatever else their process does, so that
silence means a machine that is gone and never one that computes for long. What comes
is put into a queue by a thread of its own.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import struct
import threading
from collections.abc import Iterable
from typing import Any, NamedTuple

_HEADER = struct.Struct("!BQ")  # kind, bytes that follow
_PIECE = 1 << 20  # bytes; a limit on silence is one for every piece
_MOST_WORDS = 1 << 26  # bytes of one message that is no numbers

BEAT, WORDS, NUMBERS, FAILED, BYE, GONE = range(6)


class Message(NamedTuple):
  """What came of one connection.

  Attributes:
    sender: position of the task that sent it.
    kind: WORDS: JSON; NUMBERS: bytes; FAILED: why the other end gave up; BYE: it needs
      nothing any more; GONE: there is no other end any more, or it is silent.
    payload: of FAILED and GONE the reason, a text.
  """

  sender: int
  kind: int
  payload: Any


class Wire:
  """An end of a connection.

  Args:
    connection: which the wire closes.
    sender: position of the task at the other end.
    inbox: gets a `Message` for everything that comes.
    silence_seconds: after so long without a sign the other end counts as gone.
  """

  def __init__(
    self,
    connection: socket.socket,
    sender: int,
    inbox: queue.Queue[Message],
    silence_seconds: float,
  ):
    connection.settimeout(silence_seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    self.sender = sender
    self._socket, self._inbox = connection, inbox
    self._silence_seconds = silence_seconds
    self._sending = threading.Lock()
    self._closed = threading.Event()
    for work in (self._read, self._beat):
      threading.Thread(target=work, daemon=True).start()

  @property
  def is_closed(self) -> bool:
    """Whether this end or the other has closed."""
    return self._closed.is_set()

  def say(self, words: Any) -> None:
    """Sends what JSON can say."""
    self._send(WORDS, [json.dumps(words).encode("utf-8")])

  def send(self, parts: Iterable[Any]) -> None:
    """Sends bytes-like parts as NUMBERS."""
    self._send(NUMBERS, [memoryview(part).cast("B") for part in parts if len(part)])

  def give_up(self, reason: str) -> None:
    """Tells the other end, if it can be told, and closes."""
    with contextlib.suppress(OSError):
      self._send(FAILED, [reason.encode("utf-8")])
    self.close()

  def bye(self) -> None:
    """Tells the other end that all went well, and closes."""
    with contextlib.suppress(OSError):
      self._send(BYE, [])
    self.close()

  def close(self) -> None:
    """Nothing is said or heard any more."""
    self._closed.set()
    with contextlib.suppress(OSError):
      self._socket.shutdown(socket.SHUT_WR)  # what was sent still arrives

  def _send(self, kind: int, parts: list[Any]) -> None:
    with self._sending:
      self._socket.sendall(_HEADER.pack(kind, sum(map(len, parts))))
      for part in parts:
        for start in range(0, len(part), _PIECE):
          self._socket.sendall(part[start : start + _PIECE])

  def _beat(self) -> None:
    while not self._closed.wait(min(self._silence_seconds / 4, 10)):
      try:
        self._send(BEAT, [])
      except OSError:
        return  # which the reader sees too

  def _read(self) -> None:
    try:
      while True:
        kind, length = _HEADER.unpack(self._bytes(_HEADER.size))
        if kind > BYE or (kind != NUMBERS and length > _MOST_WORDS):
          raise ConnectionError("does not speak as a task of a training does")
        payload = self._bytes(length)
        if kind == WORDS:
          self._put(kind, json.loads(payload))
        elif kind == FAILED:
          self._put(kind, payload.decode("utf-8", "replace"))
        elif kind != BEAT:
          self._put(kind, payload)
    except TimeoutError:
      self._end(f"has given no sign for {self._silence_seconds:g} s")
    except (OSError, ValueError) as error:
      self._end(getattr(error, "strerror", None) or str(error) or "has gone")

  def _end(self, why: str) -> None:
    self._closed.set()
    self._socket.close()
    self._put(GONE, why)

  def _put(self, kind: int, payload: Any) -> None:
    self._inbox.put(Message(self.sender, kind, payload))

  def _bytes(self, length: int) -> bytearray:
    """So many, or ConnectionError where the other end has closed before."""
    found = bytearray(length)
    view = memoryview(found)
    while len(view):
      count = self._socket.recv_into(view)
      if not count:
        raise ConnectionError("has gone")
      view = view[count:]
    return found
