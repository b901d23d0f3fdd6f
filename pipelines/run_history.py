"""What a run did with each node, and why it was or was not reused.

TFX reuses a node when its settings, its inputs and its executor are those of an
earlier success whose outputs are still there. It says so nowhere; ML Metadata
holds what is needed to tell.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.pipelines.relocation import MOVED_FROM
from hardmine.pipelines.runs import NodeRun, Run
from hardmine.pipelines.setting_changes import FINGERPRINTS, setting_changes
from hardmine.schemas.local_copies import is_there

_SUCCESS = (mlmd.Execution.COMPLETE, mlmd.Execution.CACHED)
_INPUT = (mlmd.Event.INPUT, mlmd.Event.DECLARED_INPUT)
_OUTPUT = (mlmd.Event.OUTPUT, mlmd.Event.DECLARED_OUTPUT)
_RESOLVED = (mlmd.Event.INTERNAL_OUTPUT,)  # a Resolver hands on, it makes nothing
_MAX_CHANGES = 3
_LOOK_BACK = 20  # executions of a node that are compared
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$")
_BOOKKEEPING = ("span", "version")  # and all that begins with __


class RunHistory:
  """Every run of one pipeline, as ML Metadata remembers it."""

  def __init__(self, store: MetadataStore, pipeline_name: str, *, reuse: bool = True):
    """`reuse`: whether the run that asks may reuse anything."""
    self._store = store
    self._name = pipeline_name
    self._reuse = reuse

  def run(
    self,
    run_id: str,
    nodes: Iterable[str],
    *,
    skipped: Collection[str] = (),
    log_path: str | None = None,
  ) -> Run:
    """What a run did with these nodes, as far as it came.

    Args:
      run_id: TFX's name of the run.
      nodes: ids in the order of the graph.
      skipped: those that the run was told not to look at (`--from`).
      log_path: of the run's log.
    """
    runs = [self.node_run(node, run_id, skipped=node in skipped) for node in nodes]
    return Run(
      run_id=run_id,
      nodes=tuple(run for run in runs if run is not None),
      log_path=log_path,
    )

  def node_run(
    self, node: str, run_id: str, *, skipped: bool = False
  ) -> NodeRun | None:
    """What a run did with a node; None where it did not come to it.

    Args:
      node: its id.
      run_id: TFX's name of the run.
      skipped: the run was told not to look at it (`--from`), so that it handed
        on earlier outputs whatever their settings.
    """
    executions = self._executions(node)
    own = [e for e in executions if self._run_of(e) == run_id]
    if not own:
      return None
    execution = own[-1]
    outputs, properties = self._outputs(execution)
    earlier = [e for e in executions if e.id < execution.id]
    if skipped:
      status, why = "reused", f"taken over from {self._origin(execution, earlier)}"
    else:
      status, why = self._explain(execution, earlier)
    return NodeRun(
      node=node,
      status=status,
      why=why,
      seconds=max(0, _updated(execution) - execution.create_time_since_epoch) / 1000,
      outputs=outputs,
      properties=properties,
    )

  def last_run_with(self, nodes: Iterable[str]) -> str | None:
    """The newest run in which all these nodes ended well; None if there is none."""
    runs: dict[str, int] | None = None  # to their newest execution
    for node in nodes:
      good = {
        self._run_of(e): e.id
        for e in self._executions(node)
        if e.last_known_state in _SUCCESS
      }
      if runs is not None:
        good = {run: max(i, runs[run]) for run, i in good.items() if run in runs}
      runs = good
    return max(runs, key=lambda run: runs[run]) if runs else None

  def unfinished(self, node: str, run_id: str) -> list[int]:
    """The ids of the executions of a node that a run began and did not end."""
    return [
      execution.id
      for execution in self._executions(node)
      if execution.last_known_state not in _SUCCESS
      and self._run_of(execution) == run_id
    ]

  def lost_outputs(self, run_id: str, nodes: Iterable[str]) -> list[str]:
    """Where outputs of these nodes in a run were that are no longer there."""
    return [
      place
      for node in nodes
      for execution in self._executions(node)
      if self._run_of(execution) == run_id
      for place in self._gone_outputs(execution)
    ]

  def _executions(self, node: str) -> list[mlmd.Execution]:
    """Of a node, in all runs, oldest first."""
    context = self._store.get_context_by_type_and_name("node", f"{self._name}.{node}")
    if context is None:
      return []
    executions = self._store.get_executions_by_context(context.id)
    return sorted(executions, key=lambda execution: execution.id)

  def _run_of(self, execution: mlmd.Execution) -> str:
    for context in self._store.get_contexts_by_execution(execution.id):
      if context.type == "pipeline_run":
        return context.name
    return "unknown"

  def _events(self, execution: mlmd.Execution, kinds) -> dict[str, tuple[int, ...]]:
    """Artifact ids by input or output name."""
    found: dict[str, list[int]] = {}
    for event in self._store.get_events_by_execution_ids([execution.id]):
      if event.type in kinds:
        found.setdefault(event.path.steps[0].key, []).append(event.artifact_id)
    return {name: tuple(sorted(ids)) for name, ids in found.items()}

  def _outputs(self, execution: mlmd.Execution):
    uris, properties = {}, {}
    for name, ids in self._events(execution, _OUTPUT).items():
      for artifact in self._store.get_artifacts_by_id(list(ids)):
        uris.setdefault(name, []).append(artifact.uri)
        properties[name] = {k: _value(v) for k, v in artifact.custom_properties.items()}
    return uris, properties

  def _explain(
    self, execution: mlmd.Execution, earlier: list[mlmd.Execution]
  ) -> tuple[str, str]:
    if execution.last_known_state == mlmd.Execution.RUNNING:
      return "interrupted", "the run ended before it did"
    if execution.last_known_state == mlmd.Execution.FAILED:
      return "failed", "see the log"
    if execution.type == "tfx.dsl.components.common.resolver.Resolver":
      return "ran", self._explain_resolver(execution)
    if execution.last_known_state == mlmd.Execution.CACHED:
      origin = self._origin(execution, earlier)
      return "reused", f"same settings and inputs as in {origin}"
    return "ran", self._explain_ran(execution, earlier)

  def _explain_resolver(self, execution: mlmd.Execution) -> str:
    found = self._events(execution, _RESOLVED).get("model")
    if not found:
      return "found no other blessed model"
    return f"found the blessed model of {_named(self._maker_run(found))}"

  def _origin(self, execution: mlmd.Execution, earlier: list[mlmd.Execution]) -> str:
    """The run that really made what a cached execution hands on."""
    ids = [i for found in self._events(execution, _OUTPUT).values() for i in found]
    if ids:
      return _named(self._maker_run(ids))
    # Without outputs there is nothing to follow: the last real success is as good.
    real = [e for e in earlier if e.last_known_state == mlmd.Execution.COMPLETE]
    equal = [e for e in real if not self._changes(e, execution)]
    return _named(self._run_of((equal or real)[-1])) if real else "an earlier run"

  def _maker_run(self, artifact_ids: Iterable[int]) -> str:
    events = self._store.get_events_by_artifact_ids(list(artifact_ids))
    makers = self._store.get_executions_by_id(
      sorted({event.execution_id for event in events if event.type in _OUTPUT})
    )
    complete = [e for e in makers if e.last_known_state == mlmd.Execution.COMPLETE]
    return self._run_of(complete[0]) if complete else "unknown"

  def _explain_ran(
    self, execution: mlmd.Execution, earlier: list[mlmd.Execution]
  ) -> str:
    if not earlier:
      return "it never ran before"
    if not self._reuse:
      return "reuse was switched off"
    earlier = [e for e in earlier if not self._is_taken_over(e)]
    for other in reversed(earlier):
      if self._changes(other, execution):
        continue
      run = _named(self._run_of(other))
      if other.last_known_state == mlmd.Execution.FAILED:
        return f"it failed in {run}"
      if other.last_known_state not in _SUCCESS:
        # Killed, or failed before its executor, of which TFX makes no note.
        return f"{run} did not get through it"
      gone = self._gone_outputs(other)
      if gone:
        return f"its earlier output is gone: {gone[0]}"
      moved = self._moved_inputs(execution)
      if moved:
        return f"the root was moved from {moved[0]}"
      return "its executor changed"
    if not earlier:
      return "only handed on before, so its settings then are not known"
    good = [e for e in earlier if e.last_known_state in _SUCCESS] or earlier
    # The nearest of the last ones; of equally near ones the newest.
    changes = min(
      (self._changes(e, execution) for e in good[: -_LOOK_BACK - 1 : -1]), key=len
    )
    more = f" and {len(changes) - _MAX_CHANGES} more" * (len(changes) > _MAX_CHANGES)
    return "; ".join(changes[:_MAX_CHANGES]) + more

  def _gone_outputs(self, execution: mlmd.Execution) -> list[str]:
    """Where outputs were that are no longer there."""
    gone = []
    for artifact in self._artifacts(execution, _OUTPUT):
      if artifact.state == mlmd.Artifact.DELETED:
        destination = artifact.custom_properties["pushed_destination"].string_value
        gone.append(destination or artifact.uri)
      elif not is_there(artifact.uri):
        gone.append(artifact.uri)
    return gone

  def _moved_inputs(self, execution: mlmd.Execution) -> list[str]:
    """The roots that inputs came from when the root was moved."""
    inputs = self._artifacts(execution, _INPUT)
    return [
      artifact.custom_properties[MOVED_FROM].string_value
      for artifact in inputs
      if MOVED_FROM in artifact.custom_properties
    ]

  def _artifacts(self, execution: mlmd.Execution, kinds) -> list[mlmd.Artifact]:
    ids = [i for found in self._events(execution, kinds).values() for i in found]
    return self._store.get_artifacts_by_id(ids)

  def _is_taken_over(self, execution: mlmd.Execution) -> bool:
    """Whether a partial run only handed it on.

    TFX notes neither settings nor inputs then, so there is nothing to compare.
    """
    return (
      execution.last_known_state == mlmd.Execution.CACHED
      and not any(not name.startswith("__") for name in execution.custom_properties)
      and not self._events(execution, _INPUT)
    )

  def _settings(self, execution: mlmd.Execution) -> dict[str, Any]:
    """What the experiment set, and the fingerprint that an ExampleGen's driver added.

    A reused execution has the latter on its outputs only.
    """
    _, of_outputs = self._outputs(execution)
    known = {
      name: properties[name]
      for properties in of_outputs.values()
      for name in FINGERPRINTS
      if name in properties
    }
    known |= {k: _value(v) for k, v in execution.custom_properties.items()}
    return {
      name: value
      for name, value in known.items()
      if not name.startswith("__") and name not in _BOOKKEEPING
    }

  def _changes(self, old: mlmd.Execution, new: mlmd.Execution) -> list[str]:
    """What differs between two executions, one phrase each; settings come first."""
    settings = setting_changes(self._settings(old), self._settings(new))
    old_inputs, new_inputs = self._events(old, _INPUT), self._events(new, _INPUT)
    this_run, inputs = self._run_of(new), []
    for name in sorted(set(old_inputs) | set(new_inputs)):
      before, now = old_inputs.get(name), new_inputs.get(name)
      if before == now:
        continue
      if now is None:
        inputs.append(f"input {name} is no longer there")
        continue
      run = self._maker_run(now)
      origin = "" if run == this_run else f", from {_named(run)}"
      inputs.append(f"input {name} {'changed' if before else 'is new'}{origin}")
    return settings + inputs


def _value(value: mlmd.Value) -> Any:
  kind = value.WhichOneof("value")
  return getattr(value, kind) if kind else None


def _named(run_id: str) -> str:
  """A run as people read it: one that is named by its time, to the second."""
  if _TIME.match(run_id):
    run_id = run_id[:19].replace("T", " ")
  return f"run {run_id}"


def _updated(execution: mlmd.Execution) -> int:
  return execution.last_update_time_since_epoch
