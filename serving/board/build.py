"""From a store to the files of its board."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator

from hardmine.serving.board.folder import INDEX, BoardFolder
from hardmine.serving.board.index_page import list_names, render_index, render_lists
from hardmine.serving.board.reading import Overview, Store, read
from hardmine.serving.board.version_page import VersionPages, page_name

TITLE = "Model store"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Board:
  """What was written.

  Attributes:
    index: the path to open.
    num_versions: with a page each.
    num_pages: all of them.
    num_bytes: of all pages.
  """

  index: str
  num_versions: int
  num_pages: int
  num_bytes: int


def write_board(
  store: Store,
  output: str | os.PathLike,
  *,
  title: str = TITLE,
  report: Callable[[int, int], None] | None = None,
) -> Board:
  """Writes the pages about a store; an old board in the folder is replaced.

  Args:
    store: is only read.
    output: a folder that is new, empty or a board.
    title: on top of every page.
    report: is given the number of pages done, and of all.

  Raises:
    ValueError: there is no store, or the folder holds something else.
    OSError: a page cannot be written.
  """
  folder = BoardFolder(output)  # before the work of reading
  overview = read(store)
  names = _names(overview)
  pages = _pages(store, overview, title)

  def counted() -> Iterator[tuple[str, str]]:
    for done, page in enumerate(pages, start=1):
      yield page
      if report is not None:
        report(done, len(names))

  num_bytes = folder.replace(names, counted())
  return Board(
    index=str(folder.path / INDEX),
    num_versions=sum(not row.problem for row in overview.rows),
    num_pages=len(names),
    num_bytes=num_bytes,
  )


def _names(overview: Overview) -> list[str]:
  lists = list_names(overview)
  versions = [page_name(row.number) for row in overview.rows if not row.problem]
  return [*versions, *lists["versions"], *lists["log"], INDEX]


def _pages(store: Store, overview: Overview, title: str) -> Iterator[tuple[str, str]]:
  """Name and text, one at a time: a thousand pages need the memory of one."""
  pages = VersionPages(store, overview, title)
  for row in overview.rows:
    if not row.problem:
      yield page_name(row.number), pages.render(row)
  yield from render_lists(overview, title)
  yield INDEX, render_index(overview, title)
