"""Detections as a file, wherever `hardmine detect` has put them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator

from hardmine.pipelines.cli.set_facts import is_place
from hardmine.schemas.config import require

_RESULTS = "detections.json"


@contextlib.contextmanager
def detections_file(given: str) -> Iterator[str]:
  """The path of a file in COCO's results format.

  Args:
    given: such a file, or the folder or URL of a set that `detect --images` made.

  Raises:
    ValueError: a folder or URL without such a set.
    OSError: it cannot be read.
  """
  if not is_place(given):
    yield given
    return
  from hardmine.schemas.folders import folder
  from hardmine.schemas.manifest import MANIFEST_NAME, name_in
  from hardmine.schemas.outputs import DETECTIONS

  place, kind, manifest = folder(given), None, {}
  with contextlib.suppress(FileNotFoundError):
    manifest = json.loads(place.read(MANIFEST_NAME))
    kind = manifest.get("kind")
  require(
    kind == DETECTIONS,
    "a file of detections, or a set that `hardmine detect --images` made",
    detections=given,
    kind=kind,
  )
  with place.local_copy(name_in(manifest, _RESULTS)) as path:
    yield str(path)
