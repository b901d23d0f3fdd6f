"""`hardmine mine`: photographs in, a folder of their hardest patches out."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from hardmine.pipelines.cli.progress import progress

HELP = "cut photographs into square patches and keep the hardest"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `mine`; the defaults are those of `MiningConfig`."""
  from hardmine.schemas.mining_config import MiningConfig

  defaults = {
    name: field.default for name, field in MiningConfig.__dataclass_fields__.items()
  }
  parser.add_argument(
    "--images",
    nargs="+",
    action="extend",
    required=True,
    metavar="GLOB",
    help="photographs: patterns in quotes, files, or URLs such as gs://bucket/*.jpg",
  )
  parser.add_argument(
    "--output", required=True, metavar="DIR", help="a new folder for the patches"
  )
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
    help="fail when more than this share cannot be used (default %(default)s)",
  )
  parser.add_argument(
    "--workers",
    type=int,
    default=1,
    metavar="N",
    help="processes; more than 1 pays off from about a thousand photographs "
    "(default %(default)s)",
  )
  parser.add_argument(
    "--overwrite", action="store_true", help="replace an output that has content"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Mines, then prints what was kept, what was refused and where it lies.

  Raises:
    ValueError: an argument is out of range, or no image matches.
    RuntimeError: the job failed.
  """
  from hardmine.pipelines.beam_runners import direct
  from hardmine.schemas.mining_config import MiningConfig

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
  beam_args = direct(args.workers)
  start = time.monotonic()
  with progress("mining", "photographs", quiet=args.json) as on_progress:
    # After the arguments are known to be right: Beam takes seconds to import.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from hardmine.components.patch_gen.job import run_job

    manifest = run_job(
      config,
      args.output,
      make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
      overwrite=args.overwrite,
      on_progress=on_progress,
    )
  summary = {
    "output": str(args.output),
    "elapsed_seconds": round(time.monotonic() - start, 2),
    "num_shards": config.num_shards,
    "patch_px": config.patch_px,
    "score": manifest["score"],
    **manifest["counts"],
  }
  if args.json:
    print(json.dumps(summary, sort_keys=True))
  else:
    _print_table(summary)
  return 0


def _print_table(summary: dict[str, Any]) -> None:
  rows = [
    ("photographs", f"{summary['photographs']:,}"),
    ("used", f"{summary['used']:,}"),
    *((f"  {note}", f"{count:,}") for note, count in summary["notes"].items()),
    ("refused", f"{summary['dead']:,}"),
    *((f"  {why}", f"{count:,}") for why, count in summary["dead_by_reason"].items()),
    ("patches", f"{summary['patches']:,} in {summary['num_shards']} files"),
    *(
      (f"  at 1/{factor}" if factor != "1" else "  whole", f"{count:,}")
      for factor, count in summary.get("patches_by_reduction", {}).items()
    ),
    ("elapsed", f"{summary['elapsed_seconds']:.1f} s"),
    ("output", summary["output"]),
  ]
  width = max(len(name) for name, _ in rows)
  for name, value in rows:  # not rich's table: it cuts a long path short
    print(f"{name:<{width}}  {value}")
