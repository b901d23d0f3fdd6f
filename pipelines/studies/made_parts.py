"""What a study makes for the documentation: a part of a page, and pictures as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically
from hardmine.serving.pages.axes import HEIGHT, ROW_PX, WIDTH
from hardmine.serving.pages.svg import words

END = "<!-- until here -->"
_STYLE = (
  "font-family: Helvetica, Arial, sans-serif; font-size: 12.5px; fill: #475569; "
  "background: #fff"
)


def fill(page: Path, begin: str, text: str) -> None:
  """Rewrites what stands between two marks of a page.

  Args:
    page: its path.
    begin: the first mark; `END` is the second.
    text: lines to stand there.

  Raises:
    ValueError: it has no such part, or several.
  """
  head, mark, rest = page.read_text("utf-8").partition(begin)
  _, end, tail = rest.partition(END)
  require(
    bool(mark and end) and begin not in rest,
    f"a page with one {begin} and {END} behind it",
    path=str(page),
  )
  write_atomically(page, f"{head}{mark}\n{text}{end}{tail}")


def alone(plot: str, legend: Sequence[Sequence[tuple[str, str]]]) -> str:
  """An `<svg>` element of a page as a file, with a legend in it.

  Args:
    plot: as `serving.pages.axes.picture` makes it.
    legend: columns of (an element around the origin, the name beside it).
  """
  entries = [
    f'<g transform="translate({24 + 200 * column} {HEIGHT + 8 + ROW_PX * row})">'
    f"{mark}{words((12, 4), name, 'start')}</g>"
    for column, rows in enumerate(legend)
    for row, (mark, name) in enumerate(rows)
  ]
  height = HEIGHT + ROW_PX * max(map(len, legend), default=0) + 8
  head = (
    f'<svg xmlns="http://www.w3.org/2000/svg" width="{1.5 * WIDTH:g}" '
    f'viewBox="0 0 {WIDTH} {height}" style="{_STYLE}"'
  )
  whole = plot.replace(f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}"', head, 1)
  return f"{whole.removesuffix('</svg>')}{''.join(entries)}</svg>\n"
