"""`hardmine mine`: photographs in, a folder of their hardest patches out."""

from __future__ import annotations

import argparse
import time
from typing import Any

from hardmine.pipelines.cli.job_arguments import (
  count_rows,
  defaults_of,
  job_arguments,
  job_facts,
  job_options,
  print_summary,
)

HELP = "cut photographs into square patches and keep the hardest"
PASSES_ON = True  # Beam's own flags


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `mine`; the defaults are those of `MiningConfig`."""
  from hardmine.schemas.mining_config import MiningConfig

  parser.add_argument(
    "--images",
    nargs="+",
    action="extend",
    required=True,
    metavar="GLOB",
    help="photographs: patterns in quotes such as '~/2026/*.{jpg,png}', files, folders "
    "(every picture in them and below), URLs such as gs://bucket/*.jpg, or @LIST, a "
    "file that names one a line",
  )
  _patch_arguments(parser, defaults_of(MiningConfig))
  job_arguments(
    parser,
    MiningConfig,
    made="the patches",
    share="this share",
    pays_off_from="about a thousand photographs",
  )


def _patch_arguments(parser: argparse.ArgumentParser, defaults: dict[str, Any]) -> None:
  parser.add_argument(
    "--per-image",
    type=int,
    default=defaults["per_image"],
    metavar="N",
    help="patches kept of one photograph, at each of its reductions "
    "(default %(default)s)",
  )
  parser.add_argument(
    "--patch-px",
    type=int,
    default=defaults["patch_px"],
    metavar="PX",
    help="side of a patch, a multiple of 16 up to 256 (default %(default)s)",
  )
  parser.add_argument(
    "--reductions",
    nargs="+",
    type=int,
    default=list(defaults["reductions"]),
    metavar="N",
    help="mine each photograph shrunk by each of these factors: `1 2 4` is whole, at "
    "half and at a quarter of its sides (default 1)",
  )
  parser.add_argument(
    "--recipe",
    choices=("hard", "resize"),
    default=defaults["recipe"],
    help="hard: the tiles whose PNGs are largest; resize: the whole photograph, "
    "shrunk to one patch (default %(default)s)",
  )
  parser.add_argument(
    "--max-side",
    type=int,
    metavar="PX",
    help="first shrink to this longest side, which hides traces of JPEG",
  )


def run(args: argparse.Namespace) -> int:
  """Mines, then prints what was kept, what was refused and where it lies.

  Raises:
    ValueError: an argument is out of range, no image matches, or the output holds
      what may not be replaced.
    RuntimeError: the job failed.
  """
  from hardmine.schemas.mining_config import MiningConfig
  from hardmine.schemas.outputs import PATCHES

  config = MiningConfig(
    images=tuple(args.images),
    recipe=args.recipe,
    per_image=args.per_image,
    patch_px=args.patch_px,
    reductions=tuple(args.reductions),
    max_side_px=args.max_side,
    num_shards=args.num_shards,
    max_dead_share=args.max_dead_share,
  )
  start = time.monotonic()
  with job_options(args, config, "mining", "photographs", PATCHES) as options:
    from hardmine.components.patch_gen.job import run_job

    manifest = run_job(config, args.output, **options)
  summary = {
    **job_facts(args, start),
    "patch_px": config.patch_px,
    "score": manifest["score"],
    **manifest["counts"],
  }
  print_summary(args, summary, _rows(summary))
  return 0


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
  return [
    ("photographs", f"{summary['photographs']:,}"),
    ("used", f"{summary['used']:,}"),
    *count_rows(summary["notes"]),
    ("refused", f"{summary['dead']:,}"),
    *count_rows(summary["dead_by_reason"]),
    *([("duplicate", f"{summary['duplicates']:,}")] if summary["duplicates"] else []),
    *([("skipped", "")] if summary["skipped"] else []),
    *count_rows(summary["skipped"]),
    ("patches", f"{summary['patches']:,} in {summary['num_shards']} files"),
    *(
      (f"  at 1/{factor}" if factor != "1" else "  whole", f"{count:,}")
      for factor, count in summary.get("patches_by_reduction", {}).items()
    ),
  ]
