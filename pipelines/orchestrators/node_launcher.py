"""Launches one node of a compiled graph, in this process.

TFX's launcher does the work. Around it: claims that keep two processes from the same
work, what an earlier try left, and what became of the node and why.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import json
import logging
import time
import traceback
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hardmine.components.jobs.failures import reason
from hardmine.pipelines import metadata_store
from hardmine.pipelines.claims import claim
from hardmine.pipelines.orchestrators.bucket_root import HeldBucket
from hardmine.pipelines.runs import NodeRun
from hardmine.pipelines.site import Site
from hardmine.schemas.folders import folder

if TYPE_CHECKING:
  from hardmine.pipelines.run_history import RunHistory

# TFX is imported inside the functions: it takes half a minute.


class NodeFailed(RuntimeError):
  """A node raised.

  Attributes:
    node: its id.
  """

  def __init__(self, node: str, cause: str):
    super().__init__(f"{node} failed: {cause}")
    self.node = node


class NodeRefused(NodeFailed, ValueError):
  """A node raised for what its user can mend: another try ends in the same way."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Launcher:
  """A compiled graph in a root that is held.

  Attributes:
    pipeline: the `tfx.dsl.Pipeline`.
    plan: what TFX compiled of it; its run id is still open.
    site: where and by which means.
    say: gets one line as each node starts and ends.
    log_path: where everything said to stderr ends.
    bucket: what is held of a root in a bucket.
  """

  pipeline: Any
  plan: Any
  site: Site
  say: Callable[[str], None]
  log_path: str
  bucket: HeldBucket | None

  @property
  def history(self) -> RunHistory:
    """Of this pipeline, over a connection of now: a node may take days."""
    from hardmine.pipelines.run_history import RunHistory

    return RunHistory(
      metadata_store.opened(self.site.metadata, self._place),
      self.pipeline.pipeline_name,
      reuse=self.pipeline.enable_cache,
    )

  @property
  def nodes(self) -> list[str]:
    """The ids of all nodes, in an order in which they can run."""
    return [node.pipeline_node.node_info.id for node in self.plan.nodes]

  def needed_by(self, node: str) -> list[str]:
    """The ids of the nodes that have to end before a node."""
    return list(self._spec(node).upstream_nodes)

  def launch(self, node: str, run_id: str) -> tuple[NodeRun, bool]:
    """Runs a node, unless it has ended in this run already.

    Waits for whoever is at this node of this run, or at the same work in another run,
    which then is there to be reused.

    Returns:
      What the run did with it, and whether that was now.

    Raises:
      NodeFailed: it raised, or its inputs are not there.
    """
    name = f"{self.pipeline.pipeline_name}\n{run_id}\n{node}"
    with (
      claim(self.site, name, what=f"{node} of {run_id}", say=self.say),
      claim(self.site, self._work(node), what=f"the same {node}", say=self.say),
    ):
      done = self.history.node_run(node, run_id)
      if done is not None and done.has_ended:
        return done, False
      self.say(f"{clock()}  {node} ...")
      started = time.monotonic()
      plan = self._of_run(run_id)
      is_retry = self._put_away_remains(plan, node, run_id)
      try:
        told = self._launch(plan, node)
      except Exception as error:
        logging.getLogger("absl").error("%s", traceback.format_exc())
        raise self._failure(node, error) from error
      done = self.history.node_run(node, run_id)
      if done is None or not done.has_ended:
        # TFX goes on past a node whose inputs it cannot find.
        cause = told or "its inputs were not found"
        raise NodeFailed(node, f"{cause}; log: {self.log_path}")
      if is_retry:  # its record begins with the first try
        seconds = time.monotonic() - started
        why = "an earlier try of this run did not end"
        done = dataclasses.replace(done, seconds=seconds, why=why)
      self.say(f"{clock()}  {node} {done.status} in {done.seconds:.1f} s: {done.why}")
      if self.bucket is not None:
        self.bucket.node_ended()
      return done, True

  @property
  def _place(self) -> str:
    return self.site.metadata_place or self.site.metadata_path

  def _spec(self, node: str) -> Any:
    return _node_of(self.plan, node)

  def _work(self, node: str) -> str:
    """What a node is to do, whichever run asks for it, by any name of the root."""
    from google.protobuf import json_format

    spec = json.dumps(json_format.MessageToDict(self._spec(node)), sort_keys=True)
    text = spec.replace(json.dumps(self.site.root)[1:-1], "")
    return f"{node}\n{hashlib.sha256(text.encode()).hexdigest()}"

  def _of_run(self, run_id: str) -> Any:
    from tfx.orchestration.portable import runtime_parameter_utils

    plan = type(self.plan)()
    plan.CopyFrom(self.plan)
    runtime_parameter_utils.substitute_runtime_parameter(
      plan, {"pipeline-run-id": run_id}
    )
    return plan

  def _launch(self, plan: Any, node: str) -> str | None:
    """Returns the first complaint that TFX only logs."""
    from tfx.orchestration.local import runner_utils
    from tfx.orchestration.portable import launcher, partial_run_utils

    spec = _node_of(plan, node)
    deployment = runner_utils.extract_local_deployment_config(plan)
    records = _patient_records(self.site.metadata, self._place)
    if spec.execution_options.run.perform_snapshot:
      with records:
        partial_run_utils.snapshot(records, plan)
    with _complaints() as told:
      launcher.Launcher(
        pipeline_node=spec,
        mlmd_connection=records,
        pipeline_info=plan.pipeline_info,
        pipeline_runtime_spec=plan.runtime_spec,
        executor_spec=runner_utils.extract_executor_spec(deployment, node),
        custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, node),
      ).launch()
    return told[0] if told else None

  def _put_away_remains(self, plan: Any, node: str, run_id: str) -> bool:
    """Removes what a try of this run left that did not end: this one writes there.

    Returns:
      Whether there was such a try.
    """
    from tfx.orchestration.portable import outputs_utils

    resolver = outputs_utils.OutputsResolver(
      pipeline_node=_node_of(plan, node),
      pipeline_info=plan.pipeline_info,
      pipeline_runtime_spec=plan.runtime_spec,
    )
    unfinished = self.history.unfinished(node, run_id)
    for execution in unfinished:
      outputs = resolver.generate_output_artifacts(execution)
      for artifacts in outputs.values():
        for artifact in artifacts:
          folder(artifact.uri).remove_tree()
    return bool(unfinished)

  def _failure(self, node: str, error: BaseException) -> NodeFailed:
    cause = _innermost(error)
    line = _one_line(reason(str(cause))) or "no message"
    if metadata_store.is_of_records(line):
      line = metadata_store.complaint(line, self._place)
    kind = NodeRefused if _is_refusal(cause, line) else NodeFailed
    return kind(node, f"{line} ({type(cause).__name__}); log: {self.log_path}")


