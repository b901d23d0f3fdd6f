"""`hardmine inspect`: what a compressed file holds, without any model."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.images import read_input

if TYPE_CHECKING:
  from hardmine.trainers.codec.bitstream import Chunk, Header

HELP = (
  "Says what a compressed file holds and checks every checksum. Exits 1 when it is "
  "damaged, or cut before its first iteration ends; one that was cut later still "
  "decodes, and is no error."
)


def add_arguments(parser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "file", metavar="FILE", help="made by hardmine encode, or - for stdin"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args) -> int:
  """Prints the header and the state of every iteration."""
  from hardmine.trainers.codec import bitstream, rates

  data = read_input(args.file)
  try:
    header = bitstream.read_header(data)
  except bitstream.BitstreamError as error:
    raise ValueError(f"{args.file}: {error}") from error
  chunks = bitstream.read_chunks(data, header, header.iterations)
  problems = [
    "damaged" if _has_wrong_gain(chunk, header) else chunk.problem for chunk in chunks
  ]
  whole_size = rates.size_bytes(
    header.height_px,
    header.width_px,
    header.padding_px,
    header.iterations,
    header.sends_gains,
  )
  trailing_bytes = max(0, len(data) - whole_size)
  if "damaged" in problems or trailing_bytes:
    state = "damaged"
  else:
    state = "cut" if "cut" in problems else "complete"
  facts = {
    "file": args.file,
    "file_bytes": len(data),
    "bits_per_pixel": 8 * len(data) / (header.height_px * header.width_px),
    "state": state,
    "format_version": header.version,
    "model_id": header.model_id.hex(),
    "entropy_level": header.entropy_level,
    "width_px": header.width_px,
    "height_px": header.height_px,
    "padding_px": header.padding_px,
    "iterations": header.iterations,
    "iteration_bytes": bitstream.CHUNK_OVERHEAD_BYTES + header.payload_bytes,
    "whole_iterations": problems.count(None),
    "damaged_iterations": [i + 1 for i, p in enumerate(problems) if p == "damaged"],
    "trailing_bytes": trailing_bytes,
  }
  if args.json:
    print(json.dumps(facts))
  else:
    for name, value in facts.items():
      shown = f"{value:.4f}" if isinstance(value, float) else value
      print(f"{name.replace('_', ' '):<20} {shown if shown != [] else 'none'}")
  if state == "cut" and None not in problems:
    print(
      f"hardmine: {args.file}: cut before the end of its first iteration: nothing can "
      "be decoded",
      file=sys.stderr,
    )
    return 1
  return 1 if state == "damaged" else 0


def _has_wrong_gain(chunk: Chunk, header: Header) -> bool:
  """Whether a chunk that arrived as it was written says what no encoder says."""
  from hardmine.trainers.codec.bitstream import MAX_GAIN

  return header.sends_gains and not chunk.problem and chunk.payload[0] > MAX_GAIN
