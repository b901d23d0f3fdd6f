"""`hardmine run`'s flags for data of one's own, and the settings they stand for."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from hardmine.components.jobs.patterns import match
from hardmine.schemas.config import require
from hardmine.schemas.experiment import DetectionExperiment, Experiment

EVAL_SHARE = 0.1  # of a detector's images, where nothing is said of an eval split


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the flags."""
  data = parser.add_argument_group(
    "data of your own",
    "For a codec: photographs to train on, and others to measure it by. For a "
    "detector: annotated images, and a share is held back unless others are given.",
  )
  data.add_argument(
    "--images",
    nargs="+",
    action="extend",
    metavar="GLOB_OR_DIR",
    help="a codec's photographs, as globs in quotes; a detector's folder of images",
  )
  data.add_argument(
    "--annotations",
    metavar="FILE_OR_DIR",
    help="of a detector's images: a COCO JSON file, or a folder of Pascal VOC files",
  )
  data.add_argument(
    "--eval-images",
    nargs="+",
    action="extend",
    metavar="GLOB_OR_DIR",
    help="those to measure by (a detector's default: the folder of --images)",
  )
  data.add_argument(
    "--eval-annotations", metavar="FILE_OR_DIR", help="those of --eval-images"
  )
  data.add_argument(
    "--eval-share",
    type=float,
    metavar="X",
    help=f"hold back this share of a detector's images instead (default {EVAL_SHARE})",
  )


def assignments(args: argparse.Namespace, experiment: Experiment) -> list[str]:
  """The settings, as `Config.override` takes them; none where no flag was given.

  Raises:
    ValueError: a flag that the kind of experiment does not have, one without the other
      that it needs, or data that are not there.
  """
  if isinstance(experiment, DetectionExperiment):
    return _of_detector(args, experiment)
  return _of_codec(args, experiment)


def _of_codec(args: argparse.Namespace, experiment: Experiment) -> list[str]:
  for flag in ("annotations", "eval_annotations", "eval_share"):
    require(
      getattr(args, flag) is None,
      f"--images and --eval-images, which are all that a codec such as "
      f"{experiment.name} takes",
      **{flag: getattr(args, flag)},
    )
  settings = []
  for field, globs in (
    ("mining.images", args.images),
    ("evaluation.images", args.eval_images),
  ):
    if globs is not None:
      for pattern in globs:
        any(not found.why for found in match(pattern))  # or it says what lies nearest
      settings.append(f"{field}={json.dumps(globs)}")
  return settings


def _of_detector(
  args: argparse.Namespace, experiment: DetectionExperiment
) -> list[str]:
  given = [
    flag
    for flag in ("images", "annotations", "eval_images", "eval_annotations")
    if getattr(args, flag) is not None
  ]
  if not given and args.eval_share is None:
    return []
  require(
    args.images is not None and args.annotations is not None,
    f"--images and --annotations together, for a detector such as {experiment.name} "
    "needs both",
    images=args.images,
    annotations=args.annotations,
  )
  sources = [_source("train", "images", args.images, args.annotations)]
  if args.eval_images is None and args.eval_annotations is None:
    share = EVAL_SHARE if args.eval_share is None else args.eval_share
    require(0 < share < 1, "a share between 0 and 1", eval_share=share)
    settings = {"sources": sources, "eval_share": share}
  else:
    require(
      args.eval_share is None,
      "either --eval-share, or --eval-annotations with --eval-images",
      eval_share=args.eval_share,
      eval_images=args.eval_images,
      eval_annotations=args.eval_annotations,
    )
    require(
      args.eval_annotations is not None,
      "--eval-annotations with --eval-images",
      eval_images=args.eval_images,
    )
    images = args.eval_images or args.images
    sources.append(_source("eval", "eval_images", images, args.eval_annotations))
    settings: dict[str, Any] = {"sources": sources}
    if experiment.conversion.eval_share:
      settings["eval_share"] = 0.0
  return [f"conversion.{name}={json.dumps(value)}" for name, value in settings.items()]


def _source(split: str, flag: str, images: Any, annotations: Any) -> dict[str, Any]:
  """One of `conversion.sources`, which is looked at."""
  require(len(images) == 1, "one folder of images", **{flag: images})
  folder = images[0]
  if "://" not in folder:
    require(
      os.path.isdir(folder) and bool(os.listdir(folder)),
      "a folder that holds the annotated images",
      **{flag: folder},
    )
  if "://" not in annotations:
    _look_at_annotations(annotations)
  # Whole, so that `--set conversion.sources.0.only=` finds its field.
  return {"images": folder, "annotations": annotations, "split": split, "only": None}


def _look_at_annotations(path: str) -> None:
  require(
    os.path.exists(path),
    "a COCO JSON file or a folder of Pascal VOC files that is there",
    annotations=path,
  )
  if os.path.isdir(path):
    names = [name for _, _, files in os.walk(path) for name in files]
    require(
      any(name.lower().endswith(".xml") for name in names),
      "a folder of Pascal VOC files, *.xml (of COCO the .json file itself is named)",
      annotations=path,
    )
