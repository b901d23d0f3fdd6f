"""`hardmine models ACTION`: each action is a function of one of five modules."""

from __future__ import annotations

import argparse
import sys

from hardmine.pipelines.cli import (
  models_convert,
  models_import,
  models_moves,
  models_upkeep,
  models_views,
)

HELP = (
  "Looks into a model store and moves its aliases. A store is a folder or a URL such "
  "as gs://bucket/store; `hardmine run` keeps one in ROOT/store. Exits 1 when a "
  "version is damaged or could not be asked, 3 when one is refused or somebody else "
  "moved the alias first."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the actions and their arguments."""
  actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
  for module in (
    models_views,
    models_moves,
    models_upkeep,
    models_convert,
    models_import,
  ):
    module.add_actions(actions)


def run(args: argparse.Namespace) -> int:
  """Runs the action that was chosen."""
  from hardmine.serving.store.entries import Conflict

  try:
    return args.run_action(args)
  except Conflict as conflict:
    print(f"hardmine: {conflict}", file=sys.stderr)
    return models_moves.REFUSED
