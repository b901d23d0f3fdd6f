"""`hardmine encode`: a photograph to a compressed file."""

from __future__ import annotations

import contextlib
import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import images
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind, OutputFile

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec

HELP = (
  "Compresses a photograph. Every iteration adds 1/8 bit per pixel; any beginning of "
  "the file decodes to a coarser image. `-` reads or writes a pipe."
)
STREAM = FileKind("a compressed file", re.compile(rb"\x89HMC"))


def add_arguments(parser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("image", metavar="IMAGE", help="JPEG, PNG, WebP, ..., or -")
  parser.add_argument("file", metavar="FILE", help="to write, such as photo.hmc, or -")
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
    "--overwrite", action="store_true", help="replace a compressed file of this name"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args) -> int:
  """Encodes, and weighs what was written; a mistake costs no TensorFlow.

  Raises:
    ValueError: an argument is out of range, the image cannot be used, or the file may
      not be written.
    OSError: a file cannot be read or written.
  """
  from hardmine.trainers.codec import bitstream

  output = _output(args)
  _check_rate(args)
  model_dir = choose_model(args.model)
  # Weighed as it was read: a pipe has no size on the disk.
  source = images.read_input(args.image)
  image = images.decode_image(args.image, source)
  height_px, width_px, _ = image.shape

  from rich.console import Console  # shows nothing unless on a terminal

  with Console(stderr=True).status(f"encoding {width_px}x{height_px} pixels"):
    from hardmine.trainers.codec.codec import Codec

    codec = Codec.load(model_dir)
    data = codec.compress(image, iterations=args.iterations, bpp=args.bpp)
  if output is None:
    images.write_pipe(data)
  else:
    output.write(data)
  iterations = bitstream.read_header(data).iterations
  if iterations > codec.iterations:
    print(
      f"hardmine: with this model {codec.iterations} iterations help; more of them can "
      "make the picture worse",
      file=sys.stderr,
    )
  facts = {
    "image": args.image,
    "image_bytes": len(source),
    "file": args.file,
    "file_bytes": len(data),
    "bits_per_pixel": 8 * len(data) / (height_px * width_px),
    "width_px": width_px,
    "height_px": height_px,
    "iterations": iterations,
    "model_id": codec.model_id.hex(),
    "model_dir": str(model_dir),
  }
  with contextlib.redirect_stdout(sys.stdout if output else sys.stderr):
    if args.json:
      print(json.dumps(facts))
    else:
      _print_lines(facts, codec, bounded=args.bpp is not None)
  return 0


def _check_rate(args) -> None:
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


def _output(args) -> OutputFile | None:
  """Where the stream goes, looked at; None for the standard output."""
  if args.file == images.PIPE:
    images.check_pipe()
    return None
  output = OutputFile(args.file, STREAM, overwrite=args.overwrite, sources=[args.image])
  images.check_no_image_name(args.file)
  return output


def _print_lines(facts: dict[str, Any], codec: Codec, *, bounded: bool) -> None:
  """Prints what was written and, of a bounded rate, why it has no more iterations."""
  from hardmine.trainers.codec import rates

  height_px, width_px = facts["height_px"], facts["width_px"]
  iterations, file_bytes = facts["iterations"], facts["file_bytes"]
  print(
    f"{facts['file']}: {file_bytes:,} bytes, {facts['bits_per_pixel']:.4f} bits per "
    f"pixel ({width_px}x{height_px}, iterations: {iterations})"
  )
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
