"""What a study is told, and what that means."""

from __future__ import annotations

import argparse
import importlib.util
import os
from typing import TYPE_CHECKING

from hardmine.schemas.config import require
from hardmine.trainers.runtime.choice import RUNTIMES

if TYPE_CHECKING:
  from hardmine.pipelines.studies.sweep import How

NONE = "none"  # in the place of a pattern


def add_study_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds all arguments of `study tradeoff`."""
  parser.add_argument(
    "--output",
    required=True,
    metavar="DIR",
    help="gets the tables, the page, and every measurement as soon as it is done",
  )
  parser.add_argument(
    "--predict",
    action="store_true",
    help="run nothing: parameters and multiply-adds, and times estimated from these",
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")
  which = parser.add_argument_group("which detectors (default: the 147 of the paper)")
  which.add_argument(
    "--only",
    metavar="PATTERN",
    action="append",
    help="those whose name matches, such as 'ssd*' or "
    "'faster_rcnn-resnet_101-stride_8-600-proposals_*'; may be repeated; "
    f"'{NONE}' takes your own alone",
  )
  which.add_argument(
    "--all",
    action="store_true",
    help="choose from all pairs, also those that the paper has no result for",
  )
  which.add_argument(
    "--width",
    type=float,
    default=1.0,
    metavar="X",
    help="multiplier of all depths: 0.25 is quick to try on a laptop (default 1)",
  )
  which.add_argument(
    "--categories",
    type=int,
    default=90,
    metavar="N",
    help="that the study's detectors tell apart (default 90, as the study's on COCO)",
  )
  own = parser.add_argument_group("your own, beside them")
  own.add_argument(
    "--experiment",
    metavar="EXPERIMENT",
    action="append",
    default=[],
    help="the detector of an experiment, by name or path; may be repeated",
  )
  own.add_argument(
    "--model",
    metavar="REF",
    action="append",
    default=[],
    help="a trained detector, a folder or STORE:ALIAS; may be repeated",
  )
  own.add_argument(
    "--proposals",
    metavar="N,...",
    help="measure your own of two stages with each of these numbers of proposals",
  )
  own.add_argument(
    "--resolutions",
    metavar="PX,...",
    help="and with pictures whose shorter side is each of these",
  )
  own.add_argument(
    "--images", metavar="DIR", help="annotated images to measure --model on"
  )
  own.add_argument(
    "--annotations",
    metavar="FILE",
    help="theirs: a COCO JSON file, or a folder of Pascal VOC files",
  )
  own.add_argument(
    "--max-images", type=int, metavar="N", help="only the first N of them"
  )
  how = parser.add_argument_group("how")
  how.add_argument(
    "--runtime",
    action="append",
    choices=RUNTIMES,
    help="measure on this one; may be repeated (default: all that are installed)",
  )
  how.add_argument(
    "--threads", type=int, metavar="N", help="of one detection (default: all there are)"
  )
  how.add_argument(
    "--repeats", type=int, default=5, metavar="N", help="at most (default 5)"
  )
  how.add_argument(
    "--seconds",
    type=float,
    default=10.0,
    metavar="X",
    help="begin no other repeat after so many (default 10)",
  )
  how.add_argument(
    "--limit-seconds",
    type=float,
    default=900.0,
    metavar="X",
    help="give a measurement up after so many (default 900)",
  )
  how.add_argument(
    "--photographs",
    nargs="+",
    default=[],
    metavar="IMAGE",
    help="to measure time on, cropped to squares; files, folders, patterns (default: "
    "a picture of noise)",
  )


def chosen_how(args: argparse.Namespace) -> How:
  """How everything is measured.

  Raises:
    ValueError: a number is out of range, or what is named is not there.
  """
  from hardmine.pipelines.studies.sweep import How

  for name in ("threads", "repeats", "max_images", "categories"):
    value = getattr(args, name)
    require(
      value is None or value > 0,
      f"--{name.replace('_', '-')} of 1 or more",
      **{name: value},
    )
  for name in ("seconds", "limit_seconds", "width"):
    value = getattr(args, name)
    require(value > 0, f"--{name.replace('_', '-')} above 0", **{name: value})
  require(
    (args.images is None) == (args.annotations is None),
    "--images and --annotations together",
    images=args.images,
    annotations=args.annotations,
  )
  require(
    args.images is None or bool(args.model),
    "--model REF, whose precision on --images is to be measured",
    model=args.model,
  )
  for name in ("images", "annotations"):
    path = getattr(args, name)
    require(
      path is None or os.path.exists(path), f"--{name} that exist", **{name: path}
    )
  installed = [name for name in RUNTIMES if importlib.util.find_spec(name)]
  for name in args.runtime or ():
    require(
      name in installed,
      f"a runtime that is installed: {', '.join(installed)}",
      runtime=name,
    )
  runtimes = tuple(dict.fromkeys(args.runtime or installed))
  return How(
    runtimes=() if args.predict else runtimes,
    num_threads=args.threads,
    repeats=args.repeats,
    seconds=args.seconds,
    limit_seconds=args.limit_seconds,
    photographs=tuple(_photographs(args.photographs)),
    images=args.images,
    annotations=args.annotations,
    max_images=args.max_images,
  )


def _photographs(given: list[str]) -> list[str]:
  if not given:
    return []
  from hardmine.pipelines.cli.batch_inputs import find_inputs
  from hardmine.pipelines.studies.timing import MOST_PHOTOGRAPHS
  from hardmine.schemas.uris import is_url

  found = find_inputs(given, endings=None, what="photographs").files
  for one in found:
    if one.error is not None:
      raise one.error
    require(
      not is_url(one.path) and os.path.isfile(one.path),
      "files of photographs on this machine",
      photograph=one.path,
    )
  return [one.path for one in found[:MOST_PHOTOGRAPHS]]
