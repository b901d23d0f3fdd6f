"""What users wrote, shown to people: whole, as it is, and no command to a terminal."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Sequence

_MAX_RICH_ROWS = 200  # a thousand take it a second
# Control characters, those that turn the direction of what follows, lone surrogates
# and separators of lines; but joiners are a part of many scripts' words.
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def printable(text: str) -> str:
  """A text of one line in which everything shows; `\\x1b` stands for an escape."""
  if text.isascii() and text.isprintable():
    return text
  return "".join(
    letter.encode("unicode_escape").decode()
    if letter not in _JOINERS and unicodedata.category(letter) in _UNSEEN
    else letter
    for letter in text
  )


def os_error_line(error: OSError) -> str:
  """The file and what is wrong with it; without a file, what Python says."""
  if error.filename is None or error.strerror is None:
    if isinstance(error, PermissionError) and error.errno is None:  # of a bucket
      return f"the storage refuses: {error}; are the credentials meant for it?"
    return str(error)
  return f"{error.filename}: {error.strerror}"


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
  """For people; a column named `>x` is aligned to the right.

  A terminal folds what is too long for it. Piped lines are for programs such as grep,
  and are as long as they are.
  """
  names = [column.removeprefix(">") for column in columns]
  to_the_right = [column.startswith(">") for column in columns]
  shown = [[printable(cell) for cell in row] for row in rows]
  if sys.stdout.isatty() and len(rows) <= _MAX_RICH_ROWS:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name, right in zip(names, to_the_right):
      table.add_column(
        name, justify="right" if right else "left", no_wrap=right, overflow="fold"
      )
    for row in shown:
      table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)
    return
  widths = [max(map(len, column)) for column in zip(names, *shown)]
  for row in (names, *shown):
    cells = [
      cell.rjust(width) if right else cell.ljust(width)
      for cell, width, right in zip(row, widths, to_the_right)
    ]
    print("  ".join(cells).rstrip())
