"""`hardmine decode`: compressed files to images."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch, images
from hardmine.pipelines.cli.loaded_codecs import LoadedCodecs
from hardmine.pipelines.cli.model_ref import (
  add_model_argument,
  choose_model,
  read_model_id,
)
from hardmine.pipelines.cli.progress import waiting
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument
from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.config import require
from hardmine.schemas.outputs import OutputFile, check_folder

if TYPE_CHECKING:
  import numpy as np

HELP = (
  "Decodes compressed files; `-` reads or writes a pipe. A file that was cut short "
  "gives the coarser image of its complete iterations."
)
ENDINGS = (".hmc",)
ENDING = ".png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  batch.add_arguments(parser, source="FILE", target="IMAGE", written=ENDING)
  add_model_argument(parser)
  add_runtime_argument(parser)
  parser.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="decode the first N only; also reads what lies before a damaged place",
  )
  parser.add_argument(
    "--alpha",
    metavar="keep|COLOUR",
    help="of transparent pictures: kept, or laid over a colour such as '#ffffff' "
    "(default: kept where the file can hold it, as PNG, TIFF and WebP do, else over "
    "white)",
  )
  images.add_memory_argument(parser)
  parser.add_argument(
    "--overwrite", action="store_true", help="replace images of these names"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Decodes; everything that can fail early does, before a model is loaded."""
  if args.alpha is not None:
    from hardmine.trainers.codec.side_chunks.carrying import ground_of

    ground_of(args.alpha)
  single = batch.single(args, ENDING)
  if single is not None:
    output = _output(single, args)
    decoder = _Decoder(args)
    return batch.run_single(
      single, lambda done: decoder.decode(done, output, alone=True), args
    )
  check_folder(args.output)
  items = batch.several(
    args, lambda name: ENDING, endings=ENDINGS, what="compressed file"
  )
  decoder = _Decoder(args, at_once=batch.num_at_once(items))
  report = batch.run(
    items,
    lambda done: decoder.decode(done, _output(done.item, args, makes_folder=True)),
    verb="decoding",
    noun="files",
    args=args,
  )
  return batch.print_end(report, len(items), "files", args)


class _Decoder:
  """Models by their folders; streams of several may come together."""

  def __init__(self, args: argparse.Namespace, at_once: int = 1):
    self._args = args
    self._codecs = LoadedCodecs(args, at_once)

  def decode(
    self, done: batch.Done, output: OutputFile | None, *, alone: bool = False
  ) -> None:
    """Decodes a file into an image, or for None into the standard output.

    Args:
      done: gets the facts, and the line about them.
      output: where it goes.
      alone: it is the only one, for which somebody waits.
    """
    from hardmine.trainers.codec.side_chunks.beside import read_beside
    from hardmine.trainers.codec.streams import bitstream

    args, item = self._args, done.item
    data = images.read_input(item.source)
    try:
      stream = bitstream.unpack(data, args.iterations)
    except bitstream.BitstreamError as error:
      raise ValueError(f"{item.source}: {error}") from error
    model_dir = choose_model(args.model, stream.header.model_id)
    bitstream.check_model(stream.header, read_model_id(model_dir))
    height_px, width_px = stream.header.height_px, stream.header.width_px
    if stream.note:
      done.notes.append(f"hardmine: {printable(item.source)}: {stream.note}")
    if not images.is_lossless(item.target):
      done.notes.append(
        f"hardmine: {printable(item.target)}: JPEG loses quality once more; "
        "PNG does not"
      )
    told = f"decoding {item.source}, {width_px}x{height_px} pixels"
    with self._codecs.room_to_decode(model_dir, stream.header, stream.iterations):
      images.check_memory(model_dir, stream, args)
      codec, runtime = self._codecs.get(model_dir)
      with waiting(told, quiet=not alone):
        beside = read_beside(stream)
        image = codec.decode_stream(stream, beside)
      notes = list(beside.notes)
      transparent = image.shape[2] == 4
      image = self._laid(image, item.target, notes)
      content = images.encode_image(item.target, image, beside.metadata)
    if without := images.not_held(item.target, beside.metadata):
      notes.append(f"left out, as this file cannot hold it: {', '.join(without)}")
    done.notes += [f"hardmine: {printable(item.target)}: {note}" for note in notes]
    if output is None:
      images.write_pipe(content)
    else:
      output.write(content)
    done.facts = {
      "file": item.source,
      "image": item.target,
      "width_px": width_px,
      "height_px": height_px,
      "iterations": stream.iterations,
      "written_iterations": stream.header.iterations,
      "missing_iterations": stream.num_missing,
      "model_id": stream.header.model_id.hex(),
      "model_dir": str(model_dir),
      "runtime": runtime,
      "transparent": transparent,
      "metadata": [one for one in beside.metadata.kinds if one not in without],
    }
    done.lines.append(_line(done.facts))

  def _laid(self, image: np.ndarray, target: str, notes: list[str]) -> np.ndarray:
    """A picture as its file holds it, over a colour where that is asked for."""
    from hardmine.trainers.codec.side_chunks.alpha_plane import composite
    from hardmine.trainers.codec.side_chunks.carrying import KEEP, ground_of

    if image.shape[2] == 3:
      return image
    alpha, holds = self._args.alpha, images.holds_alpha(target)
    require(
      holds or alpha != KEEP,
      "a name that ends in .png, .tif or .webp, as other files hold no transparency",
      image=target,
    )
    if alpha is None and not holds:
      alpha = "#ffffff"
      notes.append("this file holds no transparency; laid over white (--alpha COLOUR)")
    ground = ground_of(alpha or KEEP)
    return image if ground is None else composite(image, ground)


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


def _line(facts: dict[str, Any]) -> str:
  return (
    f"{printable(facts['image'])}: {facts['width_px']}x{facts['height_px']}, "
    f"iterations: {facts['iterations']} of {facts['written_iterations']}"
  )
