"""`hardmine evaluate KIND`: each kind is a module like a sub-command's."""

from __future__ import annotations

import argparse

from hardmine.pipelines.cli import evaluate_coco, evaluate_rate_distortion

HELP = "Measures a codec on photographs, or a detector's boxes against true ones."
KINDS = {
  "rate-distortion": evaluate_rate_distortion,
  "coco": evaluate_coco,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the kinds of evaluation and their arguments."""
  kinds = parser.add_subparsers(dest="kind", metavar="KIND", required=True)
  for name, module in KINDS.items():
    module.add_arguments(
      kinds.add_parser(name, help=module.SUMMARY, description=module.HELP)
    )


def run(args: argparse.Namespace) -> int:
  """Runs the kind that was chosen."""
  return KINDS[args.kind].run(args)
