"""`hardmine decode`: a compressed file to an image."""

from __future__ import annotations

import contextlib
import json
import sys

from hardmine.pipelines.cli import images
from hardmine.pipelines.cli.model_ref import (
  add_model_argument,
  choose_model,
  read_model_id,
)
from hardmine.schemas.outputs import OutputFile

HELP = (
  "Decodes a compressed file; `-` reads or writes a pipe. A file that was cut short "
  "gives the coarser image of its complete iterations."
)


def add_arguments(parser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("file", metavar="FILE", help="made by hardmine encode, or -")
  parser.add_argument(
    "image", metavar="IMAGE", help="to write, such as decoded.png; - pipes a PNG"
  )
  add_model_argument(parser)
  parser.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="decode the first N only; also reads what lies before a damaged place",
  )
  parser.add_argument(
    "--overwrite", action="store_true", help="replace an image of this name"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args) -> int:
  """Decodes; everything that can fail early does, before the model is loaded."""
  output = _output(args)
  data = images.read_input(args.file)

  from hardmine.trainers.codec import bitstream

  try:
    stream = bitstream.unpack(data, args.iterations)
  except bitstream.BitstreamError as error:
    raise ValueError(f"{args.file}: {error}") from error
  model_dir = choose_model(args.model, stream.header.model_id)
  bitstream.check_model(stream.header, read_model_id(model_dir))
  if stream.note:
    print(f"hardmine: {args.file}: {stream.note}", file=sys.stderr)
  if not images.is_lossless(args.image):
    print(
      f"hardmine: {args.image}: JPEG loses quality once more; PNG does not",
      file=sys.stderr,
    )

  from rich.console import Console  # shows nothing unless on a terminal

  with Console(stderr=True).status(f"decoding {len(stream.codes)} iterations"):
    from hardmine.trainers.codec.codec import Codec

    image = Codec.load(model_dir).decode_stream(stream)
  content = images.encode_image(args.image, image)
  if output is None:
    images.write_pipe(content)
  else:
    output.write(content)

  height_px, width_px, _ = image.shape
  facts = {
    "file": args.file,
    "image": args.image,
    "width_px": width_px,
    "height_px": height_px,
    "iterations": len(stream.codes),
    "missing_iterations": stream.num_missing,
    "model_id": stream.header.model_id.hex(),
    "model_dir": str(model_dir),
  }
  with contextlib.redirect_stdout(sys.stdout if output else sys.stderr):
    if args.json:
      print(json.dumps(facts))
    else:
      print(
        f"{args.image}: {width_px}x{height_px}, iterations: {len(stream.codes)} of "
        f"{stream.header.iterations}"
      )
  return 0


def _output(args) -> OutputFile | None:
  """Where the image goes, looked at; None for the standard output."""
  if args.image == images.PIPE:
    images.check_pipe()
    return None
  images.check_image_name(args.image)
  return OutputFile(
    args.image, images.IMAGE, overwrite=args.overwrite, sources=[args.file]
  )
