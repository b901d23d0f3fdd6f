"""The index, and the pages that older versions and older lines of the log go to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hardmine.serving.board import wording
from hardmine.serving.board.figures import histories
from hardmine.serving.board.folder import INDEX
from hardmine.serving.board.reading import Overview
from hardmine.serving.pages.shell import render_page

TEMPLATE = Path(__file__).with_name("index.html.jinja")
LIST_TEMPLATE = Path(__file__).with_name("list.html.jinja")
KINDS = {"codec": "Codecs", "detector": "Detectors"}
# How many the index shows, and how many a page of older ones.
VERSIONS = (40, 200)
LINES = (25, 200)


def shell() -> dict[str, Any]:
  """What every page of a board gives to `render_page`, and its words."""
  return {
    "problems": [],
    "environment": {},
    "lineage": None,
    "config": None,
    "wording": wording,
    "index": INDEX,
  }


def list_names(overview: Overview) -> dict[str, list[str]]:
  """File names of the pages of older versions and of older lines of the log."""
  return {
    "versions": _names("versions", len(overview.rows), VERSIONS),
    "log": _names("log", len(overview.log), LINES),
  }


def render_index(overview: Overview, title: str) -> str:
  """The index as text."""
  later = list_names(overview)
  values = shell()
  values["problems"] = [
    f"version {row.number} cannot be read: {row.problem}"
    for row in overview.rows
    if row.problem
  ][:10]
  return render_page(
    TEMPLATE,
    verdict=None,
    **values,
    overview=overview,
    title=title,
    counts=[
      (KINDS[kind], len(overview.of_kind(kind)))
      for kind in KINDS
      if overview.of_kind(kind)
    ],
    histories=[
      (KINDS[kind], plots)
      for kind in KINDS
      if (plots := histories(kind, overview.of_kind(kind)))
    ],
    rows=overview.rows[: VERSIONS[0]],
    older_versions=next(iter(later["versions"]), ""),
    lines=overview.log[: LINES[0]],
    older_lines=next(iter(later["log"]), ""),
    existing=overview.readable(),
  )


def render_lists(overview: Overview, title: str) -> Iterator[tuple[str, str]]:
  """Name and text of the pages after the index."""
  for what, items, (first, size), heading in (
    ("versions", overview.rows, VERSIONS, "Versions"),
    ("log", overview.log, LINES, "Log"),
  ):
    names = _names(what, len(items), (first, size))
    for page, name in enumerate(names):
      start = first + page * size
      part = items[start : start + size]
      yield (
        name,
        render_page(
          LIST_TEMPLATE,
          verdict=None,
          **shell(),
          overview=overview,
          title=title,
          heading=heading,
          rows=part if what == "versions" else (),
          lines=part if what == "log" else (),
          page=page + 1,
          num_pages=len(names),
          newer=names[page - 1] if page else INDEX,
          older=names[page + 1] if page + 1 < len(names) else "",
          existing=overview.readable(),
        ),
      )


def _names(what: str, num: int, sizes: Sequence[int]) -> list[str]:
  first, size = sizes
  num_pages = -(-max(0, num - first) // size)
  return [f"{what}-{page + 1}.html" for page in range(num_pages)]
