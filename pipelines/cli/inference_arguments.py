"""`--images` and `--beam` of commands that use a model: the same over a bucket."""

from __future__ import annotations

import argparse

from hardmine.pipelines import beam_flags
from hardmine.pipelines.cli.beam_arguments import add_beam_arguments
from hardmine.schemas.config import require
from hardmine.schemas.inference_config import InferenceConfig

_ONLY_OF_JOBS = ("workers", "num_shards", "max_dead_share")


def add_job_arguments(parser: argparse.ArgumentParser, made: str) -> None:
  """Adds what a job takes, beside the names of files, which then may be missing.

  Args:
    parser: the command's, with its other arguments; its module says `PASSES_ON`.
    made: what the job writes, as `the streams`.
  """
  for action in parser._actions:
    if action.dest == "paths":
      action.nargs = "*"
  if parser.usage:
    parser.usage += "\n       %(prog)s [options] --images GLOB... --output PLACE"
  job = parser.add_argument_group(
    "over a folder or a bucket",
    "a Beam job in the place of IMAGE...: --images with --output, which gets a set "
    "that is whole or not there",
  )
  job.add_argument(
    "--images",
    nargs="+",
    action="extend",
    dest="image_patterns",
    metavar="GLOB",
    help="photographs: patterns in quotes, folders (every picture in them and below), "
    "URLs such as s3://bucket/photos or gs://bucket/*.jpg, or @LIST, a file that names "
    "one a line; --output may be a URL too",
  )
  add_beam_arguments(job, "more than 1 pays off from about a hundred", default=None)
  job.add_argument(
    "--num-shards",
    type=int,
    metavar="N",
    help=f"files that list {made} (default {InferenceConfig.num_shards})",
  )
  job.add_argument(
    "--max-dead-share",
    type=float,
    metavar="X",
    help="fail when more than this share of the photographs cannot be used (default "
    f"{InferenceConfig.max_dead_share})",
  )
  if "--max-pixels" not in parser._option_string_actions:
    job.add_argument(
      "--max-pixels",
      type=int,
      metavar="N",
      help="refuse larger photographs before they are decoded",
    )


def wants_job(args: argparse.Namespace) -> bool:
  """Whether a command was called for a job.

  Raises:
    ValueError: it was called for both, or for neither.
  """
  if args.image_patterns is None and args.beam is None:
    beam_flags.refuse_all(args.passed_on, args.own_flags)
    for name in _ONLY_OF_JOBS:
      flag = f"--{name.replace('_', '-')}"
      require(
        getattr(args, name) is None,
        f"{flag} with --images GLOB... --output PLACE",
        **{name: getattr(args, name)},
      )
    require(
      bool(args.paths),
      "the names of photographs, or --images GLOB... --output PLACE for a folder or a "
      "bucket",
      paths=args.paths,
    )
    return False
  # argparse takes a flag that it does not know for a name where its value has spaces.
  flags = [path for path in args.paths if path.startswith("--")]
  args.passed_on = [*args.passed_on, *flags]
  args.paths = [path for path in args.paths if path not in flags]
  example = "--images 's3://bucket/photos/*.jpg' --output s3://bucket/made"
  require(
    not args.paths,
    "--images before the photographs of a job, as in `--beam direct --images "
    f"{' '.join(args.paths[:3])}`; flags of Beam's are written --name=value",
    paths=args.paths[:3],
  )
  require(
    bool(args.image_patterns), f"--images with --beam, as in {example}", images=None
  )
  require(
    args.output is not None, f"--output with --images, as in {example}", output=None
  )
  return True
