"""Runs a pipeline in this process, one run at a time in a root.

TFX's LocalDagRunner does the work. Around it: a lock, a log file for the noise,
a line as each node starts and ends, and a report of what ran, what was reused
and why.

    ROOT/metadata.sqlite  artifacts/  checkpoints/  store/  logs/  lock
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import fcntl
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from hardmine.pipelines.run_history import NodeRun, RunHistory

# TFX, Beam and ML Metadata are imported inside the functions: it takes half a
# minute, and whether a root is free should be known before.

BEAM_SLOTS = 8  # Beam arguments that a run may set


class NodeFailed(RuntimeError):
  """A node raised.

  Attributes:
    node: its id.
  """

  def __init__(self, node: str, cause: str):
    super().__init__(f"{node} failed: {cause}")
    self.node = node


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalRun:
  """A completed run: its nodes in order, and where the log lies."""

  run_id: str
  nodes: tuple[NodeRun, ...]
  log_path: str

  def node(self, name: str) -> NodeRun | None:
    """What the run did with a node; None where `--to` stopped before it."""
    return next((run for run in self.nodes if run.node == name), None)


def run_pipeline(
  build: Callable[[Any, list], Any],
  root: str,
  *,
  beam_arguments: list[str],
  from_node: str | None = None,
  to_node: str | None = None,
  say: Callable[[str], None] = print,
  verbose: bool = False,
) -> LocalRun:
  """Builds and runs a pipeline.

  Args:
    build: makes the `tfx.dsl.Pipeline` of a connection to ROOT/metadata.sqlite
      and of Beam arguments; called once the root is ours.
    root: folder of everything the run keeps; made where it does not exist.
    beam_arguments: for the nodes that run Beam jobs, at least one.
    from_node: start here, with the outputs that the newest fitting run left.
    to_node: stop after this node and what it needs.
    say: gets one line as each node starts and ends.
    verbose: let TFX's log through to stderr too.

  Raises:
    ValueError: an unknown node, or no earlier run to start from.
    RuntimeError: another run holds the root, or (`NodeFailed`) a node raised.
  """
  os.makedirs(root, exist_ok=True)
  with (
    _only_run_in(root),
    _log_file(root, verbose) as log_path,
    _sigterm_exits(),
    _beam_environment(beam_arguments),
  ):
    from tfx import v1 as tfx

    connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(
      os.path.join(root, "metadata.sqlite")
    )
    return _run(build(connection, _beam_slots()), from_node, to_node, say, log_path)


def _run(
  pipeline,
  from_node: str | None,
  to_node: str | None,
  say: Callable[[str], None],
  log_path: str,
) -> LocalRun:
  from ml_metadata import MetadataStore
  from tfx.dsl.compiler import compiler
  from tfx.orchestration.local.local_dag_runner import LocalDagRunner

  from hardmine.pipelines.run_history import RunHistory

  order = [component.id for component in pipeline.components]
  for name in (from_node, to_node):
    if name is not None and name not in order:
      raise ValueError(f"Expected a node among {', '.join(order)}. Received: {name!r}")
  plan = compiler.Compiler().compile(pipeline)
  history = RunHistory(
    MetadataStore(pipeline.metadata_connection_config),
    pipeline.pipeline_name,
    reuse=pipeline.enable_cache,
  )
  options = _partial_run(pipeline, history, from_node, to_node)
  watch = _Watch(plan, history, say)
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
  skipped = {
    node.pipeline_node.node_info.id
    for node in plan.nodes
    if node.pipeline_node.execution_options.HasField("skip")
  }
  runs = [
    history.node_run(name, watch.run_id, skipped=name in skipped) for name in order
  ]
  nodes = tuple(run for run in runs if run is not None)
  # The runner goes on past a node whose inputs it cannot find.
  for run in nodes:
    if run.status not in ("ran", "reused"):
      raise NodeFailed(run.node, f"its inputs were not found; log: {log_path}")
  return LocalRun(run_id=watch.run_id, nodes=nodes, log_path=log_path)


class _Watch(logging.Handler):
  """Tells when nodes start and end, by the two lines LocalDagRunner logs of each."""

  def __init__(self, plan, history: RunHistory, say: Callable[[str], None]):
    super().__init__(logging.INFO)
    self._plan, self._history, self._say = plan, history, say
    self.node: str | None = None

  @property
  def run_id(self) -> str:
    return self._plan.runtime_spec.pipeline_run_id.field_value.string_value

  def emit(self, record: logging.LogRecord) -> None:
    if record.msg == "Component %s is running.":
      (self.node,) = record.args  # type: ignore[misc]
      self._say(f"{_clock()}  {self.node} ...")
    elif record.msg == "Component %s is finished.":
      run = self._history.node_run(self.node or "", self.run_id)
      if run is not None:
        self._say(
          f"{_clock()}  {run.node} {run.status} in {run.seconds:.1f} s: {run.why}"
        )

  def __enter__(self):
    logging.getLogger("absl").addHandler(self)
    return self

  def __exit__(self, *exception):
    logging.getLogger("absl").removeHandler(self)


def _partial_run(pipeline, history: RunHistory, from_node, to_node):
  """TFX's options for running a part; None for the whole."""
  from tfx.proto.orchestration import pipeline_pb2

  if from_node is None and to_node is None:
    return None
  options = pipeline_pb2.RunOptions()
  settings = options.partial_run.snapshot_settings
  settings.latest_pipeline_run_strategy.SetInParent()
  if to_node is not None:
    options.partial_run.to_nodes.append(to_node)
  if from_node is not None:
    options.partial_run.from_nodes.append(from_node)
    needed = _before(pipeline, from_node)
    base = history.last_run_with(needed)
    if base is None and needed:
      raise ValueError(
        f"Expected an earlier run of {', '.join(needed)} to start from; "
        f"run without --from first. Received: --from {from_node}"
      )
    if base is not None:
      settings.base_pipeline_run_strategy.base_run_id = base
  return options


