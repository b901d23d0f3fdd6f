"""What ML Metadata says of outputs: which runs used them, and what still needs them."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from typing import Any

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.components.pushes import PUSHED_MODEL, Push
from hardmine.serving.store.catalogue import Catalogue

_ENDED = (
  mlmd.Execution.COMPLETE,
  mlmd.Execution.CACHED,
  mlmd.Execution.FAILED,
  mlmd.Execution.CANCELED,
)
_BY_TIME = re.compile(
  r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$"
)  # a run in one process
_NAME = re.compile(r"artifacts/[^/]+/[^/]+/\d+(?=/|$)")
_RIVAL = "the next model may have to beat this blessed one"
_TOLD = {"blessed", "current_model_id"}  # of a blessing, as TFX's Resolver reads it
_GOES_ON_SECONDS = 86_400.0
_NUM_RIVALS = 2  # the next run's may be the one before the last, of another candidate


class Records:
  """Every run of every pipeline that shares the records.

  Attributes:
    executions: by id.
    unfinished: the ids of those that did not end.
    needed: the names of outputs that must stay, and why.
  """

  def __init__(self, store: MetadataStore):
    self._store = store
    self.executions = {one.id: one for one in store.get_executions()}
    self.unfinished = {
      i for i, one in self.executions.items() if one.last_known_state not in _ENDED
    }
    self._artifacts = {one.id: one for one in store.get_artifacts()}
    self._events: dict[int, list[Any]] = {}
    ids = sorted(self.executions)
    for event in store.get_events_by_execution_ids(ids) if ids else ():
      self._events.setdefault(event.execution_id, []).append(event)
    self._ranks = self._ranked()
    self._rank_of: dict[str, int] = {}
    for execution, rank in self._ranks.items():
      for name in self._names(execution):
        self._rank_of[name] = min(rank, self._rank_of.get(name, rank))
    self.needed: dict[str, str] = {}
    self._need_rivals()
    self._need_pushed()
    self._need_runs_that_go_on()

  def rank(self, execution: int, name: str) -> int | None:
    """Of the newest run that made or used an output, 1 for the newest."""
    ranks = [self._rank_of.get(name), self._ranks.get(execution)]
    return min((rank for rank in ranks if rank is not None), default=None)

  def mark_deleted(self, names: Collection[str]) -> None:
    """Has TFX neither reuse nor resolve some outputs."""
    gone = [one for one in self._artifacts.values() if name_of(one.uri) in names]
    for one in gone:
      one.state = mlmd.Artifact.DELETED
    if gone:
      self._store.put_artifacts(gone)

  def _names(self, execution: int) -> list[str]:
    return [
      name_of(self._artifacts[event.artifact_id].uri)
      for event in self._events.get(execution, ())
      if event.artifact_id in self._artifacts
    ]

  def _ranked(self) -> dict[int, int]:
    """The rank of the run of each execution, among those of its pipeline."""
    ranks: dict[int, int] = {}
    self._runs = {
      one.name: {e.id for e in self._store.get_executions_by_context(one.id)}
      for one in self._store.get_contexts_by_type("pipeline_run")
    }
    for pipeline in self._store.get_contexts_by_type("pipeline"):
      own = {one.id for one in self._store.get_executions_by_context(pipeline.id)}
      runs = [found & own for found in self._runs.values() if found & own]
      for rank, run in enumerate(sorted(runs, key=max, reverse=True), 1):
        ranks.update(dict.fromkeys(run, rank))
    return ranks

  def _need_rivals(self) -> None:
    blessed: dict[int, list[Any]] = {}  # by pipeline
    for pipeline in self._store.get_contexts_by_type("pipeline"):
      for one in self._store.get_artifacts_by_context(pipeline.id):
        facts = dict(one.custom_properties.items())
        if one.type != "ModelBlessing" or not set(facts) >= _TOLD:
          continue
        if facts["blessed"].int_value == 1:
          blessed.setdefault(pipeline.id, []).append(one)
    for found in blessed.values():
      found.sort(key=lambda one: -one.id)
      models: dict[int, None] = {}
      for one in found:
        model = one.custom_properties["current_model_id"].int_value
        if model in models or len(models) < _NUM_RIVALS:
          models[model] = None
          self.needed[name_of(one.uri)] = _RIVAL
          if model in self._artifacts:
            self.needed[name_of(self._artifacts[model].uri)] = _RIVAL

  def _need_pushed(self) -> None:
    """What the versions of a model store came from; all, where a store is not read."""
    makers = {
      event.artifact_id: execution
      for execution, events in self._events.items()
      for event in events
      if event.type == mlmd.Event.OUTPUT
    }
    for one in self._artifacts.values():
      push = Push.of(one) if one.type == PUSHED_MODEL and _says_pushed(one) else None
      if push is None or one.id not in makers:
        continue
      try:
        is_there = push.is_there(Catalogue(push.store))
      except (OSError, ValueError, RuntimeError):
        is_there = True
      if is_there:
        why = f"version {push.version} of {push.store} came from it"
        self.needed.update(dict.fromkeys(self._names(makers[one.id]), why))

  def _need_runs_that_go_on(self) -> None:
    """A scheduler's run is nobody's process between two of its nodes."""
    for name, executions in self._runs.items():
      times = [
        self.executions[i].last_update_time_since_epoch / 1000
        for i in executions
        if i in self.executions
      ]
      is_late = not times or time.time() - max(times) > _GOES_ON_SECONDS
      if not _BY_TIME.match(name) and not is_late:
        why = f"run {name}, which a scheduler began, may go on"
        for execution in executions:
          self.needed.update(dict.fromkeys(self._names(execution), why))


def name_of(uri: str) -> str:
  """Of an output below its root, which may have been moved by now."""
  found = _NAME.findall(uri)
  return found[-1] if found else uri


def _says_pushed(one: mlmd.Artifact) -> bool:
  facts = dict(one.custom_properties.items())
  return "pushed" in facts and "pushed_destination" in facts
