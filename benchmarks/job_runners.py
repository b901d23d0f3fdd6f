"""A mining job on every runner: seconds, overhead, and memory for ten times the input.

    HARDMINE_DATA=DIR .venv/bin/python benchmarks/job_runners.py [PHOTOGRAPHS]

Photographs are COCO's, from disk to disk: so many, and a tenth of them. The plain loop
reads, decodes and mines the same files in one thread of one process, and keeps nothing.
A job's seconds are of its work, without the start of Python and of the cluster; its
megabytes are of the largest process that works for it, whatever that is.
Wanted: the same shards from all, memory that grows by less than 15 %.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # for the clusters of the tests

from tests.components.jobs.clusters import dask_cluster, job_service  # noqa: E402

DATA = Path(os.environ.get("HARDMINE_DATA", ROOT.parent / "shared" / "data"))
JOB = """
import json, sys, time
from hardmine.components.patch_gen.job import run_job
from hardmine.pipelines.beam_runners import beam_arguments, pipeline_maker
from hardmine.schemas.mining_config import MiningConfig

images, output, runner, workers, *flags = sys.argv[1:]
config = MiningConfig(images=(images,), num_shards=8)
arguments = beam_arguments(runner, workers=int(workers) or None, flags=flags)
start = time.monotonic()
manifest = run_job(config, output, make_pipeline=pipeline_maker(arguments))
print(json.dumps({"seconds": time.monotonic() - start, "files": manifest["files"]}))
"""
PLAIN = """
import json, sys, time
from pathlib import Path
from hardmine.components.patch_gen.mine_image import mine_image
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import serialize

config = MiningConfig(images=(sys.argv[1],))
start = time.monotonic()
for path in sorted(Path(sys.argv[1]).iterdir()):
  for patch in mine_image(path.read_bytes(), path.name, config).patches:
    serialize(patch)
print(json.dumps({"seconds": time.monotonic() - start, "files": None}))
"""


class Memory:
  """The largest resident set of the processes below this one, in megabytes."""

  def __enter__(self) -> Memory:
    self.megabytes = 0.0
    self._stop = threading.Event()
    self._thread = threading.Thread(target=self._look, daemon=True)
    self._thread.start()
    return self

  def __exit__(self, *_) -> None:
    self._stop.set()
    self._thread.join()

  def _look(self) -> None:
    while not self._stop.wait(0.1):
      for process in _below(os.getpid()):
        with contextlib.suppress(OSError, IndexError):
          status = Path(f"/proc/{process}/status").read_text()
          size = int(status.split("VmRSS:")[1].split()[0]) / 1024
          self.megabytes = max(self.megabytes, size)


def _below(process: int) -> Iterator[int]:
  with contextlib.suppress(OSError):
    for task in Path(f"/proc/{process}/task").iterdir():
      for child in (task / "children").read_text().split():
        yield int(child)
        yield from _below(int(child))


def run(code: str, *arguments: str) -> tuple[dict, float]:
  """(what the process said, megabytes)."""
  with Memory() as memory:
    done = subprocess.run(
      [sys.executable, "-c", code, *arguments],
      cwd=ROOT,
      capture_output=True,
      text=True,
      check=False,
    )
  if done.returncode:
    raise RuntimeError(done.stderr[-2000:])
  return json.loads(done.stdout.splitlines()[-1]), memory.megabytes


@contextlib.contextmanager
def runner(name: str, workers: int, folder: Path) -> Iterator[list[str]]:
  """Yields the words that choose a runner, whose cluster lives as long."""
  place = folder / f"{name}-{workers}-{time.monotonic_ns()}"
  if name == "direct":
    yield ["direct", str(workers)]
  elif name == "dask":
    with dask_cluster(workers, place) as cluster:
      yield ["dask", "0", *cluster.flags]
  else:
    with job_service(place) as service:
      more = [f"--sdk_worker_parallelism={workers}"]
      yield ["portable", "0", *service.flags, *more]


def link(paths: list[Path], folder: Path) -> Path:
  """A folder of links to files."""
  folder.mkdir()
  for path in paths:
    (folder / f"{path.parent.name}-{path.name}").symlink_to(path)
  return folder


def main() -> None:
  number = int(sys.argv[1]) if len(sys.argv) > 1 else 400
  paths = sorted((DATA / "coco").glob("*2017/*.jpg"))[:number]
  if not paths:
    print(f"job_runners: no photographs under {DATA}; set HARDMINE_DATA")
    return
  with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    sets = [
      link(some, folder / str(len(some))) for some in (paths[: len(paths) // 10], paths)
    ]
    plain = [run(PLAIN, str(images))[0]["seconds"] for images in sets]
    speed = len(paths) / plain[1]
    print(
      f"{len(paths)} photographs; plain loop {plain[1]:.1f} s, {speed:.0f} a second"
    )
    print("runner    workers   seconds   of the plain loop   MB    MB for a tenth")
    files = None
    for kind, workers in (
      *(("direct", 1), ("direct", 2), ("dask", 1), ("dask", 2)),
      *(("portable", 1), ("portable", 2)),
    ):
      told, sizes = {}, []
      for images in sets:
        with runner(kind, workers, folder) as words:
          output = str(folder / f"out-{kind}-{workers}-{images.name}")
          told, size = run(JOB, str(images), output, *words)
        sizes.append(size)
      files = files or told["files"]
      same = "" if told["files"] == files else "   OTHER SHARDS"
      print(
        f"{kind:9} {workers:7}   {told['seconds']:7.1f}   "
        f"{told['seconds'] / plain[1]:17.2f}   {sizes[1]:5.0f}   {sizes[0]:5.0f}{same}",
        flush=True,
      )


if __name__ == "__main__":
  main()
