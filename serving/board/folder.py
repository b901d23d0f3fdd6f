"""The folder of a board: which files in it are ours, and how they are replaced."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically

INDEX = "index.html"
MARKER = "board.json"
_PAGE = re.compile(r"index\.html|(version|versions|log)-[0-9]+\.html")


class BoardFolder:
  """A folder that is new, empty, or a board.

  Attributes:
    path: absolute.
  """

  def __init__(self, output: str | os.PathLike):
    """Looks only; nothing is written.

    Raises:
      ValueError: a URL, a file, or a folder with content that is no board.
    """
    require(
      "://" not in str(output),
      "an output folder on this machine or a mounted one",
      output=str(output),
    )
    self.path = Path(os.path.abspath(output))
    require(
      self.path.is_dir() or not os.path.lexists(self.path),
      "an output folder, or nothing, there",
      output=str(output),
    )
    found = os.listdir(self.path) if self.path.is_dir() else []
    self._ours = self._marked()
    # A killed writer leaves its unfinished file, and that is no content.
    content = [name for name in found if not re.fullmatch(r"\..*\.tmp", name)]
    require(
      self._ours is not None or not content,
      "an output folder that is new, empty, or a board that this command wrote",
      output=str(output),
    )

  def replace(self, names: Sequence[str], pages: Iterable[tuple[str, str]]) -> int:
    """Writes pages, the index last, and removes those of the old board.

    Whoever reads meanwhile finds every page whole and every link leading somewhere.
    After a crash the folder still is a board, and the next call completes it.

    Args:
      names: of all pages that will come; another file of such a name is refused.
      pages: name and text, the index last.

    Returns:
      How many bytes the pages have.

    Raises:
      ValueError: a file that is not the board's stands where a page should.
    """
    ours = self._ours or set()
    for name in names:
      require(
        name in ours or not os.path.lexists(self.path / name),
        "no other file where the board has a page",
        file=str(self.path / name),
      )
    self.path.mkdir(parents=True, exist_ok=True)
    self._mark({*ours, *names})  # before the first page: whose they are stays known
    num_bytes = 0
    for name, text in pages:
      content = text.encode("utf-8")
      num_bytes += len(content)
      if not _holds(self.path / name, content):  # spares most writes of a thousand
        # Pages can be made again; a thousand waits for the disk would be a minute.
        write_atomically(self.path / name, content, durable=name == INDEX)
    for name in sorted(ours - set(names)):
      (self.path / name).unlink(missing_ok=True)
    self._mark(set(names))
    self._ours = set(names)
    return num_bytes

  def _marked(self) -> set[str] | None:
    """The pages of the board that is there, None where it is none.

    A name that no board writes is left out: whatever the file says, only pages are
    replaced or removed.
    """
    try:
      plain = json.loads((self.path / MARKER).read_text("utf-8"))
      names = plain["hardmine_board"]
      return {name for name in names if _PAGE.fullmatch(name)}
    except (OSError, ValueError, KeyError, TypeError):
      return None

  def _mark(self, names: set[str]) -> None:
    text = json.dumps({"hardmine_board": sorted(names)}, indent=1) + "\n"
    if not _holds(self.path / MARKER, text.encode()):
      write_atomically(self.path / MARKER, text)


def _holds(path: Path, content: bytes) -> bool:
  try:
    return not path.is_symlink() and path.read_bytes() == content
  except OSError:
    return False
