"""What people mean by a path or a pattern of photographs, alike for every command.

In this order:

    ~/photos           a home folder
    ""  http://...     refused: nobody means the current folder, and nothing is fetched
    photos [2020]/     a path, or the beginning of one, that is there is taken as it is
    photos             a folder: the pictures in it and below, by their names' endings
    {jpg,png}          two patterns
    *.jpg              any case of the ending, so cameras' IMG_1.JPG too
    **                 every file below
    @list.txt          the paths or URLs in a file, one a line; relative ones are below
                       the file's folder, and none is looked for before it is read

What no camera wrote (`._a.jpg` of a Mac's disc, `Thumbs.db`) and what is no file (a
pipe, a socket, a device: reading one may never end) is skipped, and told.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import os
import re
import stat
from collections.abc import Collection, Iterable
from typing import Any

from hardmine.schemas.bucket import Patient, file_system_of
from hardmine.schemas.config import require
from hardmine.schemas.folders import folder, read_lines
from hardmine.schemas.uris import absolute, is_below, is_url, join, parent_and_name

PICTURES = frozenset(
  (
    *(".avif", ".bmp", ".gif", ".heic", ".heif", ".hif", ".j2k", ".jfif", ".jp2"),
    *(".jpe", ".jpeg", ".jpg", ".jxl", ".pbm", ".pgm", ".png", ".pnm", ".ppm"),
    *(".tif", ".tiff", ".webp"),
  )
)
_MAGIC = set("*?[{")
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")  # the innermost; `{a}` is a name
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")
_SYSTEM_FILES = {".ds_store", "desktop.ini", "ehthumbs.db", "thumbs.db"}

Facts = dict[str, Any]  # of a path, as fsspec gives them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Matches:
  """What a pattern matches.

  Attributes:
    found: the facts of each path; a folder among them was matched beside files.
    root: the folder it starts from, below which names of photographs begin.
    skipped: path to why, among `system_file`, `special_file`, and for files of a
      folder that was given whole, `hidden_file` and `other_file`.
    num_repeated: how often a list names a path once more.
  """

  found: dict[str, Facts]
  root: str
  skipped: dict[str, str]
  num_repeated: int = 0


def match(
  pattern: str, *, endings: Collection[str] = PICTURES, what: str = "image"
) -> list[Matches]:
  """Expands a pattern; see the top of this module.

  Args:
    pattern: a local one, or a URL of any file system fsspec knows.
    endings: of the names that a folder is searched for, in small letters.
    what: is sought, for the error.

  Returns:
    One for each alternative in braces, with URLs where the pattern is one.

  Raises:
    ValueError: nothing matches, or the file system is not installed; the line says
      what lies nearest.
  """
  require(pattern != "", f"a path or pattern of {what}s", images=pattern)
  if re.match(r"(?i)(https?|ftp)://", pattern):
    raise ValueError(
      f"Expected {what}s on a disk or in a bucket; fetch them first, as with `wget`. "
      f"Received: images={pattern!r}"
    )
  is_url = "://" in pattern
  if pattern[:1] == "@" and not os.path.lexists(pattern):
    return _listed(pattern[1:], what)
  files, bare = file_system(pattern if is_url else os.path.expanduser(pattern))
  literal, rest = _split(files, bare)
  if rest:
    every = [_glob(files, literal, one) for one in _alternatives(rest)]
  else:
    every = [_literal(files, literal)]
  every = [_sorted_out(files, one, endings, bool(rest)) for one in every]
  if not any(one.found for one in every):
    raise ValueError(
      f"Expected a path or pattern that matches at least one {what} "
      f"({_hint(files, literal, rest, every)}). Received: images={pattern!r}"
    )
  return [_with_protocol(files, one) for one in every] if is_url else every


def _listed(list_path: str, what: str) -> list[Matches]:
  """What a list names: what lies below its folder, and each other place."""
  place, name = parent_and_name(absolute(list_path))
  stamp: Facts = {}  # of the list: each file would be a request
  digest = hashlib.sha256()
  by_root: dict[str, dict[str, Facts]] = {}
  again = 0
  try:
    for line in read_lines(folder(place), name):
      digest.update(line)
      path = line.decode("utf-8", "surrogateescape").strip("\r\n")
      if not path.strip():
        continue
      root, path = _place_of(place, path)
      again += path in by_root.setdefault(root, {})
      by_root[root][path] = stamp
  except FileNotFoundError as error:
    raise ValueError(
      f"Expected a list of {what}s that is there. Received: images='@{list_path}'"
    ) from error
  stamp["etag"] = digest.hexdigest()
  require(bool(by_root), f"a list of at least one {what}", images=f"@{list_path}")
  every = [
    Matches(found=found, root=root, skipped={}) for root, found in by_root.items()
  ]
  return [dataclasses.replace(every[0], num_repeated=again), *every[1:]]


def _place_of(place: str, path: str) -> tuple[str, str]:
  """(the root, the path or URL) of a line in a list that lies at a place.

  A name must not depend on the other lines: so the root is the list's folder, or else
  the whole bucket or disk.
  """
  if not is_url(path):
    if is_url(place):
      path = join(place, path)
    else:
      path = os.path.normpath(os.path.join(place, os.path.expanduser(path)))
  if is_below(path, place):
    return place, path
  scheme, mark, rest = path.partition("://")
  return (f"{scheme}{mark}{rest.partition('/')[0]}" if mark else "/"), path


def file_system(pattern: str) -> tuple[Any, str]:
  """(fsspec's file system, the pattern without its protocol)."""
  try:
    files, bare = file_system_of(pattern)
    return (Patient(files) if is_url(pattern) else files), bare
  except (ImportError, ValueError) as error:
    raise ValueError(
      f"Expected a local path or glob, or a URL whose file system is installed "
      f"({error}). Received: images={pattern!r}"
    ) from error


def is_special(path: str) -> bool:
  """Whether a local path leads to a pipe, a socket or a device."""
  try:
    mode = os.stat(path).st_mode
  except OSError:  # gone, or a link to nowhere, as whoever reads it will say
    return False
  return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _split(files: Any, bare: str) -> tuple[str, str]:
  """(what is there and taken as it is, the pattern below it or nothing)."""
  steps = bare.split("/")
  for end in range(len(steps), 0, -1):
    path = "/".join(steps[:end])
    is_whole = end == len(steps)
    if (is_whole or _MAGIC & set(steps[end - 1])) and files.exists(path):
      return path, "/".join(steps[end:])
  first = next((i for i, step in enumerate(steps) if _MAGIC & set(step)), len(steps))
  first = min(first, len(steps) - 1)  # without any magic: a name that is not there
  return "/".join(steps[:first]), "/".join(steps[first:])


def _alternatives(pattern: str) -> list[str]:
  """`{a,b}` as shells read it."""
  choice = _CHOICE.search(pattern)
  if choice is None:
    return [pattern]
  head, tail = pattern[: choice.start()], pattern[choice.end() :]
  every = (_alternatives(head + one + tail) for one in choice[1].split(","))
  return list(dict.fromkeys(one for some in every for one in some))


def _literal(files: Any, path: str) -> Matches:
  facts = files.info(path)
  is_folder = facts.get("type") == "directory"
  root = path if is_folder else path.rpartition("/")[0]
  return Matches(found={path: facts}, root=root, skipped={})


def _glob(files: Any, root: str, rest: str) -> Matches:
  steps = rest.split("/")
  first = next((i for i, step in enumerate(steps) if _MAGIC & set(step)), -1)
  if first >= 0:
    rest = _in_any_case(rest)
  if _MAGIC & set(root):  # only its own folder is walked, and nothing in it is magic
    from fsspec.utils import glob_translate

    depth = None if "**" in rest else len(steps)
    below = files.find(root, maxdepth=depth, withdirs=True, detail=True)
    is_match = re.compile(glob_translate(rest)).match
    found = {p: f for p, f in below.items() if is_match(p[len(root) :].lstrip("/"))}
  else:
    found = files.glob(f"{root}/{rest}" if root else rest, detail=True)
  if steps[-1] == "**":  # asks for every file below; its folders are only the way
    found = {p: f for p, f in found.items() if f.get("type") != "directory"}
  return Matches(found=found, root="/".join([root, *steps[:first]]), skipped={})


def _in_any_case(rest: str) -> str:
  """`*.jpg` as `*.[jJ][pP][gG]`."""
  folders, slash, name = rest.rpartition("/")
  ending = _ENDING.search(name)
  if ending is None or not _MAGIC & set(name[: ending.start()]):
    return rest
  letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in ending[0])
  return f"{folders}{slash}{name[: ending.start()]}{''.join(letters)}"


