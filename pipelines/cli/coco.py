"""`hardmine coco`: annotated images in, a folder of detection records out."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from typing import Any

from hardmine.pipelines.cli.progress import progress

HELP = "turn images with COCO JSON or Pascal VOC annotations into detection records"

_KINDS_SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `coco`; the defaults are those of the configs."""
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

  defaults = {
    name: field.default
    for config in (ConversionConfig, AnnotatedFolder)
    for name, field in config.__dataclass_fields__.items()
  }
  parser.add_argument(
    "--images", required=True, metavar="DIR", help="the folder of the images"
  )
  parser.add_argument(
    "--annotations",
    required=True,
    metavar="FILE_OR_FOLDER",
    help="a COCO JSON file, or a folder of Pascal VOC XML files",
  )
  parser.add_argument(
    "--output", required=True, metavar="DIR", help="a new folder for the records"
  )
  parser.add_argument(
    "--split",
    default=defaults["split"],
    metavar="NAME",
    help="what the files' names begin with (default %(default)s)",
  )
  parser.add_argument(
    "--only",
    metavar="FILE",
    help="take these images only: a file name a line, or a CSV with a column filename",
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
    help="fail when more than this share of images or of annotations cannot be used "
    "(default %(default)s)",
  )
  parser.add_argument(
    "--workers",
    type=int,
    default=1,
    metavar="N",
    help="processes; more than 1 pays off from some thousand images "
    "(default %(default)s)",
  )
  parser.add_argument(
    "--overwrite", action="store_true", help="replace an output that has content"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Converts, then prints what was kept, what was refused and where it lies.

  Raises:
    ValueError: an argument is out of range, or annotations are no annotations.
    RuntimeError: the job failed.
  """
  from hardmine.pipelines.beam_runners import direct
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

  source = AnnotatedFolder(
    images=args.images, annotations=args.annotations, split=args.split, only=args.only
  )
  config = ConversionConfig(
    sources=(source,),
    num_shards=args.num_shards,
    max_dead_share=args.max_dead_share,
  )
  beam_args = direct(args.workers)
  start = time.monotonic()
  with progress("converting", "images", quiet=args.json) as on_progress:
    # After the arguments are known to be right: Beam takes seconds to import.
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions

    from hardmine.components.coco_gen.job import run_job

    manifest = run_job(
      config,
      args.output,
      make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
      overwrite=args.overwrite,
      on_progress=on_progress,
    )
  counts = dict(manifest["counts"])
  objects = counts.pop("objects_by_category")
  summary = {
    "output": str(args.output),
    "elapsed_seconds": round(time.monotonic() - start, 2),
    "num_shards": config.num_shards,
    "categories": [
      {**category, "objects": objects[str(category["id"])]}
      for category in manifest["categories"]
    ],
    **counts,
  }
  if args.json:
    print(json.dumps(summary, sort_keys=True))
  else:
    _print_table(summary)
  return 0


def _print_table(summary: dict[str, Any]) -> None:
  rows = [
    ("images", f"{summary['images']:,}"),
    ("used", f"{summary['used']:,} in {summary['num_shards']} files"),
    *_lines(summary["notes"]),
    ("without objects", f"{summary['without_objects']:,}"),
    ("refused", f"{summary['dead']:,}"),
    *_lines(summary["dead_by_reason"]),
    ("annotations", f"{summary['annotations']:,}"),
    ("objects", f"{summary['objects']:,}"),
    *_kinds(summary["categories"]),
    ("crowds", f"{summary['crowds']:,}"),
    ("clipped", f"{summary['clipped']:,}"),
    ("skipped", f"{summary['skipped']:,}"),
    *_lines(summary["skipped_by_reason"]),
    ("lost with images", f"{summary['lost_with_image']:,}"),
    ("elapsed", f"{summary['elapsed_seconds']:.1f} s"),
    ("output", summary["output"]),
  ]
  width = max(len(name) for name, _ in rows)
  for name, value in rows:  # not rich's table: it cuts a long path short
    print(f"{name:<{width}}  {value}")


def _lines(counts: dict[str, int]) -> Iterator[tuple[str, str]]:
  yield from ((f"  {word}", f"{count:,}") for word, count in counts.items())


def _kinds(categories: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
  """The commonest kinds, how many more there are, and how many have no object."""
  ranked = sorted(categories, key=lambda kind: -kind["objects"])
  found = [kind for kind in ranked if kind["objects"]]
  shown, rest = found[:_KINDS_SHOWN], found[_KINDS_SHOWN:]
  yield from ((f"  {kind['name']}", f"{kind['objects']:,}") for kind in shown)
  if rest:
    objects = sum(kind["objects"] for kind in rest)
    yield f"  {len(rest)} further kinds", f"{objects:,}"
  if len(found) < len(ranked):
    yield f"  {len(ranked) - len(found)} further kinds", "0"