def clock() -> str:
  """The time of day, as lines begin."""
  return f"{datetime.datetime.now():%H:%M:%S}"


def _node_of(plan: Any, node: str) -> Any:
  specs = [one.pipeline_node for one in plan.nodes]
  return next(spec for spec in specs if spec.node_info.id == node)


def _patient_records(config: Any, place: str) -> Any:
  """TFX's connection, made anew as often as TFX asks, and waited for."""
  from tfx.orchestration import metadata

  class Records(metadata.Metadata):
    def __enter__(self):
      if not self._users:
        self._store = metadata_store.opened(config, place)
      self._users += 1
      return self

  return Records(config)


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
  """What is logged as an error meanwhile, a line each."""
  told: list[str] = []
  handler = logging.Handler(logging.ERROR)
  handler.emit = lambda record: told.append(_one_line(record.getMessage()))
  logger = logging.getLogger("absl")
  logger.addHandler(handler)
  try:
    yield told
  finally:
    logger.removeHandler(handler)


def _is_refusal(error: BaseException, line: str) -> bool:
  """Whether it is we who refuse a value; what libraries raise may pass."""
  if line.startswith("Expected ") and "Received: " in line:
    return True  # also of what Beam handed on as text
  frames = list(traceback.walk_tb(error.__traceback__))
  where = frames[-1][0].f_globals.get("__name__", "") if frames else ""
  return isinstance(error, ValueError) and where.startswith("hardmine.")


def _innermost(error: BaseException) -> BaseException:
  """Beam and TFX wrap what a user needs to read."""
  while error.__cause__ is not None:
    error = error.__cause__
  return error


def _one_line(text: str) -> str:
  return " ".join(text.split())[:600]
