"""What commands that run one Beam job share: arguments, the running, the table."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from collections.abc import Iterable, Iterator
from typing import Any

from hardmine.components.jobs.job_identity import identified, run_id
from hardmine.pipelines.beam_runners import beam_log, pipeline_maker
from hardmine.pipelines.cli.beam_arguments import add_beam_arguments, chosen_arguments
from hardmine.pipelines.cli.progress import progress
from hardmine.schemas.config import Config, require
from hardmine.schemas.output_sets import output_set
from hardmine.schemas.uris import absolute, is_url


def job_arguments(
  parser: argparse.ArgumentParser,
  config: type[Config],
  *,
  made: str,
  share: str,
  pays_off_from: str,
) -> None:
  """Adds the arguments of a job.

  Args:
    parser: the command's.
    config: gives the defaults of `num_shards` and `max_dead_share`.
    made: what the job writes, as `the patches`.
    share: of what may be unusable, as `this share of images`.
    pays_off_from: how many of what more than one process is for.
  """
  defaults = defaults_of(config)
  parser.add_argument(
    "--output",
    required=True,
    metavar="DIR",
    help=f"a new folder for {made}, or the URL of one in a bucket",
  )
  parser.add_argument(
    "--num-shards",
    type=int,
    default=defaults["num_shards"],
    metavar="N",
    help="files to write (default %(default)s)",
  )
  parser.add_argument(
    "--max-dead-share",
    type=float,
    default=defaults["max_dead_share"],
    metavar="X",
    help=f"fail when more than {share} cannot be used (default %(default)s)",
  )
  add_beam_arguments(parser, f"more than 1 pays off from {pays_off_from}")
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help=f"replace {made} of an earlier call; any other content is refused",
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def defaults_of(config: type[Config]) -> dict[str, Any]:
  """The defaults of a config's fields by name, of which some may be missing."""
  return {name: field.default for name, field in config.__dataclass_fields__.items()}


@contextlib.contextmanager
def job_options(
  args: argparse.Namespace, config: Config, verb: str, noun: str, kind: str
) -> Iterator[dict[str, Any]]:
  """How a `run_job` is to run, and its progress while it does.

  Args:
    args: with those of `job_arguments`.
    config: of the job.
    verb: what the job does, as `mining`.
    noun: to what, as `photographs`.
    kind: of the folder that the job makes (`schemas.outputs`).

  Yields:
    Keyword arguments of the `run_job`, whose module is to be imported here, where
    the arguments are known to be right: Beam takes seconds to import.

  Raises:
    ValueError: an argument is out of range, or the output holds what may not be
      replaced.
    JobFailed: from the block, with the path of what Beam said.
  """
  output_set(args.output, overwrite=args.overwrite, kind=kind)  # looks only
  require(
    args.beam != "dataflow" or is_url(args.output),
    "the URL of a place in a bucket, as Dataflow's workers see no folder of yours",
    output=args.output,
  )
  run = run_id(config.to_json(), absolute(args.output))
  arguments = identified(chosen_arguments(args), job=args.command, run=run)
  make_pipeline = pipeline_maker(arguments)
  with (
    beam_log(shown=args.traceback),
    progress(verb, noun, quiet=args.json) as on_progress,
  ):
    yield {
      "make_pipeline": make_pipeline,
      "overwrite": args.overwrite,
      "on_progress": on_progress,
    }


def job_facts(args: argparse.Namespace, start: float) -> dict[str, Any]:
  """What the summary of every job says; `start` is of `time.monotonic`."""
  return {
    "output": str(args.output),
    "elapsed_seconds": round(time.monotonic() - start, 2),
    "num_shards": args.num_shards,
  }


def print_summary(
  args: argparse.Namespace,
  summary: dict[str, Any],
  rows: Iterable[tuple[str, str]],
) -> None:
  """Prints the summary as one JSON object, or as these rows and where all lies."""
  if args.json:
    print(json.dumps(summary, sort_keys=True))
    return
  rows = [
    *rows,
    ("elapsed", f"{summary['elapsed_seconds']:.1f} s"),
    ("output", summary["output"]),
  ]
  width = max(len(name) for name, _ in rows)
  for name, value in rows:  # not rich's table: it cuts a long path short
    print(f"{name:<{width}}  {value}")


def count_rows(counts: dict[str, int]) -> Iterator[tuple[str, str]]:
  """A row a word, set in below the row that they are parts of."""
  yield from ((f"  {word}", f"{count:,}") for word, count in counts.items())
