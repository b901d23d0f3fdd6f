"""Mines in children that kill themselves: `python -m tests.faults.killed_jobs FOLDER`.

Draws photographs into FOLDER. Then each line of standard input is a job, as JSON:

    output, per_image
    kill_at     the number of the operation on storage at which SIGKILL comes, or null
    is_after    whether it comes behind that operation, if that is a request to a bucket

Each is answered by a line: `status`, of the child as `waitpid` gives it; `operations`,
how many there were of a child that lived.

Beam takes seconds to import, a fork of a process that has it takes none.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import sys
from pathlib import Path

import s3fs
from PIL import Image

from tests.components.patch_gen.mining import config, mine, photograph

NUM_PHOTOGRAPHS = 2
_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir"}


class Killer:
  """Counts operations, and ends the process at one of them."""

  def __init__(self, kill_at: int | None, is_after: bool):
    self._kill_at, self._is_after = kill_at, is_after
    self.count = 0

  def on_disk(self, output: str) -> None:
    """Counts changes of files at an output, before they are made."""
    beside = os.path.dirname(output)

    def hook(event: str, args: tuple) -> None:
      changes = event in _CHANGES or (
        event == "open" and isinstance(args[2], int) and args[2] & os.O_ACCMODE
      )
      if changes and str(args[0]).startswith(beside):
        self.count += 1
        if self.count == self._kill_at:
          os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)

  def in_bucket(self) -> None:
    """Counts requests."""
    carry_out = s3fs.S3FileSystem._call_s3

    async def counted(*args, **options):
      self.count += 1
      is_now = self.count == self._kill_at
      if is_now and not self._is_after:
        os.kill(os.getpid(), signal.SIGKILL)
      answer = await carry_out(*args, **options)
      if is_now:
        os.kill(os.getpid(), signal.SIGKILL)
      return answer

    s3fs.S3FileSystem._call_s3 = counted


def run(job: dict, photographs: str) -> int:
  """What a child does. Returns the number of operations."""
  killer = Killer(job["kill_at"], job["is_after"])
  if "://" in job["output"]:
    killer.in_bucket()
  else:
    killer.on_disk(job["output"])
  settings = config(photographs, per_image=job["per_image"])
  mine(settings, job["output"], overwrite=True)
  return killer.count


def main(photographs: str) -> None:
  for seed in range(NUM_PHOTOGRAPHS):
    Image.fromarray(photograph(seed)).save(Path(photographs, f"{seed}.png"))
  for line in sys.stdin:
    reader, writer = os.pipe()
    gc.freeze()  # a child that looked for garbage would copy all of it
    pid = os.fork()
    if not pid:
      operations = run(json.loads(line), photographs)
      with open(writer, "w") as file:
        json.dump({"operations": operations, "modules": list(sys.modules)}, file)
      os._exit(0)
    os.close(writer)
    with open(reader) as file:
      told = json.loads(file.read() or "{}")
    for name in told.get("modules", ()):  # what the next children need not import
      with contextlib.suppress(ImportError):
        importlib.import_module(name)
    status = os.waitpid(pid, 0)[1]
    answer = {"status": status, "operations": told.get("operations", 0)}
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
  main(sys.argv[1])
