"""Beam arguments that a graph leaves open and a node's process fills in.

TFX's cache looks at the arguments' text. As environment variables they read the
same for any number of workers, so changing that reuses everything.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence

from hardmine.pipelines.beam_runners import for_libraries

NUM_SLOTS = 64  # Beam arguments that a run may set; another number misses every cache
_LIBRARIES = "HARDMINE_BEAM_ARGUMENT_OF_LIBRARIES"


def slots() -> list:
  """TFX's placeholders of the arguments, for the graph."""
  return [_placeholder(_slot(i)) for i in range(NUM_SLOTS)]


def library_slots() -> list:
  """TFX's placeholder of `beam_runners.for_libraries`, behind the others."""
  return [_placeholder(_LIBRARIES)]


@contextlib.contextmanager
def filled(arguments: Sequence[str]) -> Iterator[None]:
  """Fills the slots; spare ones repeat the first argument, which changes nothing.

  Raises:
    ValueError: there is no argument, or more than there are slots.
  """
  arguments = list(arguments)
  if not 0 < len(arguments) <= NUM_SLOTS:
    raise ValueError(f"Expected 1 to {NUM_SLOTS} Beam arguments. Received: {arguments}")
  padded = arguments + [arguments[0]] * (NUM_SLOTS - len(arguments))
  values = {_slot(i): argument for i, argument in enumerate(padded)}
  (values[_LIBRARIES],) = for_libraries(arguments) or arguments[:1]
  before = {name: os.environ.get(name) for name in values}
  os.environ.update(values)
  try:
    yield
  finally:
    for name, value in before.items():
      if value is None:
        del os.environ[name]
      else:
        os.environ[name] = value


def _slot(index: int) -> str:
  return f"HARDMINE_BEAM_ARGUMENT_{index}"


def _placeholder(name: str):
  from tfx.dsl.placeholder import placeholder

  return placeholder.environment_variable(name)
