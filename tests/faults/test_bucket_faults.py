"""A job into a bucket while stores and networks fail: the same set, or one line."""

from __future__ import annotations

import os
import re
import time
import uuid

import pytest
from PIL import Image
from s3fs import S3FileSystem

from hardmine.components.jobs.failures import JobFailed
from hardmine.pipelines.cli.main import main
from hardmine.schemas import bucket
from hardmine.schemas.folders import folder
from hardmine.schemas.manifest import read_manifest
from tests.components.patch_gen.mining import config, mine, photograph
from tests.faults.faulty_proxy import (
  PASSING,
  SLOW_SECONDS,
  faulty_proxy,
  now_and_then,
)
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow

NUM_TRIES = len(bucket.DELAYS_SECONDS) + 1


@pytest.fixture(scope="module")
def proxy():
  with (
    s3_server("bucket"),
    faulty_proxy(os.environ["AWS_ENDPOINT_URL"]) as proxy,
    pytest.MonkeyPatch.context() as patch,
  ):
    patch.setattr(S3FileSystem, "read_timeout", SLOW_SECONDS / 3)
    patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.server_port}")
    S3FileSystem.clear_instance_cache()
    yield proxy


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  place = tmp_path_factory.mktemp("photographs")
  for seed in range(3):
    Image.fromarray(photograph(seed)).save(place / f"{seed}.png")
  return place


@pytest.fixture
def output(proxy, monkeypatch):
  monkeypatch.setattr(bucket, "DELAYS_SECONDS", (0.01,) * (NUM_TRIES - 1))
  proxy.fault = lambda *facts: None
  yield f"s3://bucket/{uuid.uuid4().hex}/out"
  proxy.fault = lambda *facts: None


def digests(output):
  """Of every file of a set, without the folder that it lies in."""
  files = read_manifest(output)["files"]
  return {name.rpartition("/")[2]: said["sha256"] for name, said in files.items()}


def test_faults_that_pass_change_nothing(proxy, photographs, output, tmp_path):
  mine(config(photographs), tmp_path / "disk")
  source = folder(output.rpartition("/")[0]).below("in")
  for path in photographs.iterdir():
    source.write(path.name, path.read_bytes())
  proxy.seen.clear()
  proxy.fault = now_and_then(seed=0, share=0.15)
  for _ in range(2):  # the second replaces the first
    mine(config(source.url), output, overwrite=True)
  proxy.fault = lambda *facts: None
  assert set(PASSING) <= set(proxy.seen)
  assert digests(output) == digests(tmp_path / "disk")
  named = set(read_manifest(output)["files"])
  assert folder(output).tree() == {"manifest.json", *named}


@pytest.mark.parametrize(
  ("fault", "told", "tries"),
  [
    # In what words depends on s3fs: newer ones ask by HEAD, whose answer has none.
    ("slow down", f"did not answer {NUM_TRIES} times: OSError.*", NUM_TRIES),
    ("reset", f"did not answer {NUM_TRIES} times", NUM_TRIES),
    ("forbidden", r"the storage refuses: \w+.*; are the credentials", 1),
    ("signature", r"the storage refuses: \w+.*; are the credentials", 1),
  ],
)
def test_what_never_passes_is_one_line(
  proxy, photographs, output, capsys, fault, told, tries
):
  proxy.seen.clear()
  proxy.fault = lambda *facts: fault
  words = ["mine", "--images", str(photographs), "--output", output]
  start = time.monotonic()
  assert main([*words, "--json"]) == 1
  assert time.monotonic() - start < 30
  err = capsys.readouterr().err
  assert err.count("\n") == 1
  assert re.search(told, err), err
  assert tries <= proxy.seen[fault] <= 2 * tries  # aiohttp asks twice on a used socket
  proxy.fault = lambda *facts: None
  assert folder(output).tree() == set()


def test_no_such_bucket_is_one_line(proxy, photographs, capsys):
  words = ["mine", "--images", str(photographs), "--output", "s3://no-such-bucket/out"]
  assert main([*words, "--json"]) == 1
  err = capsys.readouterr().err
  assert err.count("\n") == 1
  assert "bucket does not exist" in err


def test_a_store_that_goes_away_while_a_job_works(proxy, photographs, output):
  old = mine(config(photographs, per_image=2), output)
  shards = [0]

  def fault(method, path):
    shards[0] += "tfrecord" in path
    return "slow down" if shards[0] else None

  proxy.fault = fault
  with pytest.raises((JobFailed, RuntimeError), match=r"did not answer|told so"):
    mine(config(photographs), output, overwrite=True)
  proxy.fault = lambda *facts: None
  assert read_manifest(output) == old
  mine(config(photographs), output, overwrite=True)  # collects what could not be
  named = set(read_manifest(output)["files"])
  assert read_manifest(output)["counts"]["patches"] > old["counts"]["patches"]
  left = folder(output).tree() - {"manifest.json", *named}
  assert all(name.startswith("made-") for name in left)  # of this process, which lives
