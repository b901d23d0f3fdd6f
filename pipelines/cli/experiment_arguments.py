"""Which experiment a command is about, and with which changes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from hardmine.schemas.experiment import Experiment


def add_experiment_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the experiment, where its runs keep what they make, and its settings."""
  from hardmine.pipelines.experiments import names

  parser.add_argument(
    "experiment",
    metavar="EXPERIMENT",
    help=f"{', '.join(names())}, or the path of a .py or .json file",
  )
  parser.add_argument(
    "--root",
    metavar="DIR|URL",
    help="what runs keep, a folder or a prefix of a bucket (default: runs/NAME)",
  )
  parser.add_argument(
    "--store", metavar="DIR|URL", help="the model store (default: ROOT/store)"
  )
  parser.add_argument(
    "--set",
    metavar="KEY=VALUE",
    action="append",
    default=[],
    help="replace a field, as in training.steps=500 or, of a list, in "
    "conversion.sources.0.images=photos; may be repeated",
  )
  parser.add_argument(
    "--strategy",
    choices=("auto", "cpu", "one_gpu", "mirrored", "multiworker"),
    help="the devices to train on, or all machines that TF_CONFIG names (sets "
    "training.strategy)",
  )


def chosen_experiment(args: argparse.Namespace) -> tuple[Experiment, list[str]]:
  """The experiment, flags and all, and the assignments that these came to.

  Raises:
    ValueError: there is no such experiment or field, or a value cannot be.
  """
  from hardmine.pipelines.cli import own_data
  from hardmine.pipelines.experiments import find

  experiment = find(args.experiment)
  strategy = [f"training.strategy={args.strategy}"] if args.strategy else []
  assignments = [*own_data.assignments(args, experiment), *args.set, *strategy]
  return experiment.override(assignments), assignments
