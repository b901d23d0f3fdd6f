"""What a mining job asks of its submitter as the number of photographs grows.

    .venv/bin/python benchmarks/job_size.py [PHOTOGRAPHS ...]

For each number a list of so many paths is written, and two processes are measured: one
that builds the job and hands its graph to a runner that only weighs it, as it would be
sent to a cluster; and one that plans the job as a worker does, which reads the list and
deals the photographs to parts. Beside them stands the request as it would be with the
parts in the graph. Wanted: a submitter below 500 MB and a request below 5 MB, whatever
the number.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUMBERS = (10_000, 100_000, 1_000_000)

START = """
import json, resource, sys, time
from hardmine.schemas.mining_config import MiningConfig
config = MiningConfig(images=("@" + sys.argv[1],), num_shards=32)
output = sys.argv[2]

def told(**facts):
  used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
  print(json.dumps({"megabytes": used, **facts}))
"""
SUBMIT = (
  START
  + """
import apache_beam as beam
from apache_beam.runners.runner import PipelineRunner
from hardmine.components.patch_gen.job import run_job

class Scales(PipelineRunner):
  def run_pipeline(self, pipeline, options):
    told(request=len(pipeline.to_runner_api().SerializeToString()))
    raise SystemExit

run_job(config, output, make_pipeline=lambda: beam.Pipeline(runner=Scales()))
"""
)
PLAN = (
  START
  + """
import pickle
from hardmine.components.jobs.shard_job import SETTINGS, Workplace
from hardmine.components.patch_gen.patch_job import FLAT, PatchJob
from hardmine.schemas.folders import folder

place = Workplace(shards=folder(output), scratch=folder(output + "/scratch"))
settings = {"config": config.to_json(), "patterns": config.images, "replaced": None}
place.tell(SETTINGS, settings)
start, parts, size = time.monotonic(), 0, 0
for part in PatchJob(layout=FLAT).plan(place):
  parts += 1
  size += len(pickle.dumps(part))
told(seconds=time.monotonic() - start, parts=parts, request=size)
"""
)


def measure(code: str, list_path: Path, output: Path) -> dict:
  command = [sys.executable, "-c", code, str(list_path), str(output)]
  done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
  return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
  print(
    "photographs   submitter, MB   request, kB   with the parts, kB   planner, MB   s"
  )
  for number in map(int, sys.argv[1:] or NUMBERS):
    with tempfile.TemporaryDirectory() as folder:
      listed = Path(folder, "list.txt")
      with listed.open("w") as file:
        file.writelines(
          f"photographs/{i // 1000:04d}/IMG_{i:07d}.jpg\n" for i in range(number)
        )
      sent = measure(SUBMIT, listed, Path(folder, "sent"))
      planned = measure(PLAN, listed, Path(folder, "planned"))
    print(
      f"{number:11,}   {sent['megabytes']:13.0f}   {sent['request'] / 1e3:11.1f}   "
      f"{planned['request'] / 1e3:18,.0f}   {planned['megabytes']:11.0f}   "
      f"{planned['seconds']:.0f}"
    )


if __name__ == "__main__":
  main()
