"""`hardmine evaluate rate-distortion`: quality against bits, beside JPEG and WebP."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import re
import sys
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.runtime_argument import add_runtime_argument, runtime_of
from hardmine.pipelines.cli.tables import print_table, printable
from hardmine.schemas.codec_config import USUAL_ITERATIONS
from hardmine.schemas.outputs import FileKind, OutputFile, check_folder

if TYPE_CHECKING:
  from hardmine.components.codec_evaluator.evaluate import Evaluation
  from hardmine.trainers.codec.codec import Codec

HELP = (
  "Measures MS-SSIM, PSNR-HVS and PSNR of a model after every iteration, and of "
  "JPEG and WebP at every rate up to 2 bits per pixel, on the same photographs."
)
SUMMARY = "a codec's curves and their areas"
OUTPUTS = {
  "metrics.json": FileKind(
    "numbers of an evaluation", re.compile(rb'(?s)\{.*"num_images"')
  ),
  "report.html": FileKind(
    "a report of an evaluation",
    re.compile(rb"(?s).{0,400}<!doctype html.*Codec evaluation"),
  ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments."""
  parser.add_argument(
    "--model",
    metavar="REF",
    help="an exported model, or one that ships with hardmine; without it only JPEG "
    "and WebP are measured",
  )
  add_runtime_argument(parser)
  parser.add_argument(
    "--images",
    nargs="+",
    action="extend",
    required=True,
    metavar="GLOB",
    help="test photographs, never ones that the model was trained on: patterns in "
    "quotes, files, or folders, of which every picture below is taken; those too small "
    "for MS-SSIM's scales, or that JPEG or WebP cannot write, are left out and named",
  )
  parser.add_argument(
    "--output", required=True, metavar="DIR", help="gets metrics.json and report.html"
  )
  parser.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="operating points, 0.125 bits per pixel apart (default: as many as the model "
    "was trained for, 16 without one)",
  )
  parser.add_argument(
    "--max-images", type=int, metavar="N", help="only the first N, in order of name"
  )
  parser.add_argument(
    "--overwrite",
    action="store_true",
    help="replace metrics.json and report.html of an earlier call",
  )
  parser.add_argument(
    "--json", action="store_true", help="print the areas as one JSON object"
  )


def run(args: argparse.Namespace) -> int:
  """Measures, writes the files and prints the areas.

  Raises:
    ValueError: no image matches, one cannot be used, there is no such model, or the
      files may not be written.
    RuntimeError: the model loads but fails.
  """
  from hardmine.schemas.evaluation_config import CodecEvaluationConfig

  config = CodecEvaluationConfig(
    images=tuple(args.images),
    iterations=USUAL_ITERATIONS if args.iterations is None else args.iterations,
    max_images=args.max_images,
  )
  _check_output(args)
  codec, model_dir, runtime = _load(args)
  if codec is not None and args.iterations is None:
    config = dataclasses.replace(config, iterations=codec.iterations)
  from hardmine.components.codec_evaluator import photographs
  from hardmine.components.codec_evaluator.evaluate import evaluate
  from hardmine.components.codec_evaluator.report import write_evaluation

  def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

  evaluation = evaluate(
    None if codec is None else lambda: codec,
    photographs.load(photographs.find(config.images, config.max_images, say)),
    iterations=config.iterations,
    report=say,
  )
  if evaluation.problems:
    raise RuntimeError("; ".join(evaluation.problems))
  write_evaluation(
    args.output,
    evaluation,
    config=config,
    lineage={
      "model": model_dir,
      "runtime": runtime,
      "test images": ", ".join(args.images),
    },
  )
  paths = {name: os.path.join(args.output, name) for name in OUTPUTS}
  if args.json:
    print(
      json.dumps(
        {**_areas(evaluation), "runtime": runtime, "files": paths}, sort_keys=True
      )
    )
  else:
    _print_table(evaluation)
    print(*paths.values(), sep="\n")
  return 0


def _check_output(args: argparse.Namespace) -> None:
  check_folder(args.output)
  for name, kind in OUTPUTS.items():
    path = os.path.join(args.output, name)
    OutputFile(path, kind, overwrite=args.overwrite, makes_folder=True)  # looks only


def _load(args: argparse.Namespace) -> tuple[Codec | None, str, str]:
  """The model, None without one, its folder or `none`, and its runtime or `none`.

  It is loaded before anything is measured, so that a wrong folder is a usage error.
  """
  if args.model is None:
    return None, "none", "none"
  from hardmine.pipelines.cli.model_ref import resolve_model

  model_dir = resolve_model(args.model)
  runtime = runtime_of(model_dir, args)
  from hardmine.trainers.codec.codec import Codec

  return Codec.load(model_dir, runtime), str(model_dir), runtime


def _areas(evaluation: Evaluation) -> dict:
  candidate = evaluation.candidate
  return {
    "num_images": len(evaluation.conventional[0].images),
    "left_out": [dataclasses.asdict(one) for one in evaluation.left_out],
    "candidate": candidate.areas() if candidate else None,
    "baselines": {one.key: one.areas() for one in evaluation.conventional},
  }


def _print_table(evaluation: Evaluation) -> None:
  from hardmine.components.codec_evaluator.measurement import METRICS
  from hardmine.components.codec_evaluator.report import shown_area

  rows = [
    (one.title, *(shown_area(one.areas()[f"{name}_auc"], 4) for name in METRICS))
    for one in (evaluation.candidate, *evaluation.conventional)
    if one is not None
  ]
  titles = (f">{title}" for title in METRICS.values())
  print_table(("area from 0.125 to 2 bits per pixel", *titles), rows)
  if evaluation.left_out:
    print(f"{len(evaluation.left_out)} left out of all curves:")
  for one in evaluation.left_out:
    print(f"  {printable(one.image)}: {printable(one.reason)}")
