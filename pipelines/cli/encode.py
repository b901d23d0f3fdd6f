"""`hardmine encode`: photographs to compressed files."""

from __future__ import annotations

import argparse
import collections
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import batch, images, photo_arguments
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
  from hardmine.trainers.codec.running.rate_control import Compressed, Target
  from hardmine.trainers.codec.side_chunks.carrying import Carried
  from hardmine.trainers.images import Photograph

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
  photo_arguments.add_rate_arguments(parser)
  photo_arguments.add_beside_arguments(parser)
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
  _check_arguments(args)
  if single is not None:
    encoder = _Encoder(args, choose_model(args.model))
    return batch.run_single(
      single, lambda done: encoder.encode(done, output, alone=True), args
    )
  check_folder(args.output)
  model_dir = choose_model(args.model)
  items = batch.several(args, lambda name: ENDING, what="image")
  encoder = _Encoder(args, model_dir, at_once=batch.num_at_once(items))
  told: collections.Counter[str] = collections.Counter()
  report = batch.run(
    items,
    lambda done: encoder.encode(done, _output(done.item, args, makes_folder=True)),
    verb="encoding",
    noun="photographs",
    args=args,
    settle=lambda done: told.update(done.value),
  )
  for what, count in told.items():
    print(f"hardmine: {count:,} of {len(items):,} photographs {what}", file=sys.stderr)
  return batch.print_end(report, len(items), "photographs", args)


class _Encoder:
  """One model, loaded when the first photograph has been read."""

  def __init__(self, args: argparse.Namespace, model_dir: Path, at_once: int = 1):
    self._args, self._model_dir = args, model_dir
    self._target = photo_arguments.target_of(args)
    self._carrying = photo_arguments.carrying_of(args)
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
    item = done.item
    # Weighed as it was read: a pipe has no size on the disk.
    source = images.read_input(item.source)
    with self._codecs.room_to_encode(self._model_dir, *images.size_of(source)):
      photograph = images.decode_within_memory(
        item.source, source, self._model_dir, self._args
      )
      carried = self._carrying.of(photograph)
      height_px, width_px, _ = carried.image.shape
      codec, runtime = self._codecs.get(self._model_dir)
      told = f"encoding {item.source}, {width_px}x{height_px} pixels"
      with waiting(told, quiet=not alone):
        found = codec.compress_to(
          carried.image,
          self._target,
          metadata=carried.metadata,
          adaptive=self._args.adaptive,
        )
    if output is None:
      images.write_pipe(found.data)
    else:
      output.write(found.data)
    if found.iterations > codec.iterations:
      done.notes.append(
        f"hardmine: with this model, iterations beyond {codec.iterations} can make the "
        "picture worse"
      )
    done.facts = {
      "image": item.source,
      "image_bytes": len(source),
      "file": item.target,
      "file_bytes": len(found.data),
      "bits_per_pixel": 8 * len(found.data) / (height_px * width_px),
      "width_px": width_px,
      "height_px": height_px,
      "iterations": found.iterations,
      "model_id": codec.model_id.hex(),
      "model_dir": str(self._model_dir),
      "runtime": runtime,
      **_beside_facts(found.data, photograph, carried),
    }
    if found.ms_ssim is not None:
      done.facts |= {"ms_ssim": found.ms_ssim, "target_reached": found.is_met}
    if not found.is_met:
      done.notes.append(
        f"hardmine: {printable(item.source)}: MS-SSIM {self._target.ms_ssim:g} is not "
        f"reached with the {found.iterations} iterations that help with this model; "
        f"written with {found.ms_ssim:.4f}"
      )
    beside = _told_beside(photograph, carried, self._args)
    done.value = list(beside)
    done.lines.append(_line(done.facts))
    if alone:
      done.lines += _more(done.facts, codec, found, self._target)
      done.notes += [
        f"hardmine: {printable(item.source)}: {line}" for line in beside.values()
      ]


def _beside_facts(
  data: bytes, photograph: Photograph, carried: Carried
) -> dict[str, Any]:
  """For `--json`, of all but the colours."""
  from hardmine.trainers.codec.streams import bitstream
  from hardmine.trainers.codec.streams.chunks import read_side

  side = read_side(data, bitstream.read_header(data))
  return {
    "notes": list(photograph.notes),
    "side_bytes": {name: len(chunk.payload) for name, chunk in side.items()},
    "metadata": list(carried.metadata.kinds),
    "metadata_left_out": list(carried.left_out),
  }


def _told_beside(
  photograph: Photograph, carried: Carried, args: argparse.Namespace
) -> dict[str, str]:
  """What is worth a line: by what is said of many photographs, that of one alone."""
  from hardmine.trainers.photo_metadata.exif_rules import LOCATION, SERIAL_NUMBERS

  told = {}
  if carried.is_transparent and carried.image.shape[2] == 3:
    many = f"were transparent and were laid over {args.alpha}"
    told[many] = f"its transparency was laid over {args.alpha}"
  left_out = ", ".join(carried.left_out)
  if left_out and not args.keep_metadata:
    many = "had metadata, which was left out (--keep-metadata keeps it)"
    told[many] = f"left out: {left_out} (--keep-metadata)"
  elif left_out:
    places = set(carried.left_out) & {LOCATION, SERIAL_NUMBERS}
    remedy = " (--keep-location)" if places else ""
    many = f"had metadata of which a part was left out{remedy}"
    told[many] = f"left out: {left_out}{remedy}"
  for note, what, became in (
    ("converted", "CMYK, Lab or palette colours", "became RGB"),
    ("colour_converted", "colours other than sRGB's", "were converted to those"),
    ("profile_ignored", "a colour profile of no use", "was taken for sRGB's"),
  ):
    if note in photograph.notes:
      told[f"had {what}, which {became}"] = f"{what}, which {became}"
  return told


def _check_arguments(args: argparse.Namespace) -> None:
  photo_arguments.target_of(args)
  photo_arguments.carrying_of(args)
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
  quality = f", MS-SSIM {facts['ms_ssim']:.4f}" if "ms_ssim" in facts else ""
  return (
    f"{printable(facts['file'])}: {facts['file_bytes']:,} bytes, "
    f"{facts['bits_per_pixel']:.4f} bits per pixel{quality} "
    f"({facts['width_px']}x{facts['height_px']}, iterations: {facts['iterations']})"
  )


def _more(
  facts: dict[str, Any], codec: Codec, found: Compressed, target: Target
) -> list[str]:
  """Why a file is no larger, what of it is not the picture, and what was saved."""
  from hardmine.trainers.codec.running.rate_control import MAX_LEVEL

  lines = []
  if found.level is not None:
    if target.is_of_size and found.level == MAX_LEVEL:
      lines.append("this is the finest that there is with this model")
  elif target.is_of_size and found.next_bytes is not None:
    more = f"{found.next_bytes:,} bytes"
    if target.bpp is not None:
      more = f"{8 * found.next_bytes / (facts['height_px'] * facts['width_px']):.4f}"
    lines.append(f"one iteration more is {more}")
  elif target.is_of_size and found.iterations == codec.iterations:
    lines.append("these are all iterations that help with this model")
  if facts["side_bytes"]:
    beside = (
      f"{name.replace('_', ' ')} {size:,}" for name, size in facts["side_bytes"].items()
    )
    lines.append(f"bytes beside the picture: {', '.join(beside)}")
  share = facts["file_bytes"] / facts["image_bytes"]
  return [
    *lines,
    f"{printable(facts['image'])}: {facts['image_bytes']:,} bytes; the new file has "
    f"{share:.1%}",
  ]
