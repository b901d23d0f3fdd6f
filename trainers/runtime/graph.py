"""What a runtime makes of an ONNX file: named arrays in, named arrays out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np


class Value(Protocol):
  """An array that a runtime keeps where the next run finds it without a copy."""

  def numpy(self) -> np.ndarray:
    """Its values."""
    ...


class Graph(Protocol):
  """An ONNX graph made ready; several threads may run it at once.

  Attributes:
    inputs: their names.
    outputs: their names, in order.
  """

  inputs: tuple[str, ...]
  outputs: tuple[str, ...]

  def run(self, inputs: Mapping[str, np.ndarray | Value]) -> dict[str, Value]:
    """All outputs by name. Inputs that the graph does not have are left out.

    What it gives may be handed to the next run of any graph of the same runtime, and
    stays valid however often this one runs.
    """
    ...
