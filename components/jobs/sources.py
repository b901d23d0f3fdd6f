"""Which photographs a job reads, what each is called, and which split it is in."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
import json
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from hardmine.components.jobs.patterns import PICTURES, file_system, match
from hardmine.components.jobs.walking import walk
from hardmine.schemas.config import require
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import parent_and_name


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)  # there are millions
class Source:
  """A matched path.

  Attributes:
    id: the path below its glob's root; with several roots, the root's name is
      put before it. Unique within a job, and the same on every machine.
    path: what fsspec opens, with its protocol where it is not a local file.
    is_directory: matched, but nothing that can be read.
    stamp: size and time of change, or whatever else the store tells them by; of local
      files the inode and its own time too, which no tool that sets dates back hides.
  """

  id: str
  path: str
  is_directory: bool
  stamp: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listing:
  """What patterns match together.

  Attributes:
    sources: sorted by id.
    num_repeated: how often a path was matched once more.
    skipped: path to why it is no source, in order of path (`patterns.Matches`).
  """

  sources: list[Source]
  num_repeated: int
  skipped: dict[str, str]


def find_sources(
  patterns: Sequence[str],
  *,
  endings: Collection[str] = PICTURES,
  what: str = "image",
) -> Listing:
  """Expands patterns as `patterns.match` says.

  Args:
    patterns: local ones, or URLs of any file system fsspec knows (`gs://...`
      needs `pip install hardmine[gcs]`).
    endings: of the names that a folder is searched for.
    what: is sought, for errors.

  Raises:
    ValueError: a pattern matches nothing, or its file system is not installed.
  """
  matched: dict[str, tuple[str, bool, str]] = {}  # path -> (root, directory, stamp)
  skipped: dict[str, str] = {}
  repeated = 0
  for pattern in patterns:
    for one in match(pattern, endings=endings, what=what):
      if one.why:
        skipped[one.path] = one.why
        continue
      repeated += one.path in matched
      # Which of two globs comes first must not change a name: the longest root wins.
      if one.path not in matched or len(matched[one.path][0]) < len(one.root):
        is_directory = one.facts.get("type") == "directory"
        stamp = sys.intern(stamp_of(one.facts))  # a list's are all equal
        matched[one.path] = (sys.intern(one.root), is_directory, stamp)
  labels = labels_of({root for root, _, _ in matched.values()})
  sources = [
    Source(
      id=printable(labels[root] + path[len(root) :].lstrip("/")),
      path=path,
      is_directory=is_directory,
      stamp=stamp,
    )
    for path, (root, is_directory, stamp) in matched.items()
  ]
  ids = collections.Counter(source.id for source in sources)
  twice = [name for name, count in ids.items() if count > 1]
  require(not twice, f"{what}s whose ids differ", twice=twice[:3])
  return Listing(
    sources=sorted(sources, key=lambda source: source.id),
    num_repeated=repeated,
    skipped={path: skipped[path] for path in sorted(skipped) if path not in matched},
  )


def list_sources(globs: tuple[str, ...]) -> tuple[list[Source], int]:
  """The photographs of `find_sources`, and how often one was matched once more.

  Raises:
    ValueError: as there.
  """
  listing = find_sources(globs)
  return listing.sources, listing.num_repeated


def each_below(path: str) -> Iterator[Source]:
  """A file, or every file below a folder; nothing where neither is.

  Args:
    path: local, or a URL as in `list_sources`.
  """
  files, bare = file_system(path)
  bare = bare.rstrip("/")
  for name, facts in walk(files, bare):
    root = bare.rpartition("/")[0] if name == bare else bare
    yield Source(
      id=printable(name[len(root) :].lstrip("/")),
      path=files.unstrip_protocol(name) if "://" in path else name,
      is_directory=False,
      stamp=stamp_of(facts),
    )


def read_source(path: str) -> bytes:
  """A file's content; a bucket is asked again where the fault may pass.

  Args:
    path: as a `Source` has it.

  Raises:
    OSError: it cannot be read.
    RuntimeError: the bucket does not answer.
  """
  place, name = parent_and_name(path)
  return folder(place).read(name)


def absolute_pattern(pattern: str) -> str:
  """A pattern that means the same to a worker, wherever that stands."""
  if not pattern or "://" in pattern:
    return pattern
  if pattern[:1] == "@" and not os.path.lexists(pattern):
    return f"@{absolute_pattern(pattern[1:])}"
  return os.path.join(os.getcwd(), os.path.expanduser(pattern))


def fingerprint(sources: Iterable[Source]) -> str:
  """SHA-256 that changes when a photograph is added, removed or rewritten."""
  return digest_of(sorted((one.path, one.id, one.stamp) for one in sources))


def digest_of(facts: Iterable[Sequence[str]]) -> str:
  """SHA-256 of what is known of sources, in order, as one JSON list."""
  digest = hashlib.sha256(b"[")
  mark = b""
  for one in facts:
    digest.update(mark + json.dumps(list(one)).encode())
    mark = b", "
  digest.update(b"]")
  return digest.hexdigest()


def assign_splits(sources: list[Source], eval_share: float) -> dict[str, list[Source]]:
  """Puts every photograph on one side, by a hash of its id.

  A photograph keeps its side when others are added, unless one side would stay
  empty: then the one with the nearest hash moves over.

  Returns:
    {"train": [...], "eval": [...]}, or `train` alone where `eval_share` is 0.

  Raises:
    ValueError: two splits are wanted of fewer than two photographs.
  """
  if eval_share == 0:
    return {"train": list(sources)}
  require(
    len(sources) >= 2,
    "at least 2 usable photographs for the splits train and eval (or eval_share=0)",
    usable=[source.id for source in sources],
  )
  evals = held_back({source.id for source in sources}, eval_share)
  return {
    "train": [source for source in sources if source.id not in evals],
    "eval": [source for source in sources if source.id in evals],
  }


def held_back(ids: Collection[str], share: float) -> set[str]:
  """The ids of the split `eval`: those whose hash, a place in [0, 1), is below a share.

  Of two ids or more, at least one is held back and at least one is not.
  """
  ranked = sorted(ids, key=lambda name: (_position(name), name))
  num = sum(_position(name) < share for name in ranked)
  return set(ranked[: min(max(num, 1), len(ranked) - 1)])


def _position(name: str) -> float:
  """An id's hash as a place in [0, 1)."""
  digest = hashlib.sha256(name.encode("utf-8")).digest()
  return int.from_bytes(digest[:6], "big") / 2**48


def labels_of(roots: set[str]) -> dict[str, str]:
  """What goes before an id: nothing for one root, else as much as tells them apart."""
  if len(roots) <= 1:
    return dict.fromkeys(roots, "")
  steps = {root: root.rstrip("/").split("/") for root in roots}
  depth = 1
  while len({tuple(parts[-depth:]) for parts in steps.values()}) < len(roots):
    depth += 1
  return {root: "/".join(parts[-depth:]) + "/" for root, parts in steps.items()}


def printable(name: str) -> str:
  """A file's name need not be UTF-8, a record's source must."""
  return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def stamp_of(facts: dict[str, Any]) -> str:
  """What tells two versions of a file apart, of fsspec's facts."""
  keys = (
    *("size", "mtime", "ino", "created"),  # fsspec calls a local file's ctime so
    *("etag", "ETag", "md5Hash", "generation", "LastModified"),
  )
  return json.dumps({key: str(facts[key]) for key in keys if key in facts})
