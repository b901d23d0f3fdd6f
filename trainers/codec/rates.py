"""How large the file of a compressed image is, known before anything is encoded."""

from __future__ import annotations

import math

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.schemas.config import require
from hardmine.trainers.codec.bitstream import CHUNK_OVERHEAD_BYTES
from hardmine.trainers.codec.stream_header import MAX_ITERATIONS, MODEL_ID_BYTES, Header
from hardmine.trainers.codec.tiling import USUAL, Splitting


def file_bytes(header: Header) -> int:
  """Exact size of a whole file, header and checksums included."""
  chunk = CHUNK_OVERHEAD_BYTES + header.payload_bytes
  return header.size_bytes + header.iterations * chunk


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


def iterations_for_bpp(
  bpp: float,
  height_px: int,
  width_px: int,
  padding_px: int,
  max_iterations: int = MAX_ITERATIONS,
  sends_gains: bool = False,
  splitting: Splitting = USUAL,
  code_depth: int = CODE_DEPTH,
) -> int:
  """The most iterations whose whole file stays within a rate.

  Args:
    bpp: bits per pixel of the unpadded image, for the file as it lies on disk.
    height_px: of the image, before padding.
    width_px: likewise.
    padding_px: of the model, 16 or 32.
    max_iterations: never more than this, however high the rate.
    sends_gains: of the model.
    splitting: which pictures are split into tiles.
    code_depth: of the model, bits of a position.

  Raises:
    ValueError: not even one iteration fits.
  """
  require(math.isfinite(bpp) and bpp > 0, "a finite bpp > 0", bpp=bpp)
  one, two = (
    size_bytes(
      height_px, width_px, padding_px, iterations, sends_gains, splitting, code_depth
    )
    for iterations in (1, 2)
  )
  sizes = [one + iterations * (two - one) for iterations in range(max_iterations)]
  pixels = height_px * width_px
  fitting = sum(8 * size <= bpp * pixels for size in sizes)
  require(
    fitting > 0,
    f"at least {8 * sizes[0] / pixels:.4g} bits per pixel, one iteration of a "
    f"{width_px}x{height_px} image",
    bpp=bpp,
  )
  return fitting


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
