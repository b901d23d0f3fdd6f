"""What a study has measured so far, in a folder that may be gone on with.

    OUTPUT/study.json           says that the folder is a study's; held while one is at
                                work
    OUTPUT/measured/KEY.json    one measurement, written at once when it is done
    OUTPUT/table.*, index.html  of the last call

A key is of all that a number depends on: the network, the runtime and its version, the
machine, and how it was measured. So calls with other settings share a folder and do not
mix, and one that goes on measures what is missing.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import platform
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically
from hardmine.trainers.runtime.choice import ONNX_RUNTIME

MARK, MEASURED = "study.json", "measured"
# kinds of studies
TRADEOFF, ENSEMBLE, RATE_DISTORTION = "tradeoff", "ensemble", "rate-distortion"


class Records:
  """The measurements of a folder.

  Attributes:
    folder: its path.
  """

  def __init__(self, folder: str | os.PathLike, kind: str = TRADEOFF):
    """Looks only; nothing is written.

    Args:
      folder: of one study; one of another kind is refused.
      kind: of the study.

    Raises:
      ValueError: something else is there.
    """
    self.folder, self._kind = Path(os.path.realpath(folder)), kind
    if not os.path.lexists(self.folder):
      return
    require(self.folder.is_dir(), "a folder, or nothing, there", output=str(folder))
    require(
      self._is_ours() or not any(self.folder.iterdir()),
      f"an output folder that is new, empty, or an earlier study's ({self._kind})",
      output=str(folder),
    )

  @contextlib.contextmanager
  def held(self) -> Iterator[None]:
    """Makes the folder, and keeps other studies out of it until the end.

    Raises:
      RuntimeError: another process is at work there.
    """
    (self.folder / MEASURED).mkdir(parents=True, exist_ok=True)
    with open(self.folder / MARK, "a+", encoding="utf-8") as file:
      try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
      except BlockingIOError as error:
        raise RuntimeError(
          f"another study is at work in {self.folder}: wait for it, or choose another "
          "--output"
        ) from error
      file.truncate(0)
      file.write(json.dumps({"kind": self._kind}) + "\n")
      file.flush()
      yield

  def find(self, key: str) -> Any:
    """What was measured under a key, or None."""
    try:
      return json.loads(self._path(key).read_text("utf-8"))["found"]
    except (FileNotFoundError, ValueError, KeyError):
      return None

  def keep(self, key: str, facts: dict[str, Any], found: Any) -> None:
    """Writes a measurement, with what its key is of.

    Raises:
      OSError: it cannot be written.
    """
    text = json.dumps({**facts, "found": found}, indent=2, sort_keys=True)
    write_atomically(self._path(key), text + "\n", durable=False)

  def beside(self, key: str) -> Path:
    """The file of what is too much for the measurement itself."""
    return self._path(key).with_suffix(".npz")

  def _path(self, key: str) -> Path:
    return self.folder / MEASURED / f"{key}.json"

  def _is_ours(self) -> bool:
    try:
      return json.loads((self.folder / MARK).read_text("utf-8"))["kind"] == self._kind
    except FileNotFoundError:
      return False
    except (ValueError, KeyError, TypeError):
      # one that was killed between two writes of its mark
      return (self.folder / MEASURED).is_dir()


def key_of(facts: dict[str, Any]) -> str:
  """Names a measurement by all that it depends on."""
  text = json.dumps(facts, sort_keys=True)
  return hashlib.sha256(text.encode("utf-8")).hexdigest()[:20]


def lineage(facts: Mapping[str, Any]) -> dict[str, str]:
  """Where a study's numbers come from, as its page tells it."""
  told = ", ".join(f"{name} {one}" for name, one in facts["machine"].items())
  return {"machine": told, "command": facts["command"]}


def machine() -> dict[str, Any]:
  """What a time depends on of the machine; of a container, what it may use."""
  return {
    "processor": _processor(),
    "architecture": platform.machine(),
    "num_processors": len(os.sched_getaffinity(0)),
  }


def runtime_version(runtime: str) -> str:
  """Of a runtime's package, whichever brings it."""
  names = (f"{runtime}-gpu", runtime) if runtime == ONNX_RUNTIME else (runtime,)
  for name in names:
    with contextlib.suppress(metadata.PackageNotFoundError):
      return metadata.version(name)
  return "unknown"


def _processor() -> str:
  with contextlib.suppress(OSError):
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
      if line.startswith("model name"):
        return line.partition(":")[2].strip()
  return platform.processor() or "unknown"
