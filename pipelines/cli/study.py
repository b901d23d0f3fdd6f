"""`hardmine study KIND`: each kind is a module like a sub-command's."""

from __future__ import annotations

import argparse

from hardmine.pipelines.cli import study_tradeoff

HELP = "Measures many models side by side, and shows what buys what."
KINDS = {"tradeoff": study_tradeoff}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the kinds of studies and their arguments."""
  kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
  for name, module in KINDS.items():
    module.add_arguments(
      kinds.add_parser(name, help=module.SUMMARY, description=module.HELP)
    )


def run(args: argparse.Namespace) -> int:
  """Runs the kind that was chosen."""
  return KINDS[args.kind].run(args)
