"""`encode` and `detect` from bucket to bucket: on any runner what a disk gives.

The models are exported by another process, so that neither this one nor a worker has
a reason to import TensorFlow.
"""

import json
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.folders import folder
from hardmine.schemas.manifest import read_manifest
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.images import decode_rgb
from tests.components.inference.tiny_models import (
  CODEC,
  DETECTOR,
  export_apart,
  photograph,
)
from tests.components.jobs.clusters import can_hide, dask_cluster, job_service
from tests.gcs_server import gcs_server
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow

PAGE = Path(__file__).resolve().parents[2] / "docs" / "detect_in_a_bucket.md"
OFTEN = ["--num-shards", "2", "--max-dead-share", "0.5", "--json"]
ASKED = {"encode": ["--iterations", "2"], "detect": []}
MODELS = {"encode": CODEC, "detect": DETECTOR}
NUM_PHOTOGRAPHS = 8  # that are right
NOT_OF_A_WORKER = ("tensorflow", "keras", "tfx")


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
  """The caller's folder, in which it stands, with its models and temporary files."""
  here = tmp_path_factory.mktemp("caller")
  (here / "tmp").mkdir()
  export_apart(here)
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(here)
    patch.setenv("HOME", str(here))
    patch.setenv("TMPDIR", str(here / "tmp"))
    patch.delenv("HARDMINE_RUNTIME", raising=False)
    patch.setattr(tempfile, "tempdir", None)
    yield here