def _sorted_out(
  files: Any, given: Matches, endings: Collection[str], is_pattern: bool
) -> Matches:
  """Takes folders for their pictures where there is nothing else, and skips."""
  found, skipped = dict(given.found), {}
  if found and all(facts.get("type") == "directory" for facts in found.values()):
    found = {}
    for folder in given.found:
      below = files.find(folder, detail=True)
      found |= below
      skipped |= {path: _unasked(path[len(folder) :], endings) for path in below}
  for path, facts in found.items():
    if is_pattern and _is_system_file(path):
      skipped[path] = "system_file"
    elif facts.get("type") == "other" and is_special(path):
      require(
        is_pattern or path not in given.found,
        "a file, a folder or a pattern, and no pipe, socket or device",
        images=path,
      )
      skipped[path] = "special_file"
  skipped = {path: why for path, why in skipped.items() if why}
  found = {path: facts for path, facts in found.items() if path not in skipped}
  return Matches(found=found, root=given.root, skipped=skipped)


def _unasked(below: str, endings: Collection[str]) -> str:
  """Why a file of a folder that was given whole is none of its pictures, or empty."""
  if _is_system_file(below):
    return "system_file"
  if "/." in f"/{below.lstrip('/')}":
    return "hidden_file"
  return "" if os.path.splitext(below)[1].lower() in endings else "other_file"


