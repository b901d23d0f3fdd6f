"""Arguments of commands that compress photographs: rates, and all beside colours."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from hardmine.trainers.codec.running.rate_control import Target
  from hardmine.trainers.codec.side_chunks.carrying import Carrying


def add_rate_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds where an encoder stops: one of four."""
  rate = parser.add_mutually_exclusive_group()
  rate.add_argument(
    "--bpp",
    type=float,
    metavar="X",
    help="at most X bits per pixel, everything in the file counted",
  )
  rate.add_argument(
    "--max-bytes",
    type=int,
    metavar="N",
    help="at most N bytes, likewise",
  )
  rate.add_argument(
    "--ms-ssim",
    type=float,
    metavar="X",
    help="as few iterations as reach this MS-SSIM, such as 0.97",
  )
  rate.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="1 to 255 (default: as many as help with the model)",
  )
  parser.add_argument(
    "--adaptive",
    action="store_true",
    help="more bits where a picture is complex, fewer where it is plain; takes some "
    "times as long; with any of these but --iterations",
  )


def add_beside_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds what becomes of transparency and metadata."""
  parser.add_argument(
    "--alpha",
    default="keep",
    metavar="keep|COLOUR",
    help="what becomes of transparency: kept without loss (default), or laid over a "
    "colour such as '#ffffff'",
  )
  parser.add_argument(
    "--keep-metadata",
    action="store_true",
    help="keep EXIF, XMP and copyright, but for places and serial numbers",
  )
  parser.add_argument(
    "--keep-location",
    action="store_true",
    help="with --keep-metadata, keep those too",
  )


def target_of(args: argparse.Namespace) -> Target:
  """Where the encoder stops.

  Raises:
    ValueError: out of range.
  """
  from hardmine.trainers.codec.running.rate_control import Target

  target = Target(
    iterations=args.iterations,
    bpp=args.bpp,
    max_bytes=args.max_bytes,
    ms_ssim=args.ms_ssim,
  )
  target.check(args.adaptive)
  return target


def carrying_of(args: argparse.Namespace) -> Carrying:
  """What goes along beside the colours.

  Raises:
    ValueError: that makes no sense.
  """
  from hardmine.trainers.codec.side_chunks.carrying import Carrying

  return Carrying(
    alpha=args.alpha,
    keep_metadata=args.keep_metadata,
    keep_location=args.keep_location,
  )
