"""`hardmine inspect`: what compressed files and sets hold, and whether they are whole.

No model is needed. A folder or a URL is taken for a set (`set_facts`).
"""

from __future__ import annotations

import argparse
import json
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import set_facts
from hardmine.pipelines.cli.images import read_input
from hardmine.pipelines.cli.tables import printable

if TYPE_CHECKING:
  import numpy as np

  from hardmine.trainers.codec.streams.bitstream import Chunk, Header

HELP = (
  "Says what compressed files hold and checks every checksum. Exits 1 when one is "
  "damaged or cut short; one that was cut behind its first iteration still decodes, to "
  "the coarser image of what is there. Of a folder or a URL that a job made "
  "(`mine`, `coco`, `encode` or `detect` with `--images`), says what it holds, whether "
  "every file is there at its length, and what jobs that were killed or still run have "
  "left beside it; exits 1 without a whole set."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "files",
    nargs="+",
    metavar="FILE",
    help="made by hardmine encode, or - for stdin; or the folder or URL of a set",
  )
  parser.add_argument(
    "--full", action="store_true", help="hash every file of a set (reads all of it)"
  )
  parser.add_argument(
    "--json",
    action="store_true",
    help="print one JSON object; of several files it has `results` and `failed`",
  )


def run(args: argparse.Namespace) -> int:
  """Prints the header and the state of every iteration.

  Raises:
    ValueError: the only file is no compressed file.
    OSError: it cannot be read.
  """
  if len(args.files) == 1:
    facts = _describe(args.files[0], args.full)
    _show(facts, as_json=args.json)
    return _complain(facts)
  results, statuses = [], []
  for path in args.files:
    try:
      facts = _describe(path, args.full)
      status = _complain(facts)
      if not args.json:
        _show(facts, as_json=False)
        print()
    except (ValueError, OSError, RuntimeError) as error:
      facts = {"file": path, "error": str(error)}
      status = 2 if isinstance(error, ValueError) else 1
      print(f"hardmine: {error}", file=sys.stderr)
    results.append(facts)
    statuses.append(status)
  if args.json:
    print(json.dumps({"results": results, "failed": sum(map(bool, statuses))}))
  return min(filter(None, statuses), default=0)


def _describe(path: str, full: bool) -> dict[str, Any]:
  if path != "-" and set_facts.is_place(path):
    return set_facts.describe(path, full=full)
  from hardmine.trainers.codec.streams import bitstream
  from hardmine.trainers.codec.streams.chunks import read_side

  data = read_input(path)
  try:
    header = bitstream.read_header(data)
  except bitstream.BitstreamError as error:
    raise ValueError(f"{path}: {error}") from error
  side = read_side(data, header)
  chunks = bitstream.read_chunks(data, header, header.iterations)
  problems = [
    "damaged" if bitstream.has_wrong_gain(chunk, header) else chunk.problem
    for chunk in chunks
  ]
  heights = _heights(header, side)
  whole_size = _whole_size(header, [*side.values(), *chunks], heights)
  trailing_bytes = max(0, len(data) - whole_size) if whole_size else 0
  every = {*problems, *(chunk.problem for chunk in side.values())}
  if "damaged" in every or trailing_bytes:
    state = "damaged"
  else:
    state = "cut" if "cut" in every else "complete"
  return {
    "file": path,
    "file_bytes": len(data),
    "bits_per_pixel": 8 * len(data) / (header.height_px * header.width_px),
    "state": state,
    "format_version": header.version,
    "model_id": header.model_id.hex(),
    "entropy_level": header.entropy_level,
    "width_px": header.width_px,
    "height_px": header.height_px,
    "padding_px": header.padding_px,
    **_tile_facts(header),
    **_coding_facts(header, chunks),
    **_side_facts(side),
    **_height_facts(header, heights),
    "iterations": header.iterations,
    "iteration_bytes": bitstream.CHUNK_OVERHEAD_BYTES + header.payload_bytes,
    "whole_iterations": problems.count(None),
    "damaged_iterations": [i + 1 for i, p in enumerate(problems) if p == "damaged"],
    "missing_iterations": [i + 1 for i, p in enumerate(problems) if p == "cut"],
    "missing_bytes": max(0, whole_size - len(data)) if whole_size else None,
    "trailing_bytes": trailing_bytes,
  }


