"""The tasks that train one model: sums over all of them, and an end for all of them.

Every worker is connected to the chief alone. What is to be summed goes there and the
sum comes back, added up in the order of the tasks, so that the same numbers give the
same sum to the last bit. A task that fails or vanishes ends all others with one line.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.trainers.workers import wire
from hardmine.trainers.workers.meeting import Door, come
from hardmine.trainers.workers.tf_config import Place
from hardmine.trainers.workers.wire import Message, Wire

START_SECONDS = 600.0  # for all tasks to come
SILENCE_SECONDS = 120.0  # of a task that counts as gone
_LAST_WORDS_SECONDS = 2.0  # for what a task said before it closed


def limit(variable: str, default: float) -> float:
  """A limit in seconds that an environment variable may set.

  Raises:
    ValueError: it is no positive number.
  """
  text = os.environ.get(variable, "").strip()
  if not text:
    return default
  try:
    seconds = float(text)
  except ValueError:
    seconds = 0.0
  require(0 < seconds < 1e6, f"{variable} as seconds above 0", **{variable: text})
  return seconds


class Team:
  """One task's view of all of them.

  Attributes:
    place: this task.
    failure: why the training cannot go on, once it cannot.
    job: on the chief, what workers are told when training begins; JSON can say it.
  """

  def __init__(self, place: Place):
    self.place = place
    self.job: Any = None
    self.failure: RuntimeError | None = None
    self.start_seconds = limit("HARDMINE_START_SECONDS", START_SECONDS)
    self._silence_seconds = limit("HARDMINE_SILENCE_SECONDS", SILENCE_SECONDS)
    self._inbox: queue.Queue[Message] = queue.Queue()
    self._wires: dict[int, Wire] = {}

  @property
  def is_chief(self) -> bool:
    """Whether this task writes what is to be kept."""
    return self.place.is_chief

  @property
  def size(self) -> int:
    """How many tasks there are."""
    return self.place.size

  @property
  def rank(self) -> int:
    """This task's position, 0 for the chief."""
    return self.place.rank or 0

  def sum(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The sums over all tasks of arrays that have the same shapes in each.

    Raises:
      RuntimeError: a task failed, vanished, or is not where the others are.
    """
    raise NotImplementedError

  def from_chief(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The chief's arrays, on every task; of the others only the shapes count."""
    raise NotImplementedError

  def give_up(self, reason: str) -> RuntimeError:
    """Ends the training on every task that can still hear.

    Returns:
      The error to raise here, which is kept as `failure`.
    """
    if self.failure is None:
      self.failure = RuntimeError(reason)
      for other in list(self._wires.values()):
        other.give_up(reason)
    return self.failure

  def end(self) -> None:
    """Nothing more is asked of the others."""
    for other in list(self._wires.values()):
      other.bye()

  def _numbers(self, arrays: Sequence[np.ndarray]) -> list[Any]:
    return [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays]

  def _apart(self, payload: bytearray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Numbers that came, in the shapes of this task's own."""
    expected = sum(array.nbytes for array in like)
    if len(payload) != expected:
      raise self.give_up(
        f"{self.place.name} expected {expected} bytes of numbers and received "
        f"{len(payload)}: the tasks do not train the same model; start all of them "
        "with the same command"
      )
    found, start = [], 0
    for array in like:
      flat = np.frombuffer(payload, array.dtype, array.size, start)
      found.append(flat.reshape(array.shape))
      start += array.nbytes
    return found

  def _send(self, other: Wire, arrays: Sequence[np.ndarray]) -> None:
    try:
      other.send(self._numbers(arrays))
    except OSError as error:
      raise self._unheard(other) from error

  def _unheard(self, other: Wire) -> RuntimeError:
    """What became of a task that nothing can be sent to; it may have said so."""
    with contextlib.suppress(queue.Empty):
      while True:
        message = self._inbox.get(timeout=_LAST_WORDS_SECONDS)
        if message.kind == wire.FAILED:
          return self.give_up(message.payload)
        if message.kind == wire.GONE and message.sender == other.sender:
          return self._lost(message.sender, message.payload)
    return self._lost(other.sender, "has gone")

  def _lost(self, rank: int, why: str) -> RuntimeError:
    return self.give_up(
      f"{self.place.names[rank]} {why}; start all tasks again: they go on from the "
      "newest checkpoint"
    )


class Chief(Team):
  """The task that adds up and writes; workers may come as soon as it exists.

  Raises:
    RuntimeError: its port cannot be opened.
  """

  def __init__(self, place: Place):
    super().__init__(place)
    self._changed = threading.Condition()
    self._has_begun = self._has_ended = False
    self._door = Door(place, self._enter)

  def gather(self, report: Callable[[str], None] = print) -> None:
    """Waits until all workers are there, and tells them the job.

    Raises:
      RuntimeError: one did not come in time.
    """
    until = time.monotonic() + self.start_seconds
    if self._missing():
      report(f"waiting up to {self.start_seconds:g} s for {', '.join(self._missing())}")
    while missing := self._missing():
      if time.monotonic() > until:
        raise self.give_up(
          f"{', '.join(missing)} did not come within {self.start_seconds:g} s; start "
          "all tasks of the cluster, and where they come later set "
          "HARDMINE_START_SECONDS"
        )
      with self._changed:
        self._changed.wait(0.1)
    self._has_begun = True
    for other in self._wires.values():
      try:
        other.say({"job": self.job})
      except OSError as error:
        raise self._unheard(other) from error

  def sum(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    came: dict[int, bytearray] = {}
    while len(came) < len(self._wires):
      if self.failure:
        raise self.failure
      message = self._inbox.get()
      if message.kind == wire.NUMBERS:
        came[message.sender] = message.payload
      elif message.kind == wire.FAILED:
        raise self.give_up(message.payload)
      elif message.kind == wire.GONE:
        raise self._lost(message.sender, message.payload)
      else:
        raise self._lost(message.sender, "has ended too early")
    totals = [np.array(array) for array in arrays]
    for rank in sorted(came):
      for total, array in zip(totals, self._apart(came[rank], arrays)):
        total += array
    return self.from_chief(totals)

  def from_chief(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    for other in self._wires.values():
      self._send(other, arrays)
    return list(arrays)

  def give_up(self, reason: str) -> RuntimeError:
    with self._changed:  # whoever comes in right now is told too
      return super().give_up(reason)

  def end(self) -> None:
    with self._changed:
      self._has_ended = True
      super().end()

  def close(self) -> None:
    """Nobody is let in any more."""
    self._door.close()

  def _enter(self, rank: int, connection: socket.socket) -> None:
    with self._changed:
      if rank in self._wires and self._has_begun:
        # Its machine went without a word, and a new one has taken its place.
        self._inbox.put(Message(rank, wire.GONE, "was started anew"))
        connection.close()
        return
      came = Wire(connection, rank, self._inbox, self._silence_seconds)
      if self.failure:
        came.give_up(str(self.failure))
      elif self._has_ended:
        came.bye()
      else:
        self._wires[rank] = came
      self._changed.notify_all()

  def _missing(self) -> list[str]:
    """The tasks that are not there, or that went again before training began."""
    while not self._inbox.empty():
      message = self._inbox.get()
      other = self._wires.get(message.sender)
      if other is not None and other.is_closed:  # and has not come anew
        self._wires.pop(message.sender)
    names = self.place.names
    return [names[rank] for rank in range(1, self.size) if rank not in self._wires]


class Worker(Team):
  """A task that trains for the chief; made when the chief has taken it in.

  Attributes:
    has_job: whether the chief has said that there is something to train.

  Raises:
    ValueError: its programs differ from the chief's.
    RuntimeError: the chief did not come in time.
  """

  def __init__(self, place: Place, report: Callable[[str], None] = print):
    super().__init__(place)
    report(
      f"{place.name} of {place.size} tasks waits up to {self.start_seconds:g} s for "
      f"{place.names[0]}"
    )
    connection = come(place, self.start_seconds)
    self._chief = Wire(connection, 0, self._inbox, self._silence_seconds)
    self._wires[0] = self._chief
    self.has_job = False

  def hear_job(self) -> Any:
    """Waits for what the chief has for this task, however long that takes.

    Returns:
      `{"job": ...}`, or None where there is nothing to train.

    Raises:
      RuntimeError: the chief failed or vanished.
    """
    message = self._inbox.get()
    if message.kind == wire.WORDS:
      self.has_job = True
      return message.payload
    if message.kind == wire.BYE:
      return None
    raise self._failed(message)

  def wait_for_end(self) -> None:
    """Returns when the chief has kept what was trained.

    Raises:
      RuntimeError: it failed or vanished before.
    """
    message = self._inbox.get()
    if message.kind != wire.BYE:
      raise self._failed(message)

  def sum(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    self._send(self._chief, arrays)
    return self.from_chief(arrays)

  def from_chief(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    if self.failure:
      raise self.failure
    message = self._inbox.get()
    if message.kind != wire.NUMBERS:
      raise self._failed(message)
    return self._apart(message.payload, arrays)

  def _failed(self, message: Message) -> RuntimeError:
    if message.kind == wire.FAILED:
      return self.give_up(str(message.payload))
    return self._lost(
      0, message.payload if message.kind == wire.GONE else "has ended too early"
    )
