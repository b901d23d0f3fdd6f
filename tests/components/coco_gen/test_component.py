"""CocoGen in a real TFX pipeline: layout, cache and what ML Metadata knows."""

import logging
import os
import shutil
import sys
from pathlib import Path

import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from tfx import v1 as tfx

from hardmine.components.coco_gen.component import CocoGen
from hardmine.components.jobs.tfrecords import read_records
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.coco_example import from_example
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.manifest import read_manifest


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
  """TFX reads absl's flags from the command line: `pytest -v` would be one."""
  monkeypatch.setattr(sys, "argv", sys.argv[:1])
  logging.getLogger("absl").setLevel(logging.WARNING)


class Runs:
  """A root in which a pipeline of one CocoGen is run again and again."""

  def __init__(self, folder, sources):
    self.connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(
      str(folder / "metadata.sqlite")
    )
    self.root = str(folder / "root")
    self.config = ConversionConfig(sources=sources, num_shards=2)

  def run(self):
    """Runs once; returns (CocoGen's newest execution, its artifact)."""
    tfx.orchestration.LocalDagRunner().run(
      tfx.dsl.Pipeline(
        pipeline_name="conversion",
        pipeline_root=self.root,
        metadata_connection_config=self.connection,
        beam_pipeline_args=direct(),
        components=[CocoGen(config=self.config)],
        enable_cache=True,
      )
    )
    store = MetadataStore(self.connection)
    execution = max(
      store.get_executions_by_type("hardmine.components.coco_gen.component.CocoGen"),
      key=lambda execution: execution.id,
    )
    (event,) = store.get_events_by_execution_ids([execution.id])
    (artifact,) = store.get_artifacts_by_id([event.artifact_id])
    return execution, artifact


def files_of(uri, split):
  folder = Path(uri) / f"Split-{split}"
  names = sorted(os.listdir(folder))
  assert names == [f"data_tfrecord-{i:05d}-of-00002.gz" for i in range(2)]
  records = (record for name in names for record in read_records(folder / name))
  return sorted(from_example(record).filename for record in records)


def test_coco_gen_is_cached_until_an_input_file_changes(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
  evals = tmp_path / "eval.txt"
  evals.write_text("c.jpg\n")
  train = tmp_path / "train.txt"
  train.write_text("a.jpg\nb.jpg\nd.jpg\n")
  runs = Runs(
    tmp_path,
    tuple(
      AnnotatedFolder(
        images=str(annotated_set.images),
        annotations=str(annotated_set.json),
        split=only.stem,
        only=str(only),
      )
      for only in (train, evals)
    ),
  )

  first, artifact = runs.run()
  assert artifact.properties["split_names"].string_value == '["eval", "train"]'
  assert artifact.custom_properties["file_format"].string_value == "tfrecords_gzip"
  assert files_of(artifact.uri, "train") == ["a.jpg", "b.jpg", "d.jpg"]
  assert files_of(artifact.uri, "eval") == ["c.jpg"]
  manifest = read_manifest(artifact.uri)
  fingerprint = artifact.custom_properties["input_fingerprint"].string_value
  assert fingerprint == manifest["input"]["fingerprint"]
  recorded = first.custom_properties["conversion"].string_value
  assert ConversionConfig.from_json(recorded) == runs.config

  again, same = runs.run()
  assert again.last_known_state == metadata_store_pb2.Execution.CACHED
  assert same.id == artifact.id

  (annotated_set.images / "b.jpg").unlink()
  shutil.copy(annotated_set.images / "a.jpg", annotated_set.images / "b.jpg")
  changed, other = runs.run()
  assert changed.last_known_state == metadata_store_pb2.Execution.COMPLETE
  assert other.id != artifact.id
