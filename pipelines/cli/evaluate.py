"""`hardmine evaluate KIND`: each kind is a module like a sub-command's."""

from __future__ import annotations

import argparse

from hardmine.pipelines.cli import evaluate_coco, evaluate_rate_distortion
from hardmine.pipelines.cli.kinds import add_kinds

HELP = "Measures a codec on photographs, or a detector's boxes against true ones."
KINDS = {
  "rate-distortion": evaluate_rate_distortion,
  "coco": evaluate_coco,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the kinds of evaluation and their arguments."""
  add_kinds(parser, KINDS)


def run(args: argparse.Namespace) -> int:
  """Runs the kind that was chosen."""
  return KINDS[args.kind].run(args)
