"""`hardmine encode`: photographs to compressed files."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch, images
from hardmine.pipelines.cli.inference_arguments import add_job_arguments, wants_job
from hardmine.pipelines.cli.loaded_codecs import LoadedCodecs
from hardmine.pipelines.cli.model_ref import add_model_argument, choose_model
from hardmine.pipelines.cli.progress import waiting
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument
from hardmine.pipelines.cli.tables import printable
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
PASSES_ON = True  # Beam's own flags, for `--beam`


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  batch.add_arguments(parser, source="IMAGE", target="FILE", written=ENDING)
  add_model_argument(parser)
  add_runtime_argument(parser)
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
  add_job_arguments(parser, "the streams")


def run(args: argparse.Namespace) -> int:
  """Encodes, and weighs what was written; a mistake costs no model's loading.

  Raises:
    ValueError: an argument is out of range, the image cannot be used, or the file may
      not be written.
    OSError: a file cannot be read or written.
  """
  if wants_job(args):
    from hardmine.pipelines.cli import inference_job

    return inference_job.encode(args)
  single = batch.single(args, ENDING)
  output = None if single is None else _output(single, args)
  _check_rate(args)
  if single is not None:
    encoder = _Encoder(args, choose_model(args.model))
    return batch.run_single(
      single, lambda done: encoder.encode(done, output, alone=True), args
    )
  check_folder(args.output)
  model_dir = choose_model(args.model)
  items = batch.several(args, lambda name: ENDING, what="image")
  encoder = _Encoder(args, model_dir, at_once=batch.num_at_once(items))
  report = batch.run(
    items,
    lambda done: encoder.encode(done, _output(done.item, args, makes_folder=True)),
    verb="encoding",
    noun="photographs",
    args=args,
  )
  return batch.print_end(report, len(items), "photographs", args)


class _Encoder:
  """One model, loaded when the first photograph has been read."""

  def __init__(self, args: argparse.Namespace, model_dir: Path, at_once: int = 1):
    self._args, self._model_dir = args, model_dir
    self._codecs = LoadedCodecs(args, at_once)

  def encode(
    self, done: batch.Done, output: OutputFile | None, *, alone: bool = False
  ) -> None:
    """Encodes a photograph into a file, or for None into the standard output.

    Args:
      done: gets the facts, and the lines about them.
      output: where it goes.
      alone: it is the only one, of which more is told.
    """
    from hardmine.trainers.codec import bitstream

    item = done.item
    # Weighed as it was read: a pipe has no size on the disk.
    source = images.read_input(item.source)
    with self._codecs.room_to_encode(self._model_dir, *images.size_of(source)):
      image = images.decode_within_memory(
        item.source, source, self._model_dir, self._args
      )
      height_px, width_px, _ = image.shape
      codec, runtime = self._codecs.get(self._model_dir)
      told = f"encoding {item.source}, {width_px}x{height_px} pixels"
      with waiting(told, quiet=not alone):
        data = codec.compress(
          image, iterations=self._args.iterations, bpp=self._args.bpp
        )
    if output is None:
      images.write_pipe(data)
    else:
      output.write(data)
    iterations = bitstream.read_header(data).iterations
    if iterations > codec.iterations:
      done.notes.append(
        f"hardmine: with this model {codec.iterations} iterations help; more of "
        "them can make the picture worse"
      )
    done.facts = {
      "image": item.source,
      "image_bytes": len(source),
      "file": item.target,
      "file_bytes": len(data),
      "bits_per_pixel": 8 * len(data) / (height_px * width_px),
      "width_px": width_px,
      "height_px": height_px,
      "iterations": iterations,
      "model_id": codec.model_id.hex(),
      "model_dir": str(self._model_dir),
      "runtime": runtime,
    }
    done.lines.append(_line(done.facts))
    if alone:
      done.lines += _more(done.facts, codec, bounded=self._args.bpp is not None)


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


def _line(facts: dict[str, Any]) -> str:
  return (
    f"{printable(facts['file'])}: {facts['file_bytes']:,} bytes, "
    f"{facts['bits_per_pixel']:.4f} bits per pixel "
    f"({facts['width_px']}x{facts['height_px']}, iterations: {facts['iterations']})"
  )


def _more(facts: dict[str, Any], codec: Codec, *, bounded: bool) -> list[str]:
  """Why a bounded rate has no more iterations, and what was saved."""
  from hardmine.trainers.codec import rates

  height_px, width_px = facts["height_px"], facts["width_px"]
  iterations, file_bytes = facts["iterations"], facts["file_bytes"]
  lines = []
  if bounded and iterations < codec.iterations:
    size = rates.size_bytes(
      height_px, width_px, codec.padding_px, iterations + 1, codec.sends_gains
    )
    lines.append(f"one iteration more is {8 * size / (height_px * width_px):.4f}")
  elif bounded:
    lines.append("these are all iterations that help with this model")
  share = file_bytes / facts["image_bytes"]
  return [
    *lines,
    f"{printable(facts['image'])}: {facts['image_bytes']:,} bytes; the new file has "
    f"{share:.1%}",
  ]
