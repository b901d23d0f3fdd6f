"""`hardmine coco`: annotated images in, a folder of detection records out."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

from hardmine.components.jobs import dead_letters
from hardmine.pipelines.cli.job_arguments import (
  count_rows,
  defaults_of,
  job_arguments,
  job_facts,
  job_options,
  print_summary,
)
from hardmine.schemas.manifest import name_in
from hardmine.schemas.uris import join

HELP = "turn images with COCO JSON or Pascal VOC annotations into detection records"
PASSES_ON = True  # Beam's own flags

_KINDS_SHOWN = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments of `coco`; the defaults are those of the configs."""
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

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
    "--split",
    default=defaults_of(AnnotatedFolder)["split"],
    metavar="NAME",
    help="what the files' names begin with (default %(default)s)",
  )
  parser.add_argument(
    "--only",
    metavar="FILE",
    help="take these images only: a file name a line, or a CSV with a column filename",
  )
  parser.add_argument(
    "--eval-share",
    type=float,
    default=defaults_of(ConversionConfig)["eval_share"],
    metavar="X",
    help="hold this share of the images back as the split eval (default %(default)s)",
  )
  job_arguments(
    parser,
    ConversionConfig,
    made="the records",
    share="this share of images or of annotations",
    pays_off_from="some thousand images",
  )


def run(args: argparse.Namespace) -> int:
  """Converts, then prints what was kept, what was refused and where it lies.

  Raises:
    ValueError: an argument is out of range, annotations are no annotations, or the
      output holds what may not be replaced.
    RuntimeError: the job failed.
  """
  from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
  from hardmine.schemas.outputs import ANNOTATED_IMAGES

  source = AnnotatedFolder(
    images=args.images, annotations=args.annotations, split=args.split, only=args.only
  )
  config = ConversionConfig(
    sources=(source,),
    num_shards=args.num_shards,
    max_dead_share=args.max_dead_share,
    eval_share=args.eval_share,
  )
  start = time.monotonic()
  with job_options(args, config, "converting", "images", ANNOTATED_IMAGES) as options:
    from hardmine.components.coco_gen.job import run_job

    manifest = run_job(config, args.output, **options)
  counts = dict(manifest["counts"])
  objects = counts.pop("objects_by_category")
  letters = join(args.output, name_in(manifest, dead_letters.DEAD_LETTERS))
  summary = {
    **job_facts(args, start),
    "dead_letters": letters,
    "first_examples": dead_letters.first_examples(letters),
    "categories": [
      {**category, "objects": objects[str(category["id"])]}
      for category in manifest["categories"]
    ],
    **counts,
  }
  print_summary(args, summary, _rows(summary))
  return 0


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
  examples = summary["first_examples"]
  splits = summary["splits"]
  return [
    ("images", f"{summary['images']:,}"),
    ("used", f"{summary['used']:,} in {len(splits) * summary['num_shards']} files"),
    *(
      (f"  {split}", f"{found['images']:,} with {found['objects']:,} objects")
      for split, found in splits.items()
    ),
    *count_rows(summary["notes"]),
    ("without objects", f"{summary['without_objects']:,}"),
    ("copies of others", f"{summary['copies']:,}"),
    ("refused", f"{summary['dead']:,}"),
    *_reasons(summary["dead_by_reason"], examples["dead"]),
    ("annotations", f"{summary['annotations']:,}"),
    ("objects", f"{summary['objects']:,}"),
    *_kinds(summary["categories"]),
    ("crowds", f"{summary['crowds']:,}"),
    ("clipped", f"{summary['clipped']:,}"),
    ("skipped", f"{summary['skipped']:,}"),
    *_reasons(summary["skipped_by_reason"], examples["skipped"]),
    ("lost with images", f"{summary['lost_with_image']:,}"),
    ("all refusals", summary["dead_letters"]),
  ]


def _reasons(
  counts: dict[str, int], examples: dict[str, str]
) -> Iterator[tuple[str, str]]:
  """A row a reason, with the first that it befell."""
  for reason, text in count_rows(counts):
    yield reason, f"{text}, the first: {examples[reason.strip()]}"


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
