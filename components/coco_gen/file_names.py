"""Which file of a folder an annotation means, however it spells the name.

Annotations come from other systems, other folders and from web pages. A name is read
in these ways, and the first that a file has is taken:

    as written      `sub/a.jpg`, or a path that leads into the folder by another way
    slashes turned  `sub\\a.jpg`, `C:\\data\\a.jpg`
    unquoted        `my%20a.jpg`
    shortened       `data/sub/a.jpg`: without its first folders; what was no path of
                    this folder at all, by its last step alone, wherever that lies
    completed       `a`: with the extension of an image
    of the XML      the stem of Pascal's own XML file
    other case      `A.JPG`, or another of Unicode's ways to write the same letters

A way that leads to several files is refused. Behind `unquoted`, none leads to a file
that another entry names as it is.
"""

from __future__ import annotations

import collections
import difflib
import os
import posixpath
import re
import unicodedata
import urllib.parse
from collections.abc import Iterable, Iterator

from hardmine.components.coco_gen.annotations import Fault, ListedImage

AS_WRITTEN = "as_written"
_OTHER_LETTERS = ("slashes_turned", "unquoted")  # the same path, written otherwise
_EXTENSIONS = frozenset(
  (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
)
_NUM_HINTS = 3  # nearest names looked for: a second each among 100,000


class FileNames:
  """The files of a folder.

  Args:
    folder: as the config spells it.
    names: paths below it.
    listed: all files that annotations name in it.
  """

  def __init__(self, folder: str, names: Iterable[str], listed: Iterable[str]):
    self._folder = folder.rstrip("/") or "/"
    self._names = frozenset(names)
    self._roots = tuple(
      f"{root.rstrip('/')}/"
      for root in dict.fromkeys(
        (folder, os.path.abspath(folder), os.path.realpath(folder))
      )
    )
    self._real_dirs: dict[str, str] = {}
    self._claimed = self._names.intersection(filter(None, map(self.below, listed)))
    self._indices: tuple[dict[str, list[str]], ...] | None = None
    self._hints_left = _NUM_HINTS

  def find(self, image: ListedImage) -> tuple[str, str] | Fault:
    """(the path below the folder, the way by which it was found), or why not."""
    as_written = self.below(image.file)
    if as_written in self._names:
      return as_written, AS_WRITTEN
    for way, names in self._ways(image, as_written):
      free = way in _OTHER_LETTERS
      found = sorted({name for name in names if free or name not in self._claimed})
      if len(found) > 1:
        detail = f"{image.file!r} may be {found[0]} or {found[1]} in {self._folder}"
        return _fault(image, "ambiguous_name", detail)
      if found:
        return found[0], way
    if as_written is None:
      detail = f"{image.file!r} leaves the images' folder"
      return _fault(image, "path_outside_folder", detail)
    detail = f"no such file in {self._folder}{self._hint(image.file)}"
    return _fault(image, "missing_image", detail)

  def _ways(
    self, image: ListedImage, as_written: str | None
  ) -> Iterator[tuple[str, Iterable[str]]]:
    """The ways behind the first, each with the files that it leads to."""
    by_base, by_stem, by_fold = self._index()
    turned = re.sub(r"^[A-Za-z]:", "", image.file.replace("\\", "/"))
    unquoted = urllib.parse.unquote(turned)
    yield "slashes_turned", self._known([self.below(turned)])
    yield "unquoted", self._known([self.below(unquoted)])
    spelled = list(dict.fromkeys((turned, unquoted)))
    # Folders of this system are meant; those of another one say nothing.
    anywhere = as_written is None or turned != image.file or "/" not in turned
    tails = [tail for name in spelled for tail in _tails(name)]
    bases = [posixpath.basename(name) for name in spelled]
    for tail in tails:
      yield "shortened", self._known([tail])
    if anywhere:
      yield "shortened", [name for base in bases for name in by_base.get(base, ())]
    for tail in tails:
      yield "completed", by_stem.get(tail, ())
    if image.own_stem is not None:
      yield "of_the_xml", by_stem.get(image.own_stem, ())
    for tail in tails:
      yield "other_case", by_fold.get(_folded(tail), ())

  def _known(self, paths: Iterable[str | None]) -> list[str]:
    return [path for path in paths if path is not None and path in self._names]

  def below(self, path: str) -> str | None:
    """A path as one below the folder; None where it leads elsewhere."""
    normal = posixpath.normpath(path)
    if "://" not in path:
      if not posixpath.isabs(normal) and normal.split("/", 1)[0] != "..":
        return normal
      path = posixpath.normpath(posixpath.join(self._roots[-1], path))
      parent, base = posixpath.split(path)
      if parent not in self._real_dirs:
        self._real_dirs[parent] = os.path.realpath(parent)
      path = posixpath.join(self._real_dirs[parent], base)
    for root in self._roots:
      if path.startswith(root):
        return posixpath.normpath(path[len(root) :])
    return None

  def _index(self) -> tuple[dict[str, list[str]], ...]:
    """Names by last step, by path without extension, and by folded path."""
    if self._indices is None:
      self._indices = tuple(collections.defaultdict(list) for _ in range(3))
      by_base, by_stem, by_fold = self._indices
      for name in self._names:
        by_base[posixpath.basename(name)].append(name)
        stem, extension = posixpath.splitext(name)
        if extension.lower() in _EXTENSIONS:
          by_stem[stem].append(name)
        by_fold[_folded(name)].append(name)
    return self._indices

  def _hint(self, name: str) -> str:
    if not self._hints_left:
      return ""
    self._hints_left -= 1
    near = difflib.get_close_matches(name, self._names, 1)
    return f"; the nearest name is {near[0]}" if near else ""


def _tails(name: str) -> list[str]:
  """A path, then without its first step, without its first two, ..."""
  steps = [step for step in name.split("/") if step not in ("", ".", "..")]
  return ["/".join(steps[start:]) for start in range(len(steps))]


def _folded(name: str) -> str:
  return unicodedata.normalize("NFC", name).casefold()


def _fault(image: ListedImage, reason: str, detail: str) -> Fault:
  return Fault(reason=reason, detail=detail, image_id=image.id, file=image.file)
