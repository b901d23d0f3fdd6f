"""A job whose caller is gone is known again, and what it made is published."""

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner
from PIL import Image

from hardmine.components.patch_gen.job import run_job
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.bucket_leftovers import leftovers
from hardmine.schemas.bucket_sets import BucketSet
from hardmine.schemas.manifest import read_manifest
from hardmine.schemas.mining_config import MiningConfig
from tests.s3_server import s3_server


class Remembering(FnApiRunner):
  """Runs a job once; whoever asks again gets the result of the first."""

  def __init__(self):
    super().__init__()
    self.result, self.labels = None, {}

  def add_label(self, options, key, value):
    self.labels[key] = value

  def run_pipeline(self, pipeline, options):
    if self.result is None:
      self.result = super().run_pipeline(pipeline, options)
      self.result.labels = dict(self.labels)
    return self.result


def found(url):
  return leftovers(Bucket.at_url(url), "", None)


class Killed(BaseException):
  """In place of SIGKILL."""


def test_what_an_earlier_call_began_is_published_by_the_next(tmp_path, monkeypatch):
  runner = Remembering()

  def mine():
    config = MiningConfig(images=("s3://photos/*.png",), num_shards=2)
    return run_job(
      config,
      "s3://photos/patches",
      make_pipeline=lambda: beam.Pipeline(runner=runner, options=PipelineOptions([])),
    )

  def killed(self, *error):
    self._done.set()
    raise Killed

  with s3_server("photos") as s3:
    for seed in range(3):
      pixels = np.random.default_rng(seed).integers(0, 256, (64, 96, 3), np.uint8)
      Image.fromarray(pixels).save(tmp_path / "a.png")
      s3.upload_file(str(tmp_path / "a.png"), "photos", f"{seed}.png")
    with monkeypatch.context() as patch:
      patch.setattr(BucketSet, "__exit__", killed)
      with pytest.raises(Killed):
        mine()
    (left,) = found("s3://photos/patches")
    manifest = mine()
    assert read_manifest("s3://photos/patches") == manifest
    assert manifest["counts"]["patches"] == 3 * 6
    first = left.place.rpartition("/")[2]
    assert {name.partition("/")[0] for name in manifest["files"]} == {first}
    assert found("s3://photos/patches") == []


def test_a_folder_that_workers_may_still_fill_is_told_by_its_age(monkeypatch):
  with s3_server("others"):
    for outlived, state in ((False, "left"), (True, "at_work")):
      made = BucketSet("s3://others/patches", kind="x", overwrite=False, plain=False)
      with made:
        if outlived:
          made.outlived()
        made.scratch.write("part", b"")
        with monkeypatch.context() as patch:  # as if it was killed
          patch.setattr("hardmine.schemas.processes.lives", lambda who: False)
          assert [one.state for one in found(made.output)] == [state]
