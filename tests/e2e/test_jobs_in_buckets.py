"""`mine` and `coco` from bucket to bucket: on any runner what a disk gives.

S3 is moto's server, Google's storage a stand-in, both on this machine and asked by the
clients that users have. The clusters share nothing with the caller but these: their
processes stand in another folder, and what is the caller's is empty for them.
"""

import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
import threading
import time
import uuid
from typing import Any

import distributed
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.folders import folder
from hardmine.schemas.manifest import read_manifest
from tests.components.coco_gen.conftest import AnnotatedSet, drawn
from tests.components.jobs.clusters import can_hide, dask_cluster, job_service
from tests.components.patch_gen.mining import photograph
from tests.gcs_server import gcs_server
from tests.s3_server import s3_server

pytestmark = pytest.mark.slow

STORES = ["s3", "gs"]
JOBS = {
  "mine": "--images {root}/photos --per-image 5",
  "coco": "--images {root}/set/images --annotations {root}/set/instances.json "
  "--eval-share 0.3",
}
OFTEN = ["--num-shards", "2", "--max-dead-share", "0.5", "--json"]


@pytest.fixture(scope="module")
def caller(tmp_path_factory):
  """The caller's folder, in which it stands, with its temporary files."""
  here = tmp_path_factory.mktemp("caller")
  (here / "tmp").mkdir()
  with pytest.MonkeyPatch.context() as patch:
    patch.chdir(here)
    patch.setenv("HOME", str(here))
    patch.setenv("TMPDIR", str(here / "tmp"))
    patch.setattr(tempfile, "tempdir", None)
    yield here


@pytest.fixture(scope="module")
def inputs(caller):
  """Photographs and an annotated set, with faults and with names of all kinds."""
  photos = caller / "inputs" / "photos"
  for number in range(6):
    path = photos / ("a", "b [1] #2")[number % 2] / f"{number} ä+%.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(photograph(number)).save(path)
  shutil.copy(path, photos / "a" / "again.png")
  (photos / "broken.png").write_bytes(path.read_bytes()[:200])
  (photos / "notes.txt").write_text("no photograph")
  (caller / "inputs" / "set").mkdir()
  annotated = AnnotatedSet(caller / "inputs" / "set")
  annotated.write([f"{n}.png" for n in range(5)] + ["in [1]/#5 ö.jpg", "broken.png"])
  annotated.annotate(2, bbox=[4, 6, 0, 10])  # nothing
  annotated.annotate(99)  # of no image
  annotated.save()
  (annotated.images / "broken.png").write_bytes(b"\x89PNG")
  drawn(77).save(annotated.images / "unlisted.png")
  return caller / "inputs"


@pytest.fixture(scope="module")
def stores(inputs):
  """Both stores, with the inputs in the bucket `data`, and a bucket `made`."""
  with s3_server("data", "made") as s3, gcs_server("data", "made") as google:
    for store in STORES:
      place = folder(f"{store}://data")
      for name in folder(inputs).tree():
        place.write(name, (inputs / name).read_bytes())
    yield {"s3": s3, "gs": google}


@pytest.fixture(scope="module")
def hidden(caller):
  """What is empty for the clusters."""
  return [caller] if can_hide(caller) else []


@pytest.fixture(scope="module")
def cluster(stores, hidden, tmp_path_factory):
  """Of three workers, of which the last tests of the file kill two."""
  with dask_cluster(3, tmp_path_factory.mktemp("a") / "dask", hidden=hidden) as started:
    yield started


@pytest.fixture(scope="module")
def service(stores, hidden, tmp_path_factory):
  with job_service(tmp_path_factory.mktemp("a") / "beam", hidden=hidden) as started:
    yield started


@pytest.fixture
def command(capfd, caller):
  """Runs a command of `JOBS`. Returns its `Outcome`."""

  def command(job, root, output, *more):
    words = [word.format(root=root) for word in JOBS[job].split()]
    status = main([job, *words, *OFTEN, "--output", str(output), *more])
    said = capfd.readouterr()
    assert (status, said.err) == (0, "")
    assert list((caller / "tmp").glob("hardmine-*")) == []  # Beam leaves folders
    return outcome_of(json.loads(said.out), str(root), str(output))

  return command


@pytest.fixture(scope="module")
def on_disk(inputs, caller):
  """What each job gives on a disk in this process, made once."""
  made = {}

  def on_disk(job, command):
    if job not in made:
      made[job] = command(job, inputs, caller / f"{job}-on-disk")
    return made[job]

  return on_disk


def outcome_of(summary, root, output):
  """(summary, manifest, content by name) without what the place gives them."""
  manifest = read_manifest(output)  # compares every file with its SHA-256
  names = list(manifest["files"])
  place = folder(output)
  assert place.tree() == {"manifest.json", *names}
  bare_names = [re.sub(r"^made-[^/]+/", "", name) for name in names]
  files = {bare: place.read(name) for name, bare in zip(names, bare_names)}
  letters = files.pop("dead_letters.jsonl").decode()
  records = {name: manifest["files"][long] for long, name in zip(names, bare_names)}
  del manifest["files"], manifest["input"], records["dead_letters.jsonl"]
  for word in ("elapsed_seconds", "dead_letters"):
    summary.pop(word, None)

  def bare(text):
    return text.replace(output, "OUTPUT").replace(root, "ROOT")

  told = [json.loads(line) for line in bare(letters).splitlines()]
  summary, manifest = (json.loads(bare(json.dumps(m))) for m in (summary, manifest))
  return summary, manifest, told, records, files


def new(store):
  return f"{store}://made/{uuid.uuid4().hex[:8]}/{{1}} #2"


