"""A bucket and a cluster, by the commands of the page that tells how."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.components.jobs.tfrecords import read_records
from hardmine.schemas.folders import folder
from hardmine.schemas.manifest import read_manifest
from tests.cli.process import hardmine
from tests.components.jobs.clusters import dask_cluster
from tests.s3_server import s3_server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "run_on_dask.md"
NUM_PHOTOGRAPHS = 5


def commands():
  text = PAGE.read_text("utf-8")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


def records(url):
  place, manifest = folder(url), read_manifest(url)
  found = []
  for name in manifest["files"]:
    if name.endswith(".gz"):
      with place.local_copy(name) as path:
        found += read_records(path)
  return sorted(found)


@pytest.mark.slow
def test_the_page_is_true(tmp_path):
  rng = np.random.default_rng(0)
  with s3_server("bucket") as s3, dask_cluster(2, tmp_path / "dask") as cluster:
    names = [f"{number}.jpg" for number in range(NUM_PHOTOGRAPHS)]
    for name in names:
      path = tmp_path / name
      Image.fromarray(rng.integers(0, 256, (96, 128, 3), np.uint8)).save(path)
      s3.upload_file(str(path), "bucket", f"photos/{name}")
    s3.put_object(
      Bucket="bucket", Key="photos/list.txt", Body="\n".join(names).encode()
    )
    outputs = []
    for words in commands():
      words = [word.replace("tcp://HOST:8786", cluster.address) for word in words]
      done = hardmine(tmp_path, words)
      assert done.returncode == 0, done.stderr
      if words[0] == "mine":
        outputs.append(words[words.index("--output") + 1])
    assert outputs == [
      f"s3://bucket/{name}" for name in ("patches", "named", "on_dask")
    ]
    first, *others = map(records, outputs)
    assert len(first) == NUM_PHOTOGRAPHS * 12
    assert all(other == first for other in others)
    manifest = json.loads(folder(outputs[0]).read("manifest.json"))
    assert manifest["counts"]["photographs"] == NUM_PHOTOGRAPHS
