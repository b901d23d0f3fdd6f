"""`--categories`: objects of some kinds alone, by their names."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence

from hardmine.schemas.config import require

_NUM_SHOWN = 12  # names in a message


def add_categories(parser: argparse._ActionsContainer, purpose: str) -> None:
  """Adds `--categories`, which `chosen_names` reads."""
  parser.add_argument(
    "--categories",
    metavar="NAME,...",
    action="append",
    help=f"{purpose}; may be given several times",
  )


def chosen_names(given: Sequence[str], names: Iterable[str], of: str) -> set[str]:
  """The names that were given, several with commas between; a name may hold some.

  Args:
    given: what stood behind each `--categories`.
    names: all that there are.
    of: has them, for the error.

  Raises:
    ValueError: a name that is not there.
  """
  known = list(dict.fromkeys(names))
  chosen = set()
  for text in given:
    for name in [text] if text in known else text.split(","):
      plain = name if name in known else name.strip()
      shown = ", ".join(known[:_NUM_SHOWN]) + ", ..." * (len(known) > _NUM_SHOWN)
      require(plain in known, f"categories of {of} ({shown})", category=plain)
      chosen.add(plain)
  return chosen
