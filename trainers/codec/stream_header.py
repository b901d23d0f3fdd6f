"""The first bytes of a compressed image: which model, which size, how many iterations.

    header, 28 bytes
      0   4  magic 89 48 4D 43 ("\\x89HMC"; its high bit exposes 7-bit transfers)
      4   1  format version: 1, 2 where the model sends gains, 3 where the picture is
             split into tiles
      5   1  entropy level, 0 (raw bits)
      6   1  iterations written, 1 to 255
      7   1  padding in blocks of 16 px: 1 or 2
      8   8  model id: first bytes of a SHA-256 over the model's config and weights
     16   4  width in pixels, of the image before padding
     20   4  height in pixels; width * height <= 2^28
     24   4  CRC32C of bytes 0 to 23

In version 3 it has 32 bytes:

     24   2  the longest side of a tile in pixels, a multiple of 32
     26   1  overlap of neighbours in pixels, even, at most half of that
     27   1  1 where every tile carries a gain in every iteration, else 0
     28   4  CRC32C of bytes 0 to 27

Width, height, tile and overlap say where the tiles lie (`tiling`). Integers are
unsigned and little endian. Whatever can be said in a lower version is.
"""

from __future__ import annotations

import dataclasses
import math
import struct

import google_crc32c

from hardmine.schemas.codec_config import CODE_DEPTH, STRIDE_PX
from hardmine.schemas.config import require
from hardmine.trainers.codec.tiling import Grid, Tiling

MAGIC = b"\x89HMC"
VERSION = 1
VERSION_WITH_GAINS = 2
VERSION_WITH_TILES = 3
RAW = 0  # entropy level: the bits as they are
MODEL_ID_BYTES = 8
MAX_ITERATIONS = 255
MAX_PIXELS = 1 << 28
HEADER_BYTES = 28  # without tiles

_HEADER = struct.Struct("<4sBBBB8sII")  # without its checksum
_TILES = struct.Struct("<HBB")
_U32 = struct.Struct("<I")


class BitstreamError(ValueError):
  """Bytes that are not a stream this version can decode, and why, in one line."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Header:
  """What a stream says about itself.

  Attributes:
    model_id: 8 bytes, the prefix of the model's SHA-256.
    height_px: of the image itself, before padding.
    width_px: likewise.
    padding_px: the image was padded to a multiple of this, 16 or 32.
    iterations: chunks written, 1 to 255.
    entropy_level: 0, raw bits.
    sends_gains: every iteration carries a gain, of every tile.
    tiling: how the picture is split into tiles that are coded by themselves.
  """

  model_id: bytes
  height_px: int
  width_px: int
  padding_px: int
  iterations: int
  entropy_level: int = RAW
  sends_gains: bool = False
  tiling: Tiling | None = None

  def __post_init__(self):
    require(
      len(self.model_id) == MODEL_ID_BYTES,
      f"a model id of {MODEL_ID_BYTES} bytes",
      model_id=self.model_id,
    )
    require(
      self.height_px > 0
      and self.width_px > 0
      and self.height_px * self.width_px <= MAX_PIXELS,
      f"an image of 1 to {MAX_PIXELS:,} pixels",
      height_px=self.height_px,
      width_px=self.width_px,
    )
    require(
      self.padding_px in (STRIDE_PX, 2 * STRIDE_PX),
      "padding of 16 or 32 px",
      padding_px=self.padding_px,
    )
    require(
      1 <= self.iterations <= MAX_ITERATIONS,
      f"1 to {MAX_ITERATIONS} iterations",
      iterations=self.iterations,
    )
    require(
      self.entropy_level == RAW,
      "entropy level 0; others were written by a newer version of hardmine",
      entropy_level=self.entropy_level,
    )

  @property
  def tiles(self) -> Grid:
    """Where the tiles lie; one where the picture is whole."""
    return Grid.over(self.height_px, self.width_px, self.tiling)

  @property
  def grid(self) -> tuple[int, int]:
    """Rows and columns of one iteration's code of a picture that is whole."""
    return code_grid(self.height_px, self.width_px, self.padding_px)

  @property
  def version(self) -> int:
    """Of the format, the lowest that says all there is to say."""
    if self.tiling is not None:
      return VERSION_WITH_TILES
    return VERSION_WITH_GAINS if self.sends_gains else VERSION

  @property
  def size_bytes(self) -> int:
    """Of this header in a file."""
    return HEADER_BYTES + (_TILES.size if self.tiling is not None else 0)

  @property
  def num_gains(self) -> int:
    """Gains of one iteration."""
    return self.tiles.num_tiles if self.sends_gains else 0

  @property
  def payload_bytes(self) -> int:
    """Exact size of one iteration's payload."""
    positions = self.tiles.num_positions(self.padding_px)
    return positions * CODE_DEPTH // 8 + self.num_gains


