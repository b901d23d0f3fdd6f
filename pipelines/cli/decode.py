"""`hardmine decode`: compressed files to images."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch, images
from hardmine.pipelines.cli.model_ref import (
  add_model_argument,
  choose_model,
  read_model_id,
)
from hardmine.pipelines.cli.progress import waiting
from hardmine.schemas.outputs import OutputFile, check_folder

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec

HELP = (
  "Decodes compressed files; `-` reads or writes a pipe. A file that was cut short "
  "gives the coarser image of its complete iterations."
)
ENDINGS = (".hmc",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  batch.add_arguments(parser, source="FILE", target="IMAGE", written=".png")
  add_model_argument(parser)
  parser.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="decode the first N only; also reads what lies before a damaged place",
  )
  images.add_memory_argument(parser)
  parser.add_argument(
    "--overwrite", action="store_true", help="replace images of these names"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Decodes; everything that can fail early does, before the model is loaded."""
  single, decoder = batch.single(args), _Decoder(args)
  if single is None:
    check_folder(args.output)
    return batch.run(
      batch.several(args, ".png", endings=ENDINGS, what="compressed file"),
      lambda item: decoder.decode(item, _output(item, args, makes_folder=True)),
      _print_line,
      verb="decoding",
      noun="files",
      as_json=args.json,
    )
  output = _output(single, args)
  facts = decoder.decode(single, output)
  with contextlib.redirect_stdout(sys.stdout if output else sys.stderr):
    if args.json:
      print(json.dumps(facts))
    else:
      _print_line(facts)
  return 0


class _Decoder:
  """Models by their folders; streams of several may come together."""

  def __init__(self, args: argparse.Namespace):
    self._args = args
    self._codecs: dict[Path, Codec] = {}

  def decode(self, item: batch.Item, output: OutputFile | None) -> dict[str, Any]:
    """Decodes a file into an image, or for None into the standard output."""
    from hardmine.trainers.codec import bitstream

    args = self._args
    data = images.read_input(item.source)
    try:
      stream = bitstream.unpack(data, args.iterations)
    except bitstream.BitstreamError as error:
      raise ValueError(f"{item.source}: {error}") from error
    model_dir = choose_model(args.model, stream.header.model_id)
    bitstream.check_model(stream.header, read_model_id(model_dir))
    height_px, width_px = stream.header.height_px, stream.header.width_px
    images.check_memory(model_dir, height_px, width_px, len(stream.codes), args)
    if stream.note:
      print(f"hardmine: {item.source}: {stream.note}", file=sys.stderr)
    if not images.is_lossless(item.target):
      print(
        f"hardmine: {item.target}: JPEG loses quality once more; PNG does not",
        file=sys.stderr,
      )
    with waiting(f"decoding {item.source}, {width_px}x{height_px} pixels"):
      image = self._codec(model_dir).decode_stream(stream)
    content = images.encode_image(item.target, image)
    if output is None:
      images.write_pipe(content)
    else:
      output.write(content)
    return {
      "file": item.source,
      "image": item.target,
      "width_px": width_px,
      "height_px": height_px,
      "iterations": len(stream.codes),
      "written_iterations": stream.header.iterations,
      "missing_iterations": stream.num_missing,
      "model_id": stream.header.model_id.hex(),
      "model_dir": str(model_dir),
    }

  def _codec(self, model_dir: Path) -> Codec:
    from hardmine.trainers.codec.codec import Codec

    if model_dir not in self._codecs:
      self._codecs[model_dir] = Codec.load(model_dir)
    return self._codecs[model_dir]


def _output(
  item: batch.Item, args: argparse.Namespace, *, makes_folder: bool = False
) -> OutputFile | None:
  """Where an image goes, looked at; None for the standard output."""
  if item.target == images.PIPE:
    images.check_pipe()
    return None
  images.check_image_name(item.target)
  return OutputFile(
    item.target,
    images.IMAGE,
    overwrite=args.overwrite,
    sources=[item.source],
    makes_folder=makes_folder,
  )


def _print_line(facts: dict[str, Any]) -> None:
  print(
    f"{facts['image']}: {facts['width_px']}x{facts['height_px']}, iterations: "
    f"{facts['iterations']} of {facts['written_iterations']}",
    flush=True,
  )