def _is_system_file(path: str) -> bool:
  name = path.rpartition("/")[2]
  return name.startswith("._") or name.lower() in _SYSTEM_FILES


def _hint(files: Any, literal: str, rest: str, every: Iterable[Matches]) -> str:
  """What lies where nothing matched."""
  skipped = {path: why for one in every for path, why in one.skipped.items()}
  if skipped:
    path, why = next(iter(skipped.items()))
    return f"{len(skipped)} skipped, such as the {why} {path!r}"
  folder = literal or "."
  while not files.exists(folder) and "/" in folder.rstrip("/"):
    folder, _, rest = folder.rpartition("/")
    folder = folder or "/"
  if not files.exists(folder):
    folder, rest = ".", folder
  wanted = rest.split("/")[0]
  try:
    names = sorted(path.rstrip("/").rpartition("/")[2] for path in files.ls(folder, 0))
    names = [name for name in names if not name.startswith(".")]
  except OSError as error:
    return f"{folder}: {error.strerror or error}"
  near = difflib.get_close_matches(wanted, names, 1, 0.5) or names[:1]
  told = f"{folder!r} holds nothing"
  if names:
    told = f"{folder!r} holds {len(names)} other names, such as {near[0]!r}"
  if "[" in rest:
    told += "; [...] stands for one character of those in it, and [[] for a bracket"
  return told


def _with_protocol(files: Any, given: Matches) -> Matches:
  full = files.unstrip_protocol
  return Matches(
    found={full(path): facts for path, facts in given.found.items()},
    root=full(given.root),
    skipped={full(path): why for path, why in given.skipped.items()},
  )
