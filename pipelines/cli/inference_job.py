"""`hardmine detect` and `hardmine encode` with `--images`: one Beam job each."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from typing import Any

from hardmine.pipelines.cli import photo_arguments
from hardmine.pipelines.cli.category_arguments import chosen_names
from hardmine.pipelines.cli.job_arguments import (
  count_rows,
  job_facts,
  job_options,
  print_summary,
)
from hardmine.pipelines.cli.model_ref import choose_model
from hardmine.pipelines.cli.runtime_argument import runtime_of
from hardmine.pipelines.cli.set_facts import in_bytes
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import has_light_form, read_facts
from hardmine.schemas.inference_config import (
  DetectionJobConfig,
  EncodingJobConfig,
  InferenceConfig,
)
from hardmine.schemas.outputs import DETECTIONS, STREAMS
from hardmine.trainers.runtime.choice import ONNX_RUNTIME, TENSORFLOW, VARIABLE

_BESIDE = (
  ("transparent", "transparent"),
  ("metadata_left_out", "metadata left out"),
  ("target_missed", "MS-SSIM not reached"),
)


def detect(args: argparse.Namespace) -> int:
  """Detects in all photographs of a job, and prints what came of them.

  Raises:
    ValueError: an argument is out of range, no image matches, or the output holds
      what may not be replaced.
    RuntimeError: the job failed.
  """
  require(
    args.coco is None and args.annotations is None,
    "no --coco and --annotations with --images: the set has detections.json, whose ids "
    "its images.jsonl explains",
    coco=args.coco,
    annotations=args.annotations,
  )
  require(
    args.proposals is None,
    "no --proposals with --images, where a model looks at all that it proposes",
    proposals=args.proposals,
  )
  model_dir = choose_model(args.model, kind="detector")
  categories = None
  if args.categories is not None:
    known = [one["name"] for one in read_facts(model_dir, "detector")["categories"]]
    categories = tuple(sorted(chosen_names(args.categories, known, "the model")))
  config = DetectionJobConfig(
    **_shared(args, model_dir),
    **_given(args, "min_score", "max_boxes"),
    categories=categories,
  )
  summary = _run(args, config, model_dir, DETECTIONS)
  rows = [
    ("detections", f"{summary['detections']:,} in {summary['num_shards']} files"),
    *count_rows(summary.get("objects", {})),
    ("nothing found", f"{summary.get('without_objects', 0):,}"),
  ]
  print_summary(args, summary, [*_rows(summary), *rows])
  return 0


def encode(args: argparse.Namespace) -> int:
  """Encodes all photographs of a job, and prints what came of them.

  Raises:
    ValueError: as `detect`.
    RuntimeError: the job failed.
  """
  from hardmine.trainers.codec.streams.height_map import NEEDS

  photo_arguments.carrying_of(args)
  model_dir = choose_model(args.model)
  config = EncodingJobConfig(
    **_shared(args, model_dir),
    **_given(args, "iterations", "bpp", "max_bytes", "ms_ssim"),
    alpha=args.alpha,
    keep_metadata=args.keep_metadata,
    keep_location=args.keep_location,
    adaptive=args.adaptive,
  )
  network = read_facts(model_dir, "codec")["config"]
  most = network.get("clock") or network.get("own_weights")
  require(
    not most or (config.iterations or 0) <= most,
    f"1 to {most} iterations, as many as the model tells apart",
    iterations=config.iterations,
  )
  require(not config.adaptive or config.runtime != TENSORFLOW, NEEDS, adaptive=True)
  summary = _run(args, config, model_dir, STREAMS)
  stream_bytes, pixels = summary.get("stream_bytes", 0), summary["pixels"]
  told = f"{in_bytes(stream_bytes)} of {in_bytes(summary['image_bytes'])}"
  if pixels:
    told += f", {8 * stream_bytes / pixels:.4f} bits per pixel"
  rows = [
    ("streams", f"{summary['streams']:,}"),
    ("size", told),
    *((name, f"{summary[key]:,}") for key, name in _BESIDE if summary.get(key)),
  ]
  print_summary(args, summary, [*_rows(summary), *rows])
  return 0


def _shared(args: argparse.Namespace, model_dir: Path) -> dict[str, Any]:
  """The fields of every job's config."""
  from hardmine.components.inference.staged_model import model_digest

  runtime = _runtime(args, model_dir)
  return {
    "images": tuple(args.image_patterns),
    "runtime": runtime,
    "model_digest": model_digest(model_dir, runtime),
    **_given(args, "num_shards", "max_dead_share", "max_pixels"),
  }


def _given(args: argparse.Namespace, *names: str) -> dict[str, Any]:
  """Of these arguments those that were given."""
  found = {name: getattr(args, name) for name in names}
  return {name: value for name, value in found.items() if value is not None}


def _runtime(args: argparse.Namespace, model_dir: Path) -> str:
  """What runs the model everywhere: what this machine has besides says nothing."""
  if (
    args.runtime is None and not os.environ.get(VARIABLE) and has_light_form(model_dir)
  ):
    return ONNX_RUNTIME
  return runtime_of(model_dir, args)


def _run(
  args: argparse.Namespace, config: InferenceConfig, model_dir: Path, kind: str
) -> dict[str, Any]:
  """Runs the job. Returns its summary."""
  start = time.monotonic()
  args.num_shards, args.beam = config.num_shards, args.beam or "direct"
  verb = "detecting" if kind == DETECTIONS else "encoding"
  with job_options(args, config, verb, "photographs", kind) as options:
    from hardmine.components.inference.job import run_job

    if kind == DETECTIONS:
      from hardmine.components.inference.detection_job import DetectionJob as Job
    else:
      from hardmine.components.inference.encoding_job import EncodingJob as Job
    manifest = run_job(Job(), config, args.output, model_dir=model_dir, **options)
  return {
    **job_facts(args, start),
    "model_id": manifest["model"]["model_id"],
    "model_dir": str(model_dir),
    "runtime": config.runtime,
    **manifest["counts"],
  }


def _rows(summary: dict[str, Any]) -> list[tuple[str, str]]:
  return [
    ("photographs", f"{summary['photographs']:,}"),
    ("used", f"{summary['used']:,}"),
    *count_rows(summary["notes"]),
    ("refused", f"{summary['dead']:,}"),
    *count_rows(summary["dead_by_reason"]),
    *([("skipped", "")] if summary["skipped"] else []),
    *count_rows(summary["skipped"]),
  ]