@pytest.fixture(scope="module")
def photos(caller):
  """Photographs whose names meet and hold anything, and one that is damaged."""
  place = caller / "photos"
  (place / "b [1] #2").mkdir(parents=True)
  names = ["a.jpg", "a.png", *(f"b [1] #2/{n} ä+%.png" for n in range(6))]
  for number, name in enumerate(names):
    photograph(number).save(place / name)
  whole = (place / "a.png").read_bytes()
  (place / "broken.png").write_bytes(whole[: len(whole) // 2])
  return place


@pytest.fixture(scope="module")
def stores(photos):
  """Both stores, with the photographs in the bucket `data`, and a bucket `made`."""
  with s3_server("data", "made") as s3, gcs_server("data", "made") as google:
    for store in ("s3", "gs"):
      place = folder(f"{store}://data/photos")
      for name in folder(photos).tree():
        place.write(name, (photos / name).read_bytes())
    yield {"s3": s3, "gs": google}


@pytest.fixture(scope="module")
def cluster(stores, caller, tmp_path_factory):
  """Two workers of two threads, for which the caller's folder is empty."""
  hidden = [caller] if can_hide(caller) else []
  cwd = tmp_path_factory.mktemp("a") / "dask"
  with dask_cluster(2, cwd, threads=2, hidden=hidden) as started:
    yield started


@pytest.fixture
def command(capfd, caller):
  """Runs a command over photographs. Returns what it made."""

  def command(name, images, output, *more):
    words = [name, "--images", str(images), "--output", str(output), *ASKED[name]]
    words += ["--model", str(caller / MODELS[name]), *OFTEN, *more]
    status = main(words)
    said = capfd.readouterr()
    assert (said.err, status) == ("", 0)
    assert list((caller / "tmp").glob("hardmine-*")) == []
    return outcome_of(json.loads(said.out), str(images), str(output))

  return command


def outcome_of(summary, images, output):
  """(counts, content by name) without what the place gives them."""
  manifest = read_manifest(output)  # compares every file with its SHA-256
  place = folder(output)
  assert place.tree() == {"manifest.json", *manifest["files"]}
  files = {
    re.sub(r"^made-[^/]+/", "", name): place.read(name) for name in manifest["files"]
  }
  letters = files.pop("dead_letters.jsonl").decode().replace(images, "ROOT")
  assert manifest["counts"].items() <= summary.items()
  return manifest["counts"], letters, manifest["model"], files


@pytest.fixture(scope="module")
def on_disk(photos, caller):
  """What each command gives on a disk in this process, made once."""
  made = {}

  def on_disk(name, command):
    if name not in made:
      made[name] = command(name, photos, caller / f"{name}-on-disk")
    return made[name]

  return on_disk


def test_on_a_disk_it_is_what_the_model_gives(command, on_disk, photos, caller):
  counts, letters, model, files = on_disk("encode", command)
  assert (counts["used"], counts["dead"]) == (NUM_PHOTOGRAPHS, 1)
  assert json.loads(letters)["reason"] == "truncated"
  codec = Codec.load(caller / CODEC, "onnxruntime")
  assert model["model_id"] == codec.model_id.hex()
  streams = {name: data for name, data in files.items() if name.endswith(".hmc")}
  assert len(streams) == NUM_PHOTOGRAPHS
  for name in ("a.jpg", "a.png"):
    pixels = decode_rgb((photos / name).read_bytes())
    assert streams[f"streams/{name}.hmc"] == codec.compress(pixels, iterations=2)
  _, _, _, files = on_disk("detect", command)
  assert {r["image_id"] for r in json.loads(files["detections.json"])} <= set(
    range(1, NUM_PHOTOGRAPHS + 2)
  )


@pytest.mark.parametrize(
  ("runner", "store", "name"),
  [
    ("processes", "s3", "encode"),
    ("dask", "s3", "detect"),
    ("portable", "gs", "detect"),
  ],
)
def test_a_bucket_gives_what_a_disk_gives(
  request, stores, command, on_disk, tmp_path, runner, store, name
):
  expected = on_disk(name, command)
  output = f"{store}://made/{runner} {{1}} #2"
  images = f"{store}://data/photos"
  if runner == "processes":
    assert command(name, images, output, "--workers", "2") == expected
  elif runner == "dask":
    cluster = request.getfixturevalue("cluster")
    assert command(name, images, output, "--beam", "dask", *cluster.flags) == expected
    with distributed.Client(cluster.address, set_as_default=False) as client:
      modules: Any = client.run(lambda: sorted(sys.modules))
    assert len(modules) == 2
    for names in modules.values():
      assert "onnxruntime" in names
      assert not set(NOT_OF_A_WORKER) & set(names)
  else:
    with job_service(tmp_path / "beam") as service:
      found = command(name, images, output, "--beam", "portable", *service.flags)
    assert found == expected


def test_a_worker_that_is_killed_loses_nothing(stores, cluster, command, on_disk):
  output = "gs://made/killed"
  seen: list[str] = []
  over = threading.Event()
  victim = cluster.workers[0]

  def kill():
    while not over.is_set() and not seen:
      names = [n for n in stores["gs"].objects("made") if n.startswith("killed/")]
      seen.extend(name for name in names if name.endswith(".hmc"))
      time.sleep(0.002)
    victim.kill()

  killer = threading.Thread(target=kill)
  killer.start()
  try:
    images = "gs://data/photos"
    found = command("encode", images, output, "--beam", "dask", *cluster.flags)
  finally:
    over.set()
    killer.join()
  assert victim.wait() == -signal.SIGKILL
  assert len(seen) in range(1, NUM_PHOTOGRAPHS), seen
  assert found == on_disk("encode", command)


def page_commands():
  text = PAGE.read_text("utf-8")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


def test_the_page_is_true(caller, capfd, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for name in (CODEC, DETECTOR):
    os.symlink(caller / name, tmp_path / name)
  with s3_server("bucket") as s3:
    listed = []
    for number in (7, 139, 285):
      name = f"{number:012}.jpg"
      photograph(number, 96, 64).save(tmp_path / name)
      s3.upload_file(str(tmp_path / name), "bucket", f"photos/{name}")
      listed.append({"id": number, "file_name": name, "width": 96, "height": 64})
    annotations = {
      "images": listed,
      "annotations": [
        {"id": 1, "image_id": 7, "category_id": 3, "bbox": [8, 8, 16, 16], "area": 256}
      ],
      "categories": [{"id": 3, "name": "red"}, {"id": 90, "name": "blue"}],
    }
    (tmp_path / "instances.json").write_text(json.dumps(annotations))
    for words in page_commands():
      assert main(words) == 0, (words, capfd.readouterr().err)
    decoded = sorted((tmp_path / "decoded").rglob("*.png"))
    assert [path.stem for path in decoded] == [f"{n:012}" for n in (7, 139, 285)]
    assert np.asarray(Image.open(decoded[0])).shape == (64, 96, 3)
