"""PatchGen in a real TFX pipeline: layout, cache and what ML Metadata knows."""

import logging
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from ml_metadata import MetadataStore
from ml_metadata.proto import metadata_store_pb2
from PIL import Image
from tfx import v1 as tfx

from hardmine.components.jobs.tfrecords import read_records
from hardmine.components.patch_gen.component import PatchGen
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.manifest import read_manifest
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import from_example


def save_photograph(folder, number):
  generator = np.random.default_rng(number)
  pixels = generator.integers(0, 256, (64, 64, 3), np.uint8)
  Image.fromarray(pixels).save(folder / f"{number}.png")


class Runs:
  """A root in which a pipeline of one PatchGen is run again and again."""

  def __init__(self, folder):
    self.photographs = folder / "photographs"
    self.photographs.mkdir()
    self.connection = tfx.orchestration.metadata.sqlite_metadata_connection_config(
      str(folder / "metadata.sqlite")
    )
    self.root = str(folder / "root")

  def run(self, *, with_statistics=False, **changes):
    """Runs once; returns (the metadata store, PatchGen's newest execution)."""
    config = MiningConfig(
      images=(f"{self.photographs}/*.png",),
      per_image=3,
      num_shards=2,
      **changes,
    )
    node = PatchGen(config=config)
    statistics = tfx.components.StatisticsGen(examples=node.outputs["examples"])
    tfx.orchestration.LocalDagRunner().run(
      tfx.dsl.Pipeline(
        pipeline_name="mining",
        pipeline_root=self.root,
        metadata_connection_config=self.connection,
        beam_pipeline_args=direct(),
        components=[node, statistics] if with_statistics else [node],
        enable_cache=True,
      )
    )
    store = MetadataStore(self.connection)
    (execution,) = sorted(
      store.get_executions_by_type("hardmine.components.patch_gen.component.PatchGen"),
      key=lambda execution: execution.id,
    )[-1:]
    return store, execution


@pytest.fixture(autouse=True)
def no_arguments(monkeypatch):
  """TFX reads absl's flags from the command line: `pytest -v` would be one."""
  monkeypatch.setattr(sys, "argv", sys.argv[:1])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
  logging.getLogger("absl").setLevel(logging.WARNING)
  runs = Runs(tmp_path_factory.mktemp("tfx"))
  for number in range(4):
    save_photograph(runs.photographs, number)
  return runs


def examples_of(store, execution):
  events = store.get_events_by_execution_ids([execution.id])
  (artifact,) = store.get_artifacts_by_id([event.artifact_id for event in events])
  return artifact


def is_cached(execution):
  return execution.last_known_state == metadata_store_pb2.Execution.CACHED


def sources_of(uri, split):
  folder = os.path.join(uri, f"Split-{split}")
  names = sorted(os.listdir(folder))
  assert names == [f"data_tfrecord-{i:05d}-of-00002.gz" for i in range(2)]
  return {
    from_example(record).source
    for name in names
    for record in read_records(Path(folder) / name)
  }


def test_patch_gen_is_cached_until_its_photographs_or_config_change(runs):
  # Statistics, because an eval split of one photograph and an empty shard must do.
  store, first = runs.run(with_statistics=True)
  artifact = examples_of(store, first)
  assert artifact.properties["split_names"].string_value == '["eval", "train"]'
  train, evals = (sources_of(artifact.uri, split) for split in ("train", "eval"))
  assert len(evals) == 1
  assert train | evals == {f"{number}.png" for number in range(4)}
  assert not train & evals
  manifest = read_manifest(artifact.uri)
  assert manifest["counts"]["patches"] == 12
  assert os.path.exists(os.path.join(artifact.uri, "dead_letters.jsonl"))
  recorded = first.custom_properties["mining"].string_value
  assert MiningConfig.from_json(recorded).per_image == 3
  fingerprint = artifact.custom_properties["input_fingerprint"].string_value
  assert fingerprint == manifest["input"]["fingerprint"]
  assert artifact.custom_properties["file_format"].string_value == "tfrecords_gzip"

  store, again = runs.run()
  assert again.id != first.id
  assert is_cached(again)
  assert examples_of(store, again).id == artifact.id

  save_photograph(runs.photographs, 4)
  store, added = runs.run()
  assert not is_cached(added)
  uri = examples_of(store, added).uri
  both = sources_of(uri, "train") | sources_of(uri, "eval")
  assert both == {f"{number}.png" for number in range(5)}

  store, other = runs.run(eval_share=0.5)
  assert not is_cached(other)


def test_without_eval_share_there_is_one_split(runs):
  store, execution = runs.run(eval_share=0.0)
  artifact = examples_of(store, execution)
  assert artifact.properties["split_names"].string_value == '["train"]'
  assert not os.path.exists(os.path.join(artifact.uri, "Split-eval"))


def test_no_photographs_stop_the_pipeline_with_a_clear_line(runs, tmp_path):
  runs.photographs, before = tmp_path, runs.photographs
  try:
    with pytest.raises(ValueError, match="at least one image"):
      runs.run()
  finally:
    runs.photographs = before
