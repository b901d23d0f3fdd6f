"""`run:ID`: the version that a run has pushed, or found pushed."""

from __future__ import annotations

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2 as mlmd

from hardmine.pipelines.cli.main import main
from hardmine.serving.probe.sandbox import Outcome
from hardmine.serving.store import promotion
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import facts, write_model

FIRST = "scheduled__2026-01-01T00:00:00+00:00"  # has colons, as Airflow's ids do
SECOND = "scheduled__2026-01-08T00:00:00+00:00"


def push(store, folder, content, pipeline, run_id):
  """Adds a version as Pusher does."""
  known = facts(content)
  known["lineage"] = {"pipeline": pipeline, "run_id": run_id}
  known["reason"] = Reason(who=f"pipeline {pipeline}", why=f"run {run_id}")
  return store.add(write_model(folder / f"model-{content}", content), **known)


@pytest.fixture
def store(tmp_path, monkeypatch):
  """Version 1 of `codec`, 2 of `other`, whose runs bear the same name."""

  def ask(model_dir):
    return Outcome(
      passed=True, reason="answered", last_line="{}", seconds=1.5, peak_bytes=0
    )

  monkeypatch.setattr(promotion, "ask", ask)
  monkeypatch.delenv("HARDMINE_METADATA", raising=False)
  store = ModelStore(tmp_path / "store")
  assert push(store, tmp_path, "a", "codec", FIRST) == 1
  assert push(store, tmp_path, "b", "other", FIRST) == 2
  return store


@pytest.fixture
def records(store, tmp_path):
  """The records of a run of `codec` that found version 1 pushed."""
  path = tmp_path / "it's records.sqlite"
  config = mlmd.ConnectionConfig()
  config.sqlite.filename_uri = str(path)
  config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
  mlmd_store = MetadataStore(config)
  artifact = mlmd.Artifact(
    type_id=mlmd_store.put_artifact_type(mlmd.ArtifactType(name="PushedModel")),
    uri="artifacts/Pusher/1",
  )
  artifact.custom_properties["pushed"].int_value = 1
  artifact.custom_properties[
    "pushed_destination"
  ].string_value = f"{store.url}/versions/1"
  execution = mlmd.Execution(
    type_id=mlmd_store.put_execution_type(mlmd.ExecutionType(name="Pusher"))
  )
  contexts = [
    mlmd.Context(
      type_id=mlmd_store.put_context_type(mlmd.ContextType(name=kind)), name=name
    )
    for kind, name in (
      ("pipeline", "codec"),
      ("pipeline_run", SECOND),
      ("node", "codec.Pusher"),
    )
  ]
  event = mlmd.Event(type=mlmd.Event.OUTPUT)
  mlmd_store.put_execution(execution, [(artifact, event)], contexts)
  return path


def promoted(store, run_id, *words):
  """The exit status, and what the alias holds then."""
  status = main(
    ["models", "promote", f"run:{run_id}", "--store", store.url, "--to", "live", *words]
  )
  return status, store.aliases().get("live")


@pytest.mark.parametrize(("name", "number"), [("codec", 1), ("other", 2)])
def test_what_a_run_pushed_is_promoted(store, name, number):
  assert promoted(store, FIRST, "--experiment", name) == (0, number)


def test_runs_of_one_name_in_one_store_are_told_apart(store, capsys):
  assert promoted(store, FIRST) == (2, None)
  said = capsys.readouterr().err
  assert "--experiment NAME" in said
  assert "version 1 of codec, version 2 of other" in said


def test_the_newest_push_of_a_run_counts(store, tmp_path):
  assert push(store, tmp_path, "c", "codec", FIRST) == 3
  assert promoted(store, FIRST, "--experiment", "codec") == (0, 3)


def test_a_run_that_found_its_model_pushed_is_in_the_records(store, records, capsys):
  assert promoted(store, SECOND) == (2, None)
  assert "--metadata" in capsys.readouterr().err
  before = records.read_bytes()
  assert promoted(store, SECOND, "--metadata", str(records)) == (0, 1)
  assert records.read_bytes() == before


def test_records_are_those_of_the_environment_too(store, records, monkeypatch):
  monkeypatch.setenv("HARDMINE_METADATA", str(records))
  assert promoted(store, SECOND, "--experiment", "codec") == (0, 1)
  assert promoted(store, SECOND, "--experiment", "other")[0] == 2


@pytest.mark.parametrize(
  ("run_id", "words", "told"),
  [
    ("", (), "an ID behind run:"),
    ("never", (), "Received: run:never"),
    ("never", ("--metadata", "/no/such.sqlite"), "a file of records that is there"),
  ],
  ids=["empty", "unknown", "no_records"],
)
def test_what_means_no_version_is_one_line(store, capsys, run_id, words, told):
  assert promoted(store, run_id, *words) == (2, None)
  said = capsys.readouterr().err
  assert told in said
  assert said.count("\n") == 1
