"""A model store, and what ML Metadata says of pushes into it."""

from __future__ import annotations

from pathlib import Path

from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.components.pushes import CANDIDATE, withdraw_lost
from hardmine.serving.store.store import ModelStore
from tests.serving.store import fake_models


def empty_records() -> MetadataStore:
  """ML Metadata in memory."""
  config = mlmd.ConnectionConfig()
  config.fake_database.SetInParent()
  return MetadataStore(config)


class Pushed:
  """A store with two versions, and what ML Metadata says of their pushes."""

  def __init__(self, folder: Path):
    self.folder = folder
    self.store = ModelStore(folder / "store")
    self.records = empty_records()
    self.model = self._artifact("Model", {})
    for content in "ab":
      number = fake_models.add(self.store, folder, content)
      self.store.move(CANDIDATE, number, reason=fake_models.by("a test"))
      self.push(number, alias=CANDIDATE, model_id=fake_models.model_id(content))

  def push(self, number: int, **facts: str) -> None:
    facts["pushed_destination"] = f"{self.store.url}/versions/{number}"
    artifact = self._artifact("PushedModel", facts, pushed=1)
    kind = self.records.put_execution_type(mlmd.ExecutionType(name="Pusher"))
    (made,) = self.records.put_executions([mlmd.Execution(type_id=kind)])
    self.records.put_events(
      [
        mlmd.Event(execution_id=made, artifact_id=self.model, type=mlmd.Event.INPUT),
        mlmd.Event(execution_id=made, artifact_id=artifact, type=mlmd.Event.OUTPUT),
      ]
    )

  def _artifact(self, name: str, facts: dict[str, str], **numbers: int) -> int:
    kind = self.records.put_artifact_type(mlmd.ArtifactType(name=name))
    artifact = mlmd.Artifact(type_id=kind, uri="u", state=mlmd.Artifact.LIVE)
    for key, value in facts.items():
      artifact.custom_properties[key].string_value = value
    for key, number in numbers.items():
      artifact.custom_properties[key].int_value = number
    (made,) = self.records.put_artifacts([artifact])
    return made

  def withdrawn(self) -> list[int]:
    """The versions whose pushes are found lost."""
    lost = withdraw_lost(self.records, self.store.url)
    return sorted(int(place.rpartition("/")[2]) for place in lost)
