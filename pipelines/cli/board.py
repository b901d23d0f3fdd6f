"""`hardmine board`: static pages about a model store."""

from __future__ import annotations

import argparse
import dataclasses
import json

from hardmine.pipelines.cli.model_store_arguments import add_store, open_store
from hardmine.pipelines.cli.progress import progress

HELP = (
  "Writes pages about a model store: which versions are live, what every version "
  "measured, how it differs from the one in production, and who moved what and why. "
  "They fetch and run nothing, so any web server can show them, or none."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  add_store(parser)
  parser.add_argument(
    "--output",
    required=True,
    metavar="DIR",
    help="for the pages: a folder that is new, empty, or an older board, which is "
    "replaced",
  )
  parser.add_argument(
    "--title", metavar="TEXT", default="Model store", help="default: %(default)s"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Writes the pages and prints where the first one lies.

  Raises:
    ValueError: there is no store, or the folder holds something else.
    OSError: a page cannot be written.
  """
  from hardmine.serving.board.build import write_board

  store = open_store(args)
  with progress("writing", "pages", quiet=args.json) as on_progress:
    board = write_board(store, args.output, title=args.title, report=on_progress)
  if args.json:
    print(json.dumps(dataclasses.asdict(board)))
  else:
    print(board.index)
  return 0
