"""The commits of an object store: with its own, a version is complete."""

from __future__ import annotations

import json
from typing import Any

from hardmine.schemas.bucket import Bucket
from hardmine.serving.store.contents import parse_manifest
from hardmine.serving.store.parsing import parse_object

# A manifest, what is wrong with it, or None where `sweep` took its writer for dead.
_Commit = dict[str, Any] | str | None


class Commits:
  """The objects `commits/N.json`, which are created once and never change.

  Args:
    bucket: they are in.
    url: of the bucket, for messages.
  """

  def __init__(self, bucket: Bucket, url: str):
    self._bucket = bucket
    self._url = url
    self._known: dict[int, _Commit] = {}

  def completed(self) -> set[int]:
    """The numbers that have one; a damaged one says so, too."""
    return {number for number, commit in self._all().items() if commit is not None}

  def sound(self) -> dict[int, dict[str, Any]]:
    """The manifests that can be read."""
    return {number: c for number, c in self._all().items() if isinstance(c, dict)}

  def manifest(self, number: int) -> dict[str, Any]:
    """One manifest.

    Raises:
      FileNotFoundError: the version was never completed.
      RuntimeError: the commit is damaged.
    """
    commit = self._read([number])[number]
    if isinstance(commit, str):
      raise RuntimeError(commit)
    if commit is None:
      raise FileNotFoundError(f"{self._url}/commits/{number}.json")
    return commit

  def create(self, number: int, manifest: dict[str, Any] | None) -> bool:
    """Completes a version, or with None forbids that; False if that was decided."""
    return self._bucket.create(f"commits/{number}.json", {"manifest": manifest})

  def _all(self) -> dict[int, _Commit]:
    return self._read(self._bucket.numbers("commits"))

  def _read(self, numbers: list[int]) -> dict[int, _Commit]:
    unknown = [number for number in numbers if number not in self._known]
    texts = self._bucket.read_all([f"commits/{number}.json" for number in unknown])
    for number in unknown:
      where = f"commits/{number}.json"
      self._known[number] = _parse(texts[where], f"{self._url}/{where}")
    return {number: self._known[number] for number in numbers}


def manifest_bytes(manifest: dict[str, Any]) -> bytes:
  """As it is written."""
  return (json.dumps(manifest, indent=2) + "\n").encode()


def _parse(text: bytes, where: str) -> _Commit:
  """A fault is kept in the commit's place, lest a damaged one spoils the others."""
  try:
    plain = parse_object(text, where)
    if "manifest" not in plain:
      return f"{where} is damaged: it holds no manifest"
    manifest = plain["manifest"]
    return manifest and parse_manifest(manifest_bytes(manifest), where)
  except RuntimeError as error:
    return str(error)
