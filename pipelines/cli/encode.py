"""`hardmine encode`: a photograph to a compressed file."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.images import check_destination, read_image
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec

HELP = (
  "Compresses a photograph. Every iteration adds 1/8 bit per pixel; any beginning of "
  "the file decodes to a coarser image."
)


def add_arguments(parser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("image", metavar="IMAGE", help="JPEG, PNG, WebP, TIFF, ...")
  parser.add_argument("file", metavar="FILE", help="to write, such as photo.hmc")
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
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args) -> int:
  """Encodes, and weighs the file as it lies on disk."""
  from hardmine.trainers.codec import bitstream

  check_destination(args.file, args.image)
  require(
    args.iterations is None or 1 <= args.iterations <= bitstream.MAX_ITERATIONS,
    f"1 to {bitstream.MAX_ITERATIONS} iterations",
    iterations=args.iterations,
  )
  model_dir = choose_model(args.model)
  image = read_image(args.image)
  height_px, width_px, _ = image.shape

  from rich.console import Console  # shows nothing unless on a terminal

  with Console(stderr=True).status(f"encoding {width_px}x{height_px} pixels"):
    from hardmine.trainers.codec.codec import Codec

    codec = Codec.load(model_dir)
    data = codec.compress(image, iterations=args.iterations, bpp=args.bpp)
  write_atomically(args.file, data)
  iterations = bitstream.read_header(data).iterations
  if iterations > codec.iterations:
    print(
      f"hardmine: with this model {codec.iterations} iterations help; more of them can "
      "make the picture worse",
      file=sys.stderr,
    )

  file_bytes, image_bytes = _size_bytes(args.file), _size_bytes(args.image)
  facts = {
    "image": args.image,
    "image_bytes": image_bytes,
    "file": args.file,
    "file_bytes": file_bytes,
    "bits_per_pixel": 8 * file_bytes / (height_px * width_px),
    "width_px": width_px,
    "height_px": height_px,
    "iterations": iterations,
    "model_id": codec.model_id.hex(),
    "model_dir": str(model_dir),
  }
  if args.json:
    print(json.dumps(facts))
  else:
    _print_lines(facts, codec, bounded=args.bpp is not None)
  return 0


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


def _size_bytes(path: str) -> int:
  return Path(path).stat().st_size
