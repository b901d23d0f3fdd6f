"""`hardmine study KIND`: each kind is a module like a sub-command's."""

from __future__ import annotations

import argparse

from hardmine.pipelines.cli import (
  study_ensemble,
  study_rate_distortion,
  study_tradeoff,
)
from hardmine.pipelines.cli.kinds import add_kinds

HELP = "Measures many models side by side, and shows what buys what."
KINDS = {
  "tradeoff": study_tradeoff,
  "ensemble": study_ensemble,
  "rate-distortion": study_rate_distortion,
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the kinds of studies and their arguments."""
  add_kinds(parser, KINDS)


def run(args: argparse.Namespace) -> int:
  """Runs the kind that was chosen."""
  return KINDS[args.kind].run(args)
