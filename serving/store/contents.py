"""The files of a version: their list, their check, and the digest over them."""

from __future__ import annotations

import hashlib
import json
import math
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import EXTRA, GRAPH, KINDS, is_exported
from hardmine.schemas.files import sha256_of
from hardmine.serving.store.entries import AuditEntry

MANIFEST = f"{EXTRA}/manifest.json"
DOCUMENTS = {
  name: f"{EXTRA}/{name}.json"
  for name in ("experiment", "metrics", "verdict", "lineage")
}
_OURS = {MANIFEST, *DOCUMENTS.values()}


def describe(model_dir: str | os.PathLike) -> dict[str, dict[str, Any]]:
  """The files of an exported model: relative path to SHA-256 and size in bytes.

  What another store has written beside them is no part of the model.

  Raises:
    ValueError: no SavedModel, a symbolic link, or a name that does not travel.
  """
  require(
    is_exported(model_dir),
    f"the folder of an exported model, with {GRAPH}",
    model_dir=str(model_dir),
  )
  files = {}
  for path, size in walk(model_dir):
    if path not in _OURS:
      files[path] = {"sha256": sha256_of(Path(model_dir, path)), "bytes": size}
  return files


def walk(model_dir: str | os.PathLike) -> Iterator[tuple[str, int]]:
  """Relative path and size of every file below a folder.

  Raises:
    ValueError: anything but plain files and folders: a link could lead anywhere.
  """
  pending = [""]
  while pending:
    folder = pending.pop()
    with os.scandir(os.path.join(model_dir, folder)) as entries:
      for entry in sorted(entries, key=lambda entry: entry.name):
        path = f"{folder}/{entry.name}" if folder else entry.name
        facts = entry.stat(follow_symlinks=False)
        plain = stat.S_ISREG(facts.st_mode) or stat.S_ISDIR(facts.st_mode)
        require(
          plain and is_inner_path(path),
          "only plain files and folders, with names of printable characters",
          path=os.path.join(model_dir, path),
        )
        if stat.S_ISDIR(facts.st_mode):
          pending.append(path)
        else:
          yield path, facts.st_size


def is_inner_path(path: object) -> bool:
  """Whether a path stays below the folder that it is relative to, on any system."""
  return (
    isinstance(path, str)
    and path.isprintable()
    and not set(path) & set('\\:"<>|?*')
    and all(part not in ("", ".", "..") for part in path.split("/"))
  )


def make_documents(
  experiment: dict, metrics: dict, verdict: dict, lineage: dict
) -> dict[str, bytes]:
  """Relative path to content of what lies beside the model.

  Raises:
    ValueError: a value is not JSON.
  """
  values = (experiment, metrics, verdict, lineage)
  try:
    return {
      path: (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
      for path, value in zip(DOCUMENTS.values(), values)
    }
  except (TypeError, ValueError) as error:
    raise ValueError(
      f"Expected JSON values in experiment, metrics, verdict and lineage. "
      f"Received: {error}"
    ) from error


def make_manifest(
  files: dict[str, dict[str, Any]],
  documents: dict[str, bytes],
  *,
  kind: str,
  model_id: str,
  summary: dict[str, Any],
  added: AuditEntry,
) -> dict[str, Any]:
  """The manifest of a version that is to be: all of its files but itself."""
  whole = dict(files)
  for path, content in documents.items():
    facts = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    whole[path] = facts
  whole = dict(sorted(whole.items()))
  return {
    "digest": digest_of(kind, model_id, whole),
    "kind": kind,
    "model_id": model_id,
    "created_at": added.at,
    "num_bytes": sum(facts["bytes"] for facts in whole.values()),
    **summary,
    "added": {"id": added.id, "who": added.who, "why": added.why},
    "files": whole,
  }


def summary(metrics: dict[str, Any], verdict: dict[str, Any]) -> dict[str, Any]:
  """What a manifest repeats of the evaluation, so that lists need read nothing else."""
  return {
    "passed": verdict.get("passed") is True,
    "numbers": {name: value for name, value in metrics.items() if _is_number(value)},
  }


def _is_number(value: Any) -> bool:
  number = isinstance(value, (int, float)) and not isinstance(value, bool)
  return number and math.isfinite(value)


def added_entry(number: int, manifest: dict[str, Any]) -> AuditEntry:
  """The line of the log that a version's writer owes."""
  return AuditEntry.from_plain(
    {
      **manifest["added"],
      "at": manifest["created_at"],
      "action": "add",
      "to_version": number,
      "digest": manifest["digest"],
    }
  )


def digest_of(kind: str, model_id: str, files: dict[str, dict[str, Any]]) -> str:
  """Hex SHA-256 of a model and of what it was judged by.

  Lineage is left out: the same model from a second run is the same version.
  """
  judged = {path: f for path, f in files.items() if path != DOCUMENTS["lineage"]}
  content = {"kind": kind, "model_id": model_id, "files": judged}
  text = json.dumps(content, sort_keys=True, separators=(",", ":"))
  return hashlib.sha256(text.encode()).hexdigest()


def parse_manifest(text: bytes, where: str) -> dict[str, Any]:
  """A manifest whose fields have the right types and whose digest is its own.

  Args:
    text: its content.
    where: named in errors.

  Raises:
    RuntimeError: it is damaged, or names files outside its folder.
  """
  try:
    manifest = json.loads(text)
    files = manifest["files"]
    outside = [path for path in files if not is_inner_path(path)]
    sound = (
      manifest["kind"] in KINDS
      and GRAPH in files
      and manifest["digest"] == digest_of(manifest["kind"], manifest["model_id"], files)
      and all(isinstance(f["sha256"], str) for f in files.values())
      and all(isinstance(f["bytes"], int) for f in files.values())
      and manifest["num_bytes"] == sum(f["bytes"] for f in files.values())
      and isinstance(manifest["passed"], bool)
      and isinstance(manifest["model_id"], str)
      and isinstance(manifest["numbers"], dict)
      and all(map(_is_number, manifest["numbers"].values()))
      and isinstance(manifest["created_at"], str)
      and isinstance(manifest["added"], dict)
      and all(isinstance(manifest["added"][key], str) for key in ("id", "who", "why"))
    )
  except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
    raise RuntimeError(
      f"{where} is damaged ({type(error).__name__}: {error})"
    ) from error
  if outside:
    raise RuntimeError(f"{where} names a file outside its folder: {outside[0]!r}")
  if not sound:
    raise RuntimeError(f"{where} was changed: it does not have its own digest")
  return manifest


def check_files(directory: str | os.PathLike, manifest: dict[str, Any]) -> None:
  """Holds every file of a version against its manifest.

  Raises:
    RuntimeError: naming the file and what is wrong with it.
  """
  files = manifest["files"]
  try:
    found = dict(walk(directory))
  except ValueError as error:
    raise RuntimeError(f"{directory} holds what is no part of it: {error}") from error
  for path, facts in files.items():
    file = os.path.join(directory, path)
    if path not in found:
      raise RuntimeError(f"{file} is missing")
    if found[path] != facts["bytes"]:
      raise RuntimeError(f"{file} has {found[path]} bytes, not {facts['bytes']}")
    if sha256_of(file) != facts["sha256"]:
      raise RuntimeError(f"{file} differs from its SHA-256 in {MANIFEST}")
  extra = sorted(found.keys() - files.keys() - {MANIFEST})
  if extra:
    raise RuntimeError(f"{os.path.join(directory, extra[0])} is not in {MANIFEST}")