def pack_header(header: Header) -> bytes:
  """The first bytes of a file; `read_header` is the inverse."""
  fields = _HEADER.pack(
    MAGIC,
    header.version,
    header.entropy_level,
    header.iterations,
    header.padding_px // STRIDE_PX,
    header.model_id,
    header.width_px,
    header.height_px,
  )
  if header.tiling is not None:
    tiling = header.tiling
    fields += _TILES.pack(tiling.tile_px, tiling.overlap_px, header.sends_gains)
  return fields + _U32.pack(google_crc32c.value(fields))


def read_header(data: bytes) -> Header:
  """Reads the first bytes of a file.

  Raises:
    BitstreamError: too short, not a stream, of a newer version, or damaged.
  """
  if data[: len(MAGIC)] != MAGIC[: len(data)] or not data:
    raise BitstreamError(
      f"Expected a hardmine stream (first bytes {MAGIC.hex(' ')}). "
      f"Received: {data[: len(MAGIC)].hex(' ') or 'no bytes'}"
    )
  version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
  if not VERSION <= version <= VERSION_WITH_TILES:
    raise BitstreamError(
      f"Expected format version {VERSION} to {VERSION_WITH_TILES}. Received: "
      f"{version}, written by a newer version of hardmine, or damaged"
    )
  is_tiled = version == VERSION_WITH_TILES
  size = HEADER_BYTES + (_TILES.size if is_tiled else 0)
  if len(data) < size:
    raise BitstreamError(
      f"Expected a header of {size} bytes. Received: a file cut after {len(data)} bytes"
    )
  fields, crc = data[: size - _U32.size], data[size - _U32.size : size]
  if _U32.unpack(crc)[0] != google_crc32c.value(fields):
    raise BitstreamError("Expected an undamaged header. Received: its checksum differs")
  _, _, level, iterations, blocks, model_id, width_px, height_px = _HEADER.unpack_from(
    fields
  )
  try:
    tiling, sends_gains = None, version == VERSION_WITH_GAINS
    if is_tiled:
      tiling, sends_gains = _read_tiles(fields)
    return Header(
      model_id=model_id,
      height_px=height_px,
      width_px=width_px,
      padding_px=blocks * STRIDE_PX,
      iterations=iterations,
      entropy_level=level,
      sends_gains=sends_gains,
      tiling=tiling,
    )
  except ValueError as error:  # well-formed, but forged or of a later hardmine
    raise BitstreamError(str(error)) from error


def _read_tiles(fields: bytes) -> tuple[Tiling, bool]:
  tile_px, overlap_px, gains = _TILES.unpack_from(fields, _HEADER.size)
  require(gains in (0, 1), "0 or 1 gains of a tile", gains=gains)
  return Tiling(tile_px=tile_px, overlap_px=overlap_px), bool(gains)


def check_model(header: Header, model_id: bytes) -> None:
  """Raises BitstreamError, naming both hashes, unless the model wrote the stream."""
  if header.model_id != model_id:
    raise BitstreamError(
      f"Expected a stream of model {model_id.hex()}. Received: one of model "
      f"{header.model_id.hex()}"
    )


def code_grid(height_px: int, width_px: int, padding_px: int) -> tuple[int, int]:
  """Rows and columns of the code of an image that is padded to multiples of a size."""
  rows, columns = (
    math.ceil(side_px / padding_px) * padding_px // STRIDE_PX
    for side_px in (height_px, width_px)
  )
  return rows, columns
