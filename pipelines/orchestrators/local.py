"""Runs a pipeline in this process, one run at a time in a root.

TFX's LocalDagRunner does the work. Around it: a root that is held, a line as each
node starts and ends, and a report of what ran, what was reused and why.
"""

from __future__ import annotations

import dataclasses
import datetime
import logging
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hardmine.components.jobs.failures import reason
from hardmine.pipelines import beam_environment
from hardmine.pipelines.metadata_file import check_metadata
from hardmine.pipelines.orchestrators.bucket_root import HeldBucket, held_bucket
from hardmine.pipelines.orchestrators.held_root import held_root
from hardmine.pipelines.orchestrators.partial_run import partial_run, skipped_nodes
from hardmine.pipelines.runs import Run
from hardmine.pipelines.site import Site
from hardmine.schemas.uris import is_url

if TYPE_CHECKING:
  from hardmine.pipelines.run_history import RunHistory

# By which Beam's workers, too, know buckets.
_BUCKETS_IN_BEAM = "--beam_plugin=hardmine.components.beam_buckets"

# TFX, Beam and ML Metadata are imported inside the functions: it takes half a
# minute, and whether a root is free should be known before.


class NodeFailed(RuntimeError):
  """A node raised.

  Attributes:
    node: its id.
  """

  def __init__(self, node: str, cause: str):
    super().__init__(f"{node} failed: {cause}")
    self.node = node


def run_pipeline(
  build: Callable[[Site], Any],
  site: Site,
  *,
  from_node: str | None = None,
  to_node: str | None = None,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> Run:
  """Builds and runs a pipeline.

  Args:
    build: makes the `tfx.dsl.Pipeline` of the site it is given: this one with
      slots for its Beam arguments and, where it names no other, a connection to
      ROOT/metadata.sqlite; called once the root is ours.
    site: whose root is made where it does not exist. It names at least one Beam
      argument.
    from_node: start here, with the outputs that the newest fitting run left.
    to_node: stop after this node and what it needs.
    say: gets one line as each node starts and ends.
    verbose: let TFX's log through to stderr too.

  Raises:
    ValueError: an unknown node, no earlier run to start from, or no such bucket.
    RuntimeError: another run holds the root, its records are damaged or gone, or
      (`NodeFailed`) a node raised.
  """
  with (
    held_root(site, verbose=verbose) as log_path,
    held_bucket(site) as bucket,
    beam_environment.filled(_beam_arguments(site)),
  ):
    if bucket is not None:
      say(f"{_clock()}  records and logs are kept in {site.local_dir}")
    if site.metadata is None:
      check_metadata(site)
    say(f"{_clock()}  starting TFX, which takes 15 to 40 seconds ...")
    from tfx import v1 as tfx

    if bucket is not None:
      from hardmine.components import bucket_files

      bucket_files.register()
    metadata = site.metadata
    if metadata is None:
      connect = tfx.orchestration.metadata.sqlite_metadata_connection_config
      metadata = connect(site.metadata_path)
    whole_site = dataclasses.replace(
      site,
      metadata=metadata,
      beam_arguments=beam_environment.slots(),
      library_beam_arguments=beam_environment.library_slots(),
    )
    pipeline = build(whole_site)
    _true_records(site, metadata, to_node, say)
    return _run(pipeline, from_node, to_node, say, log_path, bucket)


def _beam_arguments(site: Site) -> list[Any]:
  added = [_BUCKETS_IN_BEAM] if is_url(site.root) else []
  return [*site.beam_arguments, *added]


def _true_records(
  site: Site, metadata: Any, to_node: str | None, say: Callable[[str], None]
) -> None:
  """Makes ML Metadata say what is true by now of the root and of the model store."""
  from ml_metadata import MetadataStore

  from hardmine.components.pushes import withdraw_lost
  from hardmine.pipelines.relocation import adopt

  store = MetadataStore(metadata)
  if site.metadata is None:
    for root in sorted(adopt(store, site)):
      say(f"{_clock()}  what earlier runs left in {root} is used from {site.root}")
  if to_node in (None, "Pusher"):
    for place in withdraw_lost(store, site.store_url):
      say(f"{_clock()}  {place}, which an earlier run pushed, is no longer there")


def _run(
  pipeline,
  from_node: str | None,
  to_node: str | None,
  say: Callable[[str], None],
  log_path: str,
  bucket: HeldBucket | None,
) -> Run:
  from tfx.dsl.compiler import compiler
  from tfx.orchestration.local.local_dag_runner import LocalDagRunner

  from hardmine.pipelines.run_history import RunHistory

  history = RunHistory.of(pipeline)
  options = partial_run(pipeline, history, from_node, to_node)
  plan = compiler.Compiler().compile(pipeline)
  watch = _Watch(plan, history, say, bucket)
  try:
    with watch:
      LocalDagRunner().run_with_ir(plan, run_options=options)
  except Exception as error:
    logging.getLogger("absl").error("%s", traceback.format_exc())
    raise NodeFailed(
      watch.node or "the run", f"{_cause(error)}; log: {log_path}"
    ) from error
  except (KeyboardInterrupt, SystemExit):
    say(
      f"interrupted in {watch.node}; the same command goes on, a training from its "
      "last checkpoint"
    )
    raise
  run = history.run(
    watch.run_id,
    [component.id for component in pipeline.components],
    skipped=skipped_nodes(plan),
    log_path=log_path,
  )
  # The runner goes on past a node whose inputs it cannot find.
  for node in run.nodes:
    if node.status not in ("ran", "reused"):
      told = watch.complaints.get(node.node, "its inputs were not found")
      raise NodeFailed(node.node, f"{told}; log: {log_path}")
  return run


class _Watch(logging.Handler):
  """Tells when nodes start and end, by the two lines LocalDagRunner logs of each."""

  def __init__(
    self,
    plan,
    history: RunHistory,
    say: Callable[[str], None],
    bucket: HeldBucket | None,
  ):
    super().__init__(logging.INFO)
    self._plan, self._history, self._say = plan, history, say
    self._bucket = bucket
    self.node: str | None = None
    self.complaints: dict[str, str] = {}  # by node, the first that TFX only logs

  @property
  def run_id(self) -> str:
    return self._plan.runtime_spec.pipeline_run_id.field_value.string_value

  def emit(self, record: logging.LogRecord) -> None:
    if record.levelno >= logging.ERROR and self.node:
      self.complaints.setdefault(self.node, _one_line(record.getMessage()))
    if record.msg == "Component %s is running.":
      (self.node,) = record.args  # type: ignore[misc]
      self._say(f"{_clock()}  {self.node} ...")
    elif record.msg == "Component %s is finished.":
      run = self._history.node_run(self.node or "", self.run_id)
      if run is not None:
        self._say(
          f"{_clock()}  {run.node} {run.status} in {run.seconds:.1f} s: {run.why}"
        )
      if self._bucket is not None:
        self._bucket.node_ended()

  def __enter__(self):
    logging.getLogger("absl").addHandler(self)
    return self

  def __exit__(self, *exception):
    logging.getLogger("absl").removeHandler(self)


def _cause(error: BaseException) -> str:
  """The innermost error in one line: Beam and TFX wrap what a user needs to read."""
  while error.__cause__ is not None:
    error = error.__cause__
  text = _one_line(reason(str(error)))
  return f"{text or 'no message'} ({type(error).__name__})"


def _one_line(text: str) -> str:
  return " ".join(text.split())[:600]


def _clock() -> str:
  return f"{datetime.datetime.now():%H:%M:%S}"
