"""What ML Metadata remembers of pushes, and whether the models are still there.

TFX reuses a node whose artifacts are there; what Pusher makes lies in a model store,
which may have been removed, cleaned or filled by others since.
"""

from __future__ import annotations

import dataclasses

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.serving.store.catalogue import Catalogue

CANDIDATE = "candidate"  # the alias that Pusher moves unless told otherwise
PUSHED_MODEL = "PushedModel"  # TFX's name of the artifact


@dataclasses.dataclass(frozen=True, kw_only=True)
class Push:
  """One push.

  Attributes:
    artifact: its record.
    store: the model store's URL.
    version: the number there.
    alias: that it moved; "" where an earlier version of ours did not note it.
    model_id: likewise.
  """

  artifact: mlmd.Artifact
  store: str
  version: int
  alias: str
  model_id: str

  @classmethod
  def of(cls, artifact: mlmd.Artifact) -> Push | None:
    """What a record says; None where nothing was pushed."""
    # A dict, for ML Metadata's own map makes what it is asked for.
    facts = dict(artifact.custom_properties.items())
    if artifact.type != PUSHED_MODEL or facts["pushed"].int_value != 1:
      return None
    store, _, number = facts["pushed_destination"].string_value.rsplit("/", 2)
    return cls(
      artifact=artifact,
      store=store,
      version=int(number),
      alias=facts["alias"].string_value if "alias" in facts else "",
      model_id=facts["model_id"].string_value if "model_id" in facts else "",
    )

  @property
  def destination(self) -> str:
    """Where the model went."""
    return f"{self.store}/versions/{self.version}"

  def is_there(self, catalogue: Catalogue) -> bool:
    """Whether the store has the version, and it is of this model."""
    if self.version not in catalogue.versions():
      return False
    try:
      found = catalogue.version(self.version).model_id
    except RuntimeError:  # its manifest is damaged
      return False
    return self.model_id in ("", found)


def pushes_of(store: MetadataStore, model_id: int) -> list[Push]:
  """The pushes of a model artifact, newest first."""
  users = {event.execution_id for event in store.get_events_by_artifact_ids([model_id])}
  made = {
    event.artifact_id
    for event in store.get_events_by_execution_ids(sorted(users))
    if event.type == mlmd.Event.OUTPUT
  }
  found = map(Push.of, store.get_artifacts_by_id(sorted(made)))
  return sorted(filter(None, found), key=lambda push: -push.artifact.id)


def pushes_in_run(store: MetadataStore, run_id: str) -> list[tuple[str, Push]]:
  """What the Pushers of a run made or, where they were reused, handed on.

  Args:
    store: ML Metadata.
    run_id: TFX's name of the run; pipelines that share records may have the same.

  Returns:
    Names of pipelines and their pushes, oldest first.
  """
  run = store.get_context_by_type_and_name("pipeline_run", run_id)
  if run is None:
    return []
  found = []
  for execution in store.get_executions_by_context(run.id):
    nodes = [
      context.name.removesuffix(".Pusher")
      for context in store.get_contexts_by_execution(execution.id)
      if context.type == "node" and context.name.endswith(".Pusher")
    ]
    events = store.get_events_by_execution_ids([execution.id]) if nodes else []
    outputs = [e.artifact_id for e in events if e.type == mlmd.Event.OUTPUT]
    for push in map(Push.of, store.get_artifacts_by_id(outputs)):
      found += [(node, push) for node in nodes if push is not None]
  return sorted(found, key=lambda one: one[1].artifact.id)


def withdraw_lost(store: MetadataStore, store_url: str) -> list[str]:
  """Marks pushes whose version or alias is gone as deleted, so that none is reused.

  An alias that means another version by now was moved by somebody, and stays.

  Args:
    store: ML Metadata.
    store_url: the model store; pushes into others are not looked at.

  Returns:
    Where the models were that are gone.

  Raises:
    RuntimeError: the model store cannot be read.
  """
  catalogue = Catalogue(store_url)
  pushes = [push for push in _live(store) if push.store == catalogue.url]
  if not pushes:
    return []
  aliases = catalogue.all_aliases()
  known = {"", *aliases.pointers, *aliases.faults}
  lost = [p for p in pushes if p.alias not in known or not p.is_there(catalogue)]
  for push in lost:
    push.artifact.state = mlmd.Artifact.DELETED
  if lost:
    store.put_artifacts([push.artifact for push in lost])
  return [push.destination for push in lost]


def _live(store: MetadataStore) -> list[Push]:
  """All pushes that TFX would reuse."""
  # Asked for by name, ML Metadata raises where no run has come to Pusher yet.
  if PUSHED_MODEL not in [kind.name for kind in store.get_artifact_types()]:
    return []
  found = store.get_artifacts_by_type(PUSHED_MODEL)
  live = [one for one in found if one.state == mlmd.Artifact.LIVE]
  return list(filter(None, map(Push.of, live)))