def _whole_size(
  header: Header, pieces: list[Chunk], heights: np.ndarray | None
) -> int | None:
  """Bytes of the file, were it whole; None where its lengths are not known."""
  from hardmine.trainers.codec.streams.bitstream import CHUNK_OVERHEAD_BYTES
  from hardmine.trainers.codec.streams.height_map import raw_sizes
  from hardmine.trainers.codec.streams.stream_header import HEIGHT_MAP

  sizes = [piece.size_bytes for piece in pieces]
  knows = heights is not None or HEIGHT_MAP not in header.side
  if not header.is_coded and knows:  # raw bits are of known sizes, there or not
    sizes[len(sizes) - header.iterations :] = [
      CHUNK_OVERHEAD_BYTES + size for size in raw_sizes(header, heights)
    ]
  return header.size_bytes + sum(sizes) if all(sizes) else None


def _heights(header: Header, side: dict[str, Chunk]) -> np.ndarray | None:
  """What a height map tells, as far as it is whole."""
  from hardmine.trainers.codec.streams.height_map import HeightMapError, unpack_heights
  from hardmine.trainers.codec.streams.stream_header import HEIGHT_MAP

  if HEIGHT_MAP not in side or side[HEIGHT_MAP].problem:
    return None
  try:
    return unpack_heights(header, side[HEIGHT_MAP].payload)
  except HeightMapError:
    return None


def _height_facts(header: Header, heights: np.ndarray | None) -> dict[str, Any]:
  """Of a picture whose positions have different numbers of iterations."""
  if heights is None:
    return {}
  import numpy as np

  from hardmine.trainers.codec.streams.bitstream import CHUNK_OVERHEAD_BYTES
  from hardmine.trainers.codec.streams.height_map import raw_sizes

  sizes = [CHUNK_OVERHEAD_BYTES + one for one in raw_sizes(header, heights)]
  counts = np.bincount(heights, minlength=header.iterations + 1)
  return {
    **({} if header.is_coded else {"bytes_by_iteration": sizes}),
    "mean_iterations": float(heights.mean()),
    "positions_by_iterations": counts.tolist(),
  }


def _coding_facts(header: Header, chunks: list[Chunk]) -> dict[str, Any]:
  """Of bits that are coded, by what and into how many bytes."""
  if not header.is_coded:
    return {}
  sizes = [chunk.size_bytes for chunk in chunks if chunk.problem is None]
  return {
    "entropy_id": header.entropy_id.hex(),
    "coded_bytes": sum(sizes),
    "bytes_by_iteration": sizes,
  }


def _side_facts(side: dict[str, Chunk]) -> dict[str, Any]:
  """Of what lies beside the iterations: bytes of each, or what is wrong with it."""
  return {
    name: chunk.problem or f"{len(chunk.payload):,} bytes"
    for name, chunk in side.items()
  }


def _tile_facts(header: Header) -> dict[str, int]:
  """Of a picture that is split, how."""
  if header.tiling is None:
    return {}
  return {
    "tiles": header.tiles.num_tiles,
    "tile_px": header.tiling.tile_px,
    "overlap_px": header.tiling.overlap_px,
  }


def _show(facts: dict[str, Any], *, as_json: bool) -> None:
  if as_json:
    print(json.dumps(facts))
    return
  if "place" in facts:
    set_facts.show(facts)
    return
  for name, value in facts.items():
    if value is None:
      continue
    shown = f"{value:.4f}" if isinstance(value, float) else value
    if isinstance(value, list):
      is_sizes = name in ("bytes_by_iteration", "positions_by_iterations")
      shown = ", ".join(map(str, value)) if is_sizes else _ranges(value) or "none"
    print(f"{name.replace('_', ' '):<20} {shown}")


def _complain(facts: dict[str, Any]) -> int:
  """Tells of a file that is cut short or a set that is not whole; the exit status."""
  if "place" in facts:
    complaint = set_facts.complaint(facts)
    if complaint is not None:
      print(f"hardmine: {printable(complaint)}", file=sys.stderr)
    return int(complaint is not None)
  if facts["state"] == "complete":
    return 0
  missing = facts["missing_iterations"]
  if missing:
    left = "nothing can be decoded"
    if missing[0] > 1:
      left = f"the first {missing[0] - 1} still decode, if they are whole"
    of_all = ""
    if facts["missing_bytes"] is not None:
      of_all = f" of {facts['file_bytes'] + facts['missing_bytes']:,}"
    print(
      f"hardmine: {facts['file']}: cut after {facts['file_bytes']:,}{of_all} "
      f"bytes: iterations {_ranges(missing)} of {facts['iterations']} are missing; "
      f"{left}",
      file=sys.stderr,
    )
  return 1


def _ranges(numbers: list[int]) -> str:
  """`1, 3 to 7` of rising numbers."""
  runs: list[list[int]] = []
  for number in numbers:
    if runs and number == runs[-1][1] + 1:
      runs[-1][1] = number
    else:
      runs.append([number, number])
  return ", ".join(
    str(first) if first == last else f"{first} to {last}" for first, last in runs
  )
