"""The codecs of a command: each is loaded once, by whoever needs it first."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.runtime_argument import runtime_of, threads_of_each

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec


class LoadedCodecs:
  """Codecs by their folders, for several threads.

  Args:
    args: with those of `runtime_argument`.
    at_once: how many pictures are coded at the same time.
  """

  def __init__(self, args: argparse.Namespace, at_once: int = 1):
    self._args, self._at_once = args, at_once
    self._lock = threading.Lock()
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
