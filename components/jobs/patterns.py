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
import os
import re
import stat
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from hardmine.components.jobs.walking import Facts, walk
from hardmine.schemas.bucket import Patient, file_system_of
from hardmine.schemas.config import require
from hardmine.schemas.files import sha256_of
from hardmine.schemas.folders import file_at
from hardmine.schemas.uris import is_below, is_url, join

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


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
  """A path that a pattern means, or passes over.

  Attributes:
    path: with a URL's protocol, if the pattern has one.
    root: the folder that the pattern starts from, below which names of photographs
      begin.
    facts: of the path, as fsspec gives them; a folder was matched beside files.
    why: it is skipped, among `system_file`, `special_file`, and for files of a folder
      that was given whole, `hidden_file` and `other_file`; empty where it is not.
  """

  path: str
  root: str
  facts: Facts
  why: str = ""


def match(
  pattern: str, *, endings: Collection[str] = PICTURES, what: str = "image"
) -> Iterator[Match]:
  """Expands a pattern; see the top of this module. Paths may come more than once.

  Args:
    pattern: a local one, or a URL of any file system fsspec knows.
    endings: of the names that a folder is searched for, in small letters.
    what: is sought, for the error.

  Raises:
    ValueError: nothing matches, or the file system is not installed; the line says
      what lies nearest. At the end, where nothing was yielded that is not skipped.
  """
  require(pattern != "", f"a path or pattern of {what}s", images=pattern)
  if re.match(r"(?i)(https?|ftp)://", pattern):
    raise ValueError(
      f"Expected {what}s on a disk or in a bucket; fetch them first, as with `wget`. "
      f"Received: images={pattern!r}"
    )
  if pattern[:1] == "@" and not os.path.lexists(pattern):
    yield from _listed(pattern[1:], what)
    return
  is_url = "://" in pattern
  files, bare = file_system(pattern if is_url else os.path.expanduser(pattern))
  literal, rest = _split(files, bare)
  is_empty, num_skipped, skipped = True, 0, ("", "")
  for one in _alternatives(rest) if rest else [""]:
    for found in _sorted_out(files, literal, one, endings):
      if found.why:
        skipped = skipped if num_skipped else (found.path, found.why)
        num_skipped += 1
      else:
        is_empty = False
      yield _with_protocol(files, found) if is_url else found
  if is_empty:
    hint = _hint(files, literal, rest)
    if num_skipped:
      hint = f"{num_skipped} skipped, such as the {skipped[1]} {skipped[0]!r}"
    raise ValueError(
      f"Expected a path or pattern that matches at least one {what} ({hint}). "
      f"Received: images={pattern!r}"
    )


def _listed(list_path: str, what: str) -> Iterator[Match]:
  """What a list names, below its folder and elsewhere."""
  place, name = file_at(list_path)
  is_empty = True
  try:
    with place.local_copy(name) as copy:
      stamp: Facts = {"etag": sha256_of(copy)}  # of the list: each file is a request
      with copy.open("rb") as lines:
        for line in lines:
          path = line.decode("utf-8", "surrogateescape").strip("\r\n")
          if path.strip():
            is_empty = False
            root, path = _place_of(place.url, path)
            yield Match(path, root, stamp)
  except FileNotFoundError as error:
    raise ValueError(
      f"Expected a list of {what}s that is there. Received: images='@{list_path}'"
    ) from error
  require(not is_empty, f"a list of at least one {what}", images=f"@{list_path}")


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


def _literal(files: Any, path: str) -> tuple[str, Iterator[tuple[str, Facts]]]:
  """(root, the path itself)."""
  facts = files.info(path)
  is_folder = facts.get("type") == "directory"
  return path if is_folder else path.rpartition("/")[0], iter([(path, facts)])


def _glob(files: Any, root: str, rest: str) -> tuple[str, Iterator[tuple[str, Facts]]]:
  """(root, what matches)."""
  steps = rest.split("/")
  first = next((i for i, step in enumerate(steps) if _MAGIC & set(step)), -1)
  start = "/".join([root, *steps[:first]])
  if first < 0:
    found = files.glob(f"{root}/{rest}" if root else rest, detail=True)
    return start, iter(found.items())
  return start, _below(files, start, steps[first:])


def _below(files: Any, start: str, steps: Sequence[str]) -> Iterator[tuple[str, Facts]]:
  """What lies below a folder, in which nothing is magic, and matches the rest."""
  from fsspec.utils import glob_translate

  rest = "/".join(steps)
  is_match = re.compile(glob_translate(_in_any_case(rest))).match
  depth = None if "**" in rest else len(steps)
  all_files = steps[-1] == "**"  # asks for every file, and its folders are the way
  for path, facts in walk(files, start, depth=depth, with_folders=not all_files):
    if is_match(path[len(start) :].lstrip("/")):
      yield path, facts


def _in_any_case(rest: str) -> str:
  """`*.jpg` as `*.[jJ][pP][gG]`."""
  folders, slash, name = rest.rpartition("/")
  ending = _ENDING.search(name)
  if ending is None or not _MAGIC & set(name[: ending.start()]):
    return rest
  letters = (f"[{c.lower()}{c.upper()}]" if c.isalpha() else c for c in ending[0])
  return f"{folders}{slash}{name[: ending.start()]}{''.join(letters)}"


def _sorted_out(
  files: Any, literal: str, rest: str, endings: Collection[str]
) -> Iterator[Match]:
  """Takes folders for their pictures where there is nothing else, and skips."""
  root, found = _glob(files, literal, rest) if rest else _literal(files, literal)
  folders: list[tuple[str, Facts]] | None = []  # until something else is there
  for path, facts in found:
    if folders is not None and facts.get("type") == "directory":
      folders.append((path, facts))
      continue
    for one, its in folders or ():
      yield Match(one, root, its, _unusable(one, its, rest))
    folders = None
    yield Match(path, root, facts, _unusable(path, facts, rest))
  last = None
  for folder, _ in sorted(folders or (), key=lambda one: one[0]):
    if last is not None and f"{folder}/".startswith(f"{last}/"):
      continue  # has been searched
    last = folder.rstrip("/")
    for path, facts in walk(files, folder):
      why = _unasked(path[len(folder) :], endings)
      yield Match(path, root, facts, _unusable(path, facts, "*") or why)


def _unusable(path: str, facts: Facts, rest: str) -> str:
  """Why what was matched cannot be a photograph, or empty.

  Raises:
    ValueError: it was given by its name, without a pattern.
  """
  if rest and _is_system_file(path):
    return "system_file"
  if facts.get("type") != "other" or not is_special(path):
    return ""
  expected = "a file, a folder or a pattern, and no pipe, socket or device"
  require(bool(rest), expected, images=path)
  return "special_file"


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


def _hint(files: Any, literal: str, rest: str) -> str:
  """What lies where nothing matched."""
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


def _with_protocol(files: Any, found: Match) -> Match:
  full = files.unstrip_protocol
  return Match(full(found.path), full(found.root), found.facts, found.why)