def _before(pipeline, node: str) -> list[str]:
  """What a partial run takes over: everything not downstream of `node`."""
  downstream = {node}
  for component in pipeline.components:  # in topological order
    if any(upstream.id in downstream for upstream in component.upstream_nodes):
      downstream.add(component.id)
  return [c.id for c in pipeline.components if c.id not in downstream]


@contextlib.contextmanager
def _only_run_in(root: str) -> Iterator[None]:
  """Holds ROOT/lock, which the system lets go of however the process ends."""
  path = Path(root) / "lock"
  with open(path, "a+", encoding="utf-8") as file:
    try:
      fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
      file.seek(0)
      raise RuntimeError(
        f"another run holds {root} ({file.read().strip() or 'starting'}); "
        "wait for it, stop it, or choose another --root"
      ) from None
    file.truncate(0)
    file.write(f"process {os.getpid()} since {_now():%Y-%m-%d %H:%M:%S}")
    file.flush()
    try:
      yield
    finally:
      file.truncate(0)


@contextlib.contextmanager
def _log_file(root: str, verbose: bool) -> Iterator[str]:
  """Sends what TFX, Beam and their C++ parts say to a file, and yields its path.

  The C++ parts write to file descriptor 2 directly, so that is what is turned
  over. Our own lines and the trainer's progress go to stdout.
  """
  from absl import logging as absl_logging

  path = Path(root) / "logs" / f"run-{_now():%Y%m%d-%H%M%S-%f}.log"
  path.parent.mkdir(parents=True, exist_ok=True)
  log = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed below
  handler = logging.StreamHandler(log)
  handler.setFormatter(
    logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
  )
  root_logger, verbosity = logging.getLogger(), absl_logging.get_verbosity()
  absl_logging.set_verbosity(absl_logging.INFO)
  replaced = root_logger.handlers  # they would write everything a second time
  root_logger.handlers = [handler]
  if verbose:
    root_logger.addHandler(logging.StreamHandler())
  terminal = os.dup(2)
  try:
    if not verbose:
      sys.stderr.flush()
      os.dup2(log.fileno(), 2)
    yield str(path)
  finally:
    sys.stderr.flush()
    os.dup2(terminal, 2)
    os.close(terminal)
    root_logger.handlers = replaced
    log.close()
    absl_logging.set_verbosity(verbosity)


@contextlib.contextmanager
def _sigterm_exits() -> Iterator[None]:
  """Turns SIGTERM into SystemExit, so that locks, logs and children are put away."""

  def leave(number, frame):
    raise SystemExit(128 + number)

  try:
    before = signal.signal(signal.SIGTERM, leave)
  except ValueError:  # not the main thread: signals are somebody else's business
    yield
    return
  try:
    yield
  finally:
    signal.signal(signal.SIGTERM, before)


def _beam_slots() -> list:
  """Beam arguments that are filled in when a node runs.

  TFX's cache looks at the arguments' text. As environment variables they read
  the same for any number of workers, so changing that reuses everything.
  """
  from tfx.dsl.placeholder import placeholder

  return [placeholder.environment_variable(_slot(i)) for i in range(BEAM_SLOTS)]


@contextlib.contextmanager
def _beam_environment(arguments: list[str]) -> Iterator[None]:
  """Fills the slots; spare ones repeat the first argument, which changes nothing."""
  if not 0 < len(arguments) <= BEAM_SLOTS:
    raise ValueError(
      f"Expected 1 to {BEAM_SLOTS} Beam arguments. Received: {arguments}"
    )
  padded = arguments + [arguments[0]] * (BEAM_SLOTS - len(arguments))
  before = {_slot(i): os.environ.get(_slot(i)) for i in range(BEAM_SLOTS)}
  os.environ.update({_slot(i): argument for i, argument in enumerate(padded)})
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


def _cause(error: BaseException) -> str:
  """The innermost error in one line: Beam and TFX wrap what a user needs to read."""
  while error.__cause__ is not None:
    error = error.__cause__
  text = " ".join(str(error).split())
  return f"{text[:600] or 'no message'} ({type(error).__name__})"


def _clock() -> str:
  return f"{_now():%H:%M:%S}"


def _now() -> datetime.datetime:
  return datetime.datetime.now()
