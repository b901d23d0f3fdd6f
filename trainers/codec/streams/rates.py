"""How large the file of a compressed image is, known before anything is encoded."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.streams.bitstream import CHUNK_OVERHEAD_BYTES
from hardmine.trainers.codec.streams.stream_header import MODEL_ID_BYTES, Header
from hardmine.trainers.codec.streams.tiling import USUAL, Splitting


def file_bytes(header: Header, side: Mapping[str, bytes] | None = None) -> int:
  """Exact size of a whole file of raw bits, header and checksums included.

  Args:
    header: of the stream; what it says of side chunks is replaced by those given here.
    side: their payloads by their names.
  """
  side = side or {}
  header = dataclasses.replace(header, side=frozenset(side))
  chunks = [len(one) for one in side.values()]
  chunks += header.iterations * [header.payload_bytes]
  return header.size_bytes + sum(CHUNK_OVERHEAD_BYTES + one for one in chunks)


def size_bytes(
  height_px: int,
  width_px: int,
  padding_px: int,
  iterations: int,
  sends_gains: bool = False,
  splitting: Splitting = USUAL,
  code_depth: int = CODE_DEPTH,
) -> int:
  """Exact size of the file that a picture gives; see `file_bytes`."""
  return file_bytes(
    _header(
      height_px, width_px, padding_px, iterations, sends_gains, splitting, code_depth
    )
  )


def iteration_bits(
  height_px: int,
  width_px: int,
  padding_px: int,
  sends_gains: bool = False,
  splitting: Splitting = USUAL,
  code_depth: int = CODE_DEPTH,
) -> int:
  """Bits of one iteration's codes and gains, of all that is padded, without a frame."""
  header = _header(
    height_px, width_px, padding_px, 1, sends_gains, splitting, code_depth
  )
  return 8 * header.payload_bytes


def _header(
  height_px: int,
  width_px: int,
  padding_px: int,
  iterations: int,
  sends_gains: bool,
  splitting: Splitting,
  code_depth: int,
) -> Header:
  return Header(
    model_id=bytes(MODEL_ID_BYTES),
    height_px=height_px,
    width_px=width_px,
    padding_px=padding_px,
    iterations=iterations,
    sends_gains=sends_gains,
    tiling=splitting.of(height_px, width_px),
    code_depth=code_depth,
  )
