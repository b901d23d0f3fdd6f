"""`hardmine encode`: photographs to compressed files."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch, images
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.pipelines.cli.progress import waiting
from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind, OutputFile, check_folder

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec

HELP = (
  "Compresses photographs. Every iteration adds 1/8 bit per pixel; any beginning of "
  "a file decodes to a coarser image. `-` reads or writes a pipe."
)
STREAM = FileKind("a compressed file", re.compile(rb"\x89HMC"))
ENDING = ".hmc"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  batch.add_arguments(parser, source="IMAGE", target="FILE", written=ENDING)
  add_model_argument(parser)
  rate = parser.add_mutually_exclusive_group()
  rate.add_argument(
    "--bpp",
    type=float,
    metavar="X",
    help="at most X bits per pixel, everything in the file counted",
  )
  rate.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="1 to 255 (default: as many as help with the model)",
  )
  parser.add_argument(
    "--max-pixels",
    type=int,
    metavar="N",
    help="refuse larger photographs before they are decoded",
  )
  images.add_memory_argument(parser)
  parser.add_argument(
    "--overwrite", action="store_true", help="replace compressed files of these names"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Encodes, and weighs what was written; a mistake costs no TensorFlow.

  Raises:
    ValueError: an argument is out of range, the image cannot be used, or the file may
      not be written.
    OSError: a file cannot be read or written.
  """
  single = batch.single(args)
  output = None if single is None else _output(single, args)
  _check_rate(args)
  if single is None:
    check_folder(args.output)
  encoder = _Encoder(args, choose_model(args.model))
  if single is None:
    from hardmine.components.jobs.patterns import PICTURES

    items = batch.several(args, ENDING, endings=PICTURES, what="image")
    return batch.run(
      items,
      lambda item: encoder.encode(item, _output(item, args, makes_folder=True)),
      _print_line,
      verb="encoding",
      noun="photographs",
      as_json=args.json,
    )
  facts = encoder.encode(single, output)
  with contextlib.redirect_stdout(sys.stdout if output else sys.stderr):
    if args.json:
      print(json.dumps(facts))
    else:
      _print_lines(facts, encoder.codec, bounded=args.bpp is not None)
  return 0


class _Encoder:
  """One model, loaded when the first photograph has been read."""

  def __init__(self, args: argparse.Namespace, model_dir: Path):
    self._args, self._model_dir = args, model_dir

  @functools.cached_property
  def codec(self) -> Codec:
    """TensorFlow takes seconds to import."""
    from hardmine.trainers.codec.codec import Codec

    return Codec.load(self._model_dir)

  def encode(self, item: batch.Item, output: OutputFile | None) -> dict[str, Any]:
    """Encodes a photograph into a file, or for None into the standard output."""
    from hardmine.trainers.codec import bitstream

    # Weighed as it was read: a pipe has no size on the disk.
    source = images.read_input(item.source)
    image = images.decode_within_memory(
      item.source, source, self._model_dir, self._args
    )
    height_px, width_px, _ = image.shape
    with waiting(f"encoding {item.source}, {width_px}x{height_px} pixels"):
      data = self.codec.compress(
        image, iterations=self._args.iterations, bpp=self._args.bpp
      )
    if output is None:
      images.write_pipe(data)
    else:
      output.write(data)
    iterations = bitstream.read_header(data).iterations
    if iterations > self.codec.iterations:
      print(
        f"hardmine: with this model {self.codec.iterations} iterations help; more of "
        "them can make the picture worse",
        file=sys.stderr,
      )
    return {
      "image": item.source,
      "image_bytes": len(source),
      "file": item.target,
      "file_bytes": len(data),
      "bits_per_pixel": 8 * len(data) / (height_px * width_px),
      "width_px": width_px,
      "height_px": height_px,
      "iterations": iterations,
      "model_id": self.codec.model_id.hex(),
      "model_dir": str(self._model_dir),
    }


def _check_rate(args: argparse.Namespace) -> None:
  from hardmine.trainers.codec import bitstream

  require(
    args.iterations is None or 1 <= args.iterations <= bitstream.MAX_ITERATIONS,
    f"1 to {bitstream.MAX_ITERATIONS} iterations",
    iterations=args.iterations,
  )
  require(
    args.bpp is None or (math.isfinite(args.bpp) and args.bpp > 0),
    "a finite bpp > 0",
    bpp=args.bpp,
  )
  require(
    args.max_pixels is None or args.max_pixels > 0,
    "max_pixels > 0",
    max_pixels=args.max_pixels,
  )


def _output(
  item: batch.Item, args: argparse.Namespace, *, makes_folder: bool = False
) -> OutputFile | None:
  """Where a stream goes, looked at; None for the standard output."""
  if item.target == images.PIPE:
    images.check_pipe()
    return None
  # First: of two photographs that are there, none is to be replaced.
  images.check_no_image_name(item.target)
  return OutputFile(
    item.target,
    STREAM,
    overwrite=args.overwrite,
    sources=[item.source],
    makes_folder=makes_folder,
  )


def _print_line(facts: dict[str, Any]) -> None:
  print(
    f"{facts['file']}: {facts['file_bytes']:,} bytes, {facts['bits_per_pixel']:.4f} "
    f"bits per pixel ({facts['width_px']}x{facts['height_px']}, iterations: "
    f"{facts['iterations']})",
    flush=True,
  )


def _print_lines(facts: dict[str, Any], codec: Codec, *, bounded: bool) -> None:
  """Prints what was written and, of a bounded rate, why it has no more iterations."""
  from hardmine.trainers.codec import rates

  height_px, width_px = facts["height_px"], facts["width_px"]
  iterations, file_bytes = facts["iterations"], facts["file_bytes"]
  _print_line(facts)
  if bounded and iterations < codec.iterations:
    size = rates.size_bytes(
      height_px, width_px, codec.padding_px, iterations + 1, codec.sends_gains
    )
    print(f"one iteration more is {8 * size / (height_px * width_px):.4f}")
  elif bounded:
    print("these are all iterations that help with this model")
  share = file_bytes / facts["image_bytes"]
  print(
    f"{facts['image']}: {facts['image_bytes']:,} bytes; the new file has {share:.1%}"
  )
