"""Running a part of a pipeline with what earlier runs left of the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from hardmine.pipelines.run_history import RunHistory


def require_nodes(order: Sequence[str], *names: str | None) -> None:
  """Raises ValueError unless each name, if there is one, is of a node."""
  for name in names:
    if name is not None and name not in order:
      raise ValueError(f"Expected a node among {', '.join(order)}. Received: {name!r}")


def mark_part(
  plan: Any,
  pipeline: Any,
  history: RunHistory,
  from_node: str | None,
  to_node: str | None,
) -> None:
  """Marks in TFX's compiled plan what a run of a part is to do.

  Args:
    plan: of the pipeline; left as it is for the whole.
    pipeline: a `tfx.dsl.Pipeline`.
    history: of this pipeline.
    from_node: start here, with the outputs that the newest fitting run left.
    to_node: stop after this node and what it needs.

  Raises:
    ValueError: there is no such node, no earlier run to start from, or what that
      left is gone.
  """
  from tfx.orchestration.portable import partial_run_utils
  from tfx.proto.orchestration import pipeline_pb2

  require_nodes([c.id for c in pipeline.components], from_node, to_node)
  if from_node is None and to_node is None:
    return
  settings = pipeline_pb2.SnapshotSettings()
  settings.latest_pipeline_run_strategy.SetInParent()
  if from_node is not None:
    needed = _before(pipeline, from_node)
    base = history.last_run_with(needed)
    if base is None and needed:
      raise ValueError(
        f"Expected an earlier run of {', '.join(needed)} to start from; "
        f"run without --from first. Received: --from {from_node}"
      )
    if base is not None:
      lost = history.lost_outputs(base, _read_from(pipeline, needed))
      if lost:
        raise ValueError(
          f"Expected {lost[0]}, which an earlier run left, to be there still; run "
          f"without --from, which makes it anew. Received: --from {from_node}"
        )
      settings.base_pipeline_run_strategy.base_run_id = base
  partial_run_utils.mark_pipeline(
    plan,
    from_nodes=[from_node] if from_node else None,
    to_nodes=[to_node] if to_node else None,
    snapshot_settings=settings,
  )


def skipped_nodes(plan: Any) -> set[str]:
  """The ids that TFX marked in its compiled plan as not of the part."""
  return {
    node.pipeline_node.node_info.id
    for node in plan.nodes
    if node.pipeline_node.execution_options.HasField("skip")
  }


def _read_from(pipeline: Any, needed: list[str]) -> set[str]:
  """Those of the nodes before the part that the part reads from."""
  return {
    node
    for component in pipeline.components
    if component.id not in needed
    for channel in component.inputs.values()
    for node in channel.get_data_dependent_node_ids()
    if node in needed
  }


def _before(pipeline: Any, node: str) -> list[str]:
  """What a partial run takes over: everything not downstream of `node`."""
  downstream = {node}
  for component in pipeline.components:  # in topological order
    if any(upstream.id in downstream for upstream in component.upstream_nodes):
      downstream.add(component.id)
  return [c.id for c in pipeline.components if c.id not in downstream]
