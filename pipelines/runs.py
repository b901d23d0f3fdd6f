"""A completed run of a pipeline, whichever orchestrator ran it."""

from __future__ import annotations

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class NodeRun:
  """One node in one run.

  Attributes:
    node: its id.
    status: `ran`, `reused`, `failed` or `interrupted`.
    why: one line.
    seconds: between its registration and its end.
    outputs: URIs by output name.
    properties: of the outputs, by output name; the last of several artifacts.
  """

  node: str
  status: str
  why: str
  seconds: float
  outputs: dict[str, list[str]]
  properties: dict[str, dict[str, Any]]

  @property
  def has_ended(self) -> bool:
    """Whether what it makes is there."""
    return self.status in ("ran", "reused")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
  """One run.

  Attributes:
    run_id: TFX's name of it.
    nodes: in the order of the graph, those that it came to.
    log_path: of its log, None where the orchestrator keeps one a node.
  """

  run_id: str
  nodes: tuple[NodeRun, ...]
  log_path: str | None = None

  def node(self, name: str) -> NodeRun | None:
    """What the run did with a node; None where `--to` stopped before it."""
    return next((run for run in self.nodes if run.node == name), None)
