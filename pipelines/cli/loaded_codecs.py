"""The codecs of a command: each is loaded once, by whoever needs it first."""

from __future__ import annotations

import argparse
import threading
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.memory_budget import MemoryBudget
from hardmine.pipelines.cli.runtime_argument import runtime_of, threads_of_each

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.codec.running.memory import Needs
  from hardmine.trainers.codec.streams.stream_header import Header


class LoadedCodecs:
  """Codecs by their folders, for several threads.

  Args:
    args: with those of `runtime_argument`.
    at_once: how many pictures are coded at the same time.
  """

  def __init__(self, args: argparse.Namespace, at_once: int = 1):
    self._args, self._at_once = args, at_once
    self._lock = threading.Lock()
    self._needs: dict[Path, Needs] = {}
    self._budget: MemoryBudget | None = None
    self._loaded: dict[Path, tuple[Codec, str]] = {}

  def get(self, model_dir: Path) -> tuple[Codec, str]:
    """A codec, and the runtime that it is on."""
    from hardmine.trainers.codec.codec import Codec

    with self._lock:
      if model_dir not in self._loaded:
        runtime = runtime_of(model_dir, self._args)
        threads = threads_of_each(self._at_once, runtime)
        self._loaded[model_dir] = Codec.load(model_dir, runtime, threads), runtime
      return self._loaded[model_dir]

  def room_to_encode(
    self, model_dir: Path, height_px: int, width_px: int
  ) -> AbstractContextManager[None]:
    """Waits for the others where there is not enough memory for one more picture."""
    needs = self._needs_of(model_dir)
    return self._room(needs, needs.encoding(height_px, width_px))

  def room_to_decode(
    self, model_dir: Path, header: Header, iterations: int
  ) -> AbstractContextManager[None]:
    """The same, of a stream."""
    needs = self._needs_of(model_dir)
    return self._room(needs, needs.decoding(header, iterations))

  def _needs_of(self, model_dir: Path) -> Needs:
    from hardmine.trainers.codec.running.memory import Needs

    with self._lock:
      if model_dir not in self._needs:
        self._needs[model_dir] = Needs.of(model_dir, self._args.runtime)
      return self._needs[model_dir]

  def _room(self, needs: Needs, needed: int) -> AbstractContextManager[None]:
    from hardmine.trainers.codec.running import memory

    with self._lock:
      if self._budget is None:
        bounded = self._at_once > 1 and not self._args.ignore_memory
        available = memory.available_bytes() if bounded else None
        if available is not None:
          available = max(0, available - needs.fixed_bytes)
        self._budget = MemoryBudget(available)
    return self._budget.take(needed - needs.fixed_bytes)
