"""`hardmine compile`: a file by which a scheduler runs an experiment."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
from types import ModuleType
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.config import require

if TYPE_CHECKING:
  from hardmine.pipelines.orchestrators.compiled import Request

HELP = (
  "Writes an experiment's pipeline as a file of a scheduler, which runs its nodes "
  "one by one, each in a process of its own. The same words give the same file."
)
PASSES_ON = True  # Beam's own flags

# Each a module of `pipelines/orchestrators/` with
#   add_arguments(parser) -> None              its own options, in a group of their own
#   KIND: FileKind                             which files alone `--overwrite` replaces
#   compiled(request, args) -> str             the whole file
#   told(request, args) -> list[str]           what to do next, line by line
TARGETS = ("airflow", "vertex")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  from hardmine.pipelines.cli import own_data
  from hardmine.pipelines.cli.beam_arguments import add_beam_arguments
  from hardmine.pipelines.cli.experiment_arguments import add_experiment_arguments

  add_experiment_arguments(parser)
  parser.add_argument(
    "--for", dest="target", required=True, choices=TARGETS, help="the scheduler"
  )
  parser.add_argument(
    "--output", metavar="PATH", required=True, help="the file that is written"
  )
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help="replace the file if it was written by this command and nobody changed it",
  )
  parser.add_argument(
    "--metadata",
    metavar="PATH|URL",
    help="where the records of runs lie: a SQLite file (default: in the root), or "
    "mysql://USER@HOST/DATABASE without a password, which $HARDMINE_METADATA is for",
  )
  add_beam_arguments(parser)
  parser.add_argument(
    "--hardmine",
    metavar="PATH",
    help="the program that the nodes call, where they run (default: this one)",
  )
  own_data.add_arguments(parser)
  for target in TARGETS:
    _module(target).add_arguments(parser)


def run(args: argparse.Namespace) -> int:
  """Writes the file and says what to do with it."""
  from hardmine.schemas.outputs import OutputFile

  module = _module(args.target)
  output = OutputFile(
    args.output,
    module.KIND,
    overwrite=args.overwrite,
    sources=[args.experiment] if os.path.isfile(args.experiment) else [],
  )
  request = _request(args)
  output.write(module.compiled(request, args))
  print(printable(f"{args.output}: {request.experiment.name} for {args.target}"))
  for line in module.told(request, args):
    print(printable(line))
  return 0


def _module(target: str) -> ModuleType:
  return importlib.import_module(f"hardmine.pipelines.orchestrators.{target}")


def _request(args: argparse.Namespace) -> Request:
  from hardmine.pipelines.cli.beam_arguments import chosen_arguments
  from hardmine.pipelines.cli.experiment_arguments import chosen_experiment
  from hardmine.pipelines.experiments import names
  from hardmine.pipelines.orchestrators.compiled import Request, holds_password
  from hardmine.pipelines.site import Site

  metadata = args.metadata
  if metadata is not None:
    require(metadata != "", "a path or a URL behind --metadata", metadata=metadata)
    if holds_password(metadata):
      raise ValueError(
        "Expected --metadata without a password, for the file is no place for one: set "
        "HARDMINE_METADATA where the nodes run. Received: a URL with a password"
      )
    if "://" not in metadata:
      metadata = os.path.abspath(os.path.expanduser(metadata))
  beam_arguments = chosen_arguments(args)
  experiment, assignments = chosen_experiment(args)
  known = args.experiment in names()
  return Request(
    experiment=experiment,
    reference=args.experiment if known else os.path.abspath(args.experiment),
    assignments=tuple(assignments),
    site=Site(
      root=args.root or os.path.join("runs", experiment.name),
      store=args.store,
      beam_arguments=beam_arguments,
    ),
    metadata=metadata,
    beam_words=_beam_words(args),
    working_dir=os.getcwd(),
    program=_program(args.hardmine),
  )


def _beam_words(args: argparse.Namespace) -> tuple[str, ...]:
  words = [] if args.beam == "direct" else ["--beam", args.beam]
  if args.workers is not None:
    words += ["--workers", str(args.workers)]
  return (*words, *args.passed_on)


def _program(given: str | None) -> str:
  """The absolute path of the command, which need not be on this machine."""
  if given is not None:
    require(given != "", "a path behind --hardmine", hardmine=given)
    return os.path.abspath(os.path.expanduser(given))
  beside = os.path.join(os.path.dirname(sys.executable), "hardmine")
  found = beside if os.access(beside, os.X_OK) else shutil.which("hardmine")
  require(found is not None, "--hardmine PATH, for there is none beside Python")
  return os.path.abspath(str(found))