def runner(request, name):
  """The flags of a runner."""
  if name == "dask":
    return ["--beam", "dask", *request.getfixturevalue("cluster").flags]
  if name == "portable":
    return ["--beam", "portable", *request.getfixturevalue("service").flags]
  return ["--workers", {"direct": "1", "processes": "2"}[name]]


def test_the_inputs_have_all_faults(command, on_disk):
  summary, _, letters, records, files = on_disk("mine", command)
  assert (summary["photographs"], summary["dead"], summary["duplicates"]) == (8, 1, 1)
  assert summary["patches"] == 6 * 5
  assert {letter["reason"] for letter in letters} >= {"duplicate", "other_file"}
  assert len(records) == len(files) == 2
  summary, _, letters, records, _ = on_disk("coco", command)
  assert (summary["images"], summary["dead"], summary["skipped"]) == (7, 1, 2)
  assert {letter["reason"] for letter in letters} >= {"unknown_image"}
  assert len(records) == 2 * 2 + 1


@pytest.mark.parametrize(
  ("name", "store", "job"),
  [
    *(("direct", store, job) for store in STORES for job in JOBS),
    *(("processes", "s3", "mine"), ("processes", "gs", "coco")),
    *(("dask", "s3", "mine"), ("dask", "gs", "coco")),
    *(("portable", "s3", "coco"), ("portable", "gs", "mine")),
  ],
)
def test_a_bucket_gives_what_a_disk_gives(
  request, stores, command, on_disk, name, store, job
):
  found = command(job, f"{store}://data", new(store), *runner(request, name))
  assert found == on_disk(job, command)


def test_the_workers_see_nothing_of_the_caller(cluster, hidden, inputs):
  if not hidden:
    pytest.skip("nobody may `unshare --mount` here, so the caller's folders are seen")
  with distributed.Client(cluster.address, set_as_default=False) as client:
    client.wait_for_workers(3, timeout=120)
    places = {str(inputs), os.getcwd(), tempfile.gettempdir()}
    for place in places:
      assert os.path.exists(place)
      there: Any = client.run(os.path.isdir, place)
      assert len(there) == 3
      if place != os.getcwd():
        assert set(there.values()) == {False}
    found: Any = client.run(os.listdir, os.getcwd())
    assert all(names == [] for names in found.values())
    stands: Any = client.run(os.getcwd)
    assert os.getcwd() not in stands.values()


def test_a_set_is_replaced(stores, command, on_disk):
  output = new("gs")
  command("mine", "gs://data", output)
  again = command("mine", "gs://data", output, "--overwrite")
  assert again == on_disk("mine", command)


def test_a_failure_leaves_its_report_and_nothing_else(stores, capfd):
  parent = f"gs://made/{uuid.uuid4().hex[:8]}"
  words = ["mine", "--images", "gs://data/photos", "--max-dead-share=0", "--output"]
  assert main([*words, f"{parent}/out"]) == 1
  said = capfd.readouterr().err
  assert "1 of 8 files cannot be used" in said
  assert f"{parent}/out.dead_letters.jsonl" in said
  assert folder(parent).tree() == {"out.dead_letters.jsonl"}
  words[2] = "gs://data/none"
  assert main([*words, f"{parent}/out"]) == 2
  assert "gs://data/none" in capfd.readouterr().err
  assert folder(parent).tree() == {"out.dead_letters.jsonl"}


@pytest.mark.parametrize(
  ("name", "job", "root", "output"),
  [
    ("processes", "mine", "inputs", "~/made"),
    ("dask", "mine", "~/inputs", "made"),
    ("dask", "coco", "inputs", "made"),
  ],
)
def test_paths_mean_the_same_to_workers_elsewhere(
  request, inputs, command, on_disk, tmp_path, monkeypatch, name, job, root, output
):
  """Relative ones, and those of a home; the disk is one that all see."""
  expected = on_disk(job, command)
  shutil.copytree(inputs, tmp_path / "home" / "inputs")
  flags = runner(request, name)
  monkeypatch.chdir(tmp_path / "home")
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  words = [word.format(root=root) for word in JOBS[job].split()]
  assert main([job, *words, *OFTEN, "--output", output, *flags]) == 0
  assert {p.name for p in (tmp_path / "home").iterdir()} == {"inputs", "made"}
  made, inputs = (str(tmp_path / "home" / name) for name in ("made", "inputs"))
  found = outcome_of({}, inputs, made)
  assert found[1]["counts"] == expected[1]["counts"]
  assert found[2:] == expected[2:]


@pytest.mark.parametrize("moment", ["parts", "joined"])
def test_a_worker_that_is_killed_loses_nothing(
  stores, cluster, command, on_disk, moment
):
  """What it had done, and had in its memory, is done again by the others."""
  output = new("gs")
  below = output.removeprefix("gs://made/")
  victim = next(worker for worker in cluster.workers if worker.poll() is None)
  with when_there(stores["gs"], below, f"/scratch/{moment}/", victim) as seen:
    found = command("mine", "gs://data", output, "--beam", "dask", *cluster.flags)
  assert victim.wait() == -signal.SIGKILL
  assert len(seen) in range(1, 8), seen  # of eight photographs, or of two shards
  assert found == on_disk("mine", command)


@contextlib.contextmanager
def when_there(store, below, part, victim):
  """Kills a worker once something is made. Yields what there was."""
  seen = []
  over = threading.Event()

  def look():
    while not over.is_set() and not seen:
      names = [n for n in store.objects("made") if n.startswith(below)]
      seen.extend(name for name in names if part in name)
      time.sleep(0.002)
    victim.kill()

  thread = threading.Thread(target=look)
  thread.start()
  try:
    yield seen
  finally:
    over.set()
    thread.join()
