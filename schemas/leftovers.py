"""What jobs that were killed, or still run, have at an output: listed and collected.

On a disk it lies in hidden folders beside the output (`staging`), in a bucket in
folders below it (`bucket_leftovers`). What is a set, what runs, and what is not ours is
listed at most and never removed.
"""

from __future__ import annotations

import dataclasses
import os
import time
from pathlib import Path

from hardmine.schemas import bucket_leftovers, staging
from hardmine.schemas.bucket import Bucket
from hardmine.schemas.bucket_leftovers import Leftover
from hardmine.schemas.uris import absolute, is_url


def leftovers(output: str | os.PathLike) -> list[Leftover]:
  """What there is; looks only, by this machine's clock.

  Args:
    output: a path or a URL.

  Raises:
    RuntimeError: the output's manifest cannot be read, so nothing can be told.
  """
  output = absolute(output)
  if is_url(output):
    return bucket_leftovers.leftovers(Bucket.at_url(output), output, None)
  return [_on_disk(path, state) for path, state in staging.found(Path(output))]


def collect(output: str | os.PathLike) -> list[Leftover]:
  """Removes what is nobody's any more, and puts back a set that was moved aside.

  Returns:
    What was removed or put back, as it was.

  Raises:
    RuntimeError: as `leftovers`.
    OSError: something cannot be removed.
  """
  output = absolute(output)
  if is_url(output):
    bucket = Bucket.at_url(output)
    if not bucket_leftovers.leftovers(bucket, output, None):
      return []
    now = bucket_leftovers.store_time(bucket)
    return bucket_leftovers.collect(bucket, output, now)
  before = leftovers(output)
  staging.put_back(Path(output))
  staging.sweep(Path(output))
  return [
    one if not os.path.lexists(one.place) else dataclasses.replace(one, state="stuck")
    for one in before
    if one.state in ("left", "aside")
  ]


def _on_disk(path: Path, state: str) -> Leftover:
  """What is known of a hidden folder; files may go while it is looked at."""
  num_files = num_bytes = 0
  newest = path.stat().st_mtime if path.exists() else None
  for parent, _, names in os.walk(path):
    for name in names:
      try:
        facts = os.lstat(os.path.join(parent, name))
      except OSError:
        continue
      num_files, num_bytes = num_files + 1, num_bytes + facts.st_size
      newest = max(newest or 0.0, facts.st_mtime)
  return Leftover(
    place=str(path),
    who=_owner(path, state),
    state=state,
    seconds=None if newest is None else max(0.0, time.time() - newest),
    num_files=num_files,
    num_bytes=num_bytes,
  )


def _owner(path: Path, state: str) -> str:
  machine = "another machine" if state == "unknown" else "this machine"
  try:
    return f"{path.owner()} on {machine}"
  except (OSError, KeyError):  # gone, or no user of this machine's list
    return f"somebody on {machine}"
