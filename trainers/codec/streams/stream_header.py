"""The first bytes of a compressed image: which model, which size, how many iterations.

    header, 28 bytes
      0   4  magic 89 48 4D 43 ("\\x89HMC"; its high bit exposes 7-bit transfers)
      4   1  format version: 1, 2 where the model sends gains, 3 where the picture is
             split into tiles, 4 where its bits are coded, side chunks go along, or a
             flag of it is needed
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

In version 4 it has 40 bytes:

     24   2  as in version 3, or 0 where the picture is whole
     26   1  as in version 3, or 0
     27   1  flags, a sum of: 1 every tile carries a gain in every iteration; and side
             chunks that stand before the iterations: 2 height map, 4 alpha, 8 metadata;
             16 a position has 16 bits, as of the networks of 2015, and not 32; 32 the
             picture is grey
     28   8  id of the entropy model, zeros at entropy level 0
     36   4  CRC32C of bytes 0 to 35

and byte 5 may be 1: bits are coded (`hardmine.trainers.codec.entropy`).

Width, height, tile and overlap say where the tiles lie (`tiling`). Integers are
unsigned and little endian. Whatever can be said in a lower version is.
"""

from __future__ import annotations

import dataclasses
import math
import struct

import google_crc32c

from hardmine.schemas.codec_config import CODE_DEPTH, CODE_DEPTH_2015, STRIDE_PX
from hardmine.schemas.config import require
from hardmine.trainers.codec.streams.tiling import Grid, Tiling

MAGIC = b"\x89HMC"
VERSION = 1
VERSION_WITH_GAINS = 2
VERSION_WITH_TILES = 3
VERSION_WITH_CODING = 4
RAW = 0  # entropy level: the bits as they are
CONTEXT_NETWORK = 1  # entropy level: `hardmine.trainers.codec.entropy`
MODEL_ID_BYTES = 8
NO_ENTROPY_MODEL = bytes(MODEL_ID_BYTES)
HEIGHT_MAP, ALPHA, METADATA = "height_map", "alpha", "metadata"
SIDE_FLAGS = {HEIGHT_MAP: 2, ALPHA: 4, METADATA: 8}  # in the order of their chunks
_GAINS_FLAG = 1
_DEPTH_FLAG = 16
_GREY_FLAG = 32
MAX_SIDE_BYTES = 64 << 20  # of a side chunk's payload
MAX_ITERATIONS = 255
MAX_PIXELS = 1 << 28
HEADER_BYTES = 28  # without tiles

_HEADER = struct.Struct("<4sBBBB8sII")  # without its checksum
_TILES = struct.Struct("<HBB")  # tile, overlap, gains or flags
_U32 = struct.Struct("<I")
_SIZES = {
  VERSION: HEADER_BYTES,
  VERSION_WITH_GAINS: HEADER_BYTES,
  VERSION_WITH_TILES: HEADER_BYTES + _TILES.size,
  VERSION_WITH_CODING: HEADER_BYTES + _TILES.size + MODEL_ID_BYTES,
}


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
    entropy_level: 0, raw bits, or 1, coded ones.
    sends_gains: every iteration carries a gain, of every tile.
    tiling: how the picture is split into tiles that are coded by themselves.
    entropy_id: 8 bytes, the prefix of the SHA-256 of the model that coded the bits;
      zeros at level 0.
    side: names among `SIDE_FLAGS` of what goes along beside the iterations.
    code_depth: bits of a position and iteration, 32 or 16.
    grey: red, green and blue are equal in every pixel (`grey`).
  """

  model_id: bytes
  height_px: int
  width_px: int
  padding_px: int
  iterations: int
  entropy_level: int = RAW
  sends_gains: bool = False
  tiling: Tiling | None = None
  entropy_id: bytes = NO_ENTROPY_MODEL
  side: frozenset[str] = frozenset()
  code_depth: int = CODE_DEPTH
  grey: bool = False

  def __post_init__(self):
    for name in ("model_id", "entropy_id"):
      value = getattr(self, name)
      require(
        len(value) == MODEL_ID_BYTES,
        f"{name} of {MODEL_ID_BYTES} bytes",
        **{name: value},
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
      self.entropy_level in (RAW, CONTEXT_NETWORK),
      "entropy level 0 or 1; others were written by a newer version of hardmine",
      entropy_level=self.entropy_level,
    )
    require(
      (self.entropy_level == RAW) == (self.entropy_id == NO_ENTROPY_MODEL),
      "the id of an entropy model at level 1, and none at level 0",
      entropy_level=self.entropy_level,
      entropy_id=self.entropy_id,
    )
    require(
      self.side <= set(SIDE_FLAGS),
      f"side chunks among {', '.join(SIDE_FLAGS)}",
      side=sorted(self.side),
    )
    require(
      self.code_depth == CODE_DEPTH
      or (self.code_depth == CODE_DEPTH_2015 and self.entropy_level == RAW),
      f"codes of {CODE_DEPTH} bits a position, or raw ones of {CODE_DEPTH_2015}",
      code_depth=self.code_depth,
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
    if self.is_coded or self.side or self.grey or self.code_depth != CODE_DEPTH:
      return VERSION_WITH_CODING
    if self.tiling is not None:
      return VERSION_WITH_TILES
    return VERSION_WITH_GAINS if self.sends_gains else VERSION

  @property
  def size_bytes(self) -> int:
    """Of this header in a file."""
    return _SIZES[self.version]

  @property
  def is_coded(self) -> bool:
    """Iterations may be smaller than `payload_bytes`."""
    return self.entropy_level != RAW

  @property
  def side_in_order(self) -> list[str]:
    """Of the side chunks, as they lie in a file."""
    return [name for name in SIDE_FLAGS if name in self.side]

  def max_side_bytes(self, name: str) -> int:
    """Of a side chunk's payload."""
    if name == HEIGHT_MAP:
      return 64 + 4 * self.tiles.num_positions(self.padding_px)
    return MAX_SIDE_BYTES

  @property
  def num_gains(self) -> int:
    """Gains of one iteration."""
    return self.tiles.num_tiles if self.sends_gains else 0

  @property
  def payload_bytes(self) -> int:
    """Size of one iteration's payload of raw bits; none is larger."""
    positions = self.tiles.num_positions(self.padding_px)
    return positions * self.code_depth // 8 + self.num_gains


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
  tile_px, overlap_px = 0, 0
  if header.tiling is not None:
    tile_px, overlap_px = header.tiling.tile_px, header.tiling.overlap_px
  flags = _GAINS_FLAG * header.sends_gains
  if header.version >= VERSION_WITH_TILES:
    flags += sum(SIDE_FLAGS[name] for name in header.side)
    flags += _DEPTH_FLAG * (header.code_depth == CODE_DEPTH_2015)
    flags += _GREY_FLAG * header.grey
    fields += _TILES.pack(tile_px, overlap_px, flags)
  if header.version >= VERSION_WITH_CODING:
    fields += header.entropy_id
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
  if version not in _SIZES:
    raise BitstreamError(
      f"Expected format version {min(_SIZES)} to {max(_SIZES)}. Received: "
      f"{version}, written by a newer version of hardmine, or damaged"
    )
  size = _SIZES[version]
  if len(data) < size:
    raise BitstreamError(
      f"Expected a header of {size} bytes. Received: a file cut after {len(data)} bytes"
    )
  fields, crc = data[: size - _U32.size], data[size - _U32.size : size]
  if _U32.unpack(crc)[0] != google_crc32c.value(fields):
    raise BitstreamError("Expected an undamaged header. Received: its checksum differs")
  try:
    return _parsed(fields, version)
  except ValueError as error:  # well-formed, but forged or of a later hardmine
    raise BitstreamError(str(error)) from error


def _parsed(fields: bytes, version: int) -> Header:
  _, _, level, iterations, blocks, model_id, width_px, height_px = _HEADER.unpack_from(
    fields
  )
  tiling, flags = None, _GAINS_FLAG * (version == VERSION_WITH_GAINS)
  if version >= VERSION_WITH_TILES:
    tile_px, overlap_px, flags = _TILES.unpack_from(fields, _HEADER.size)
    if tile_px or overlap_px or version == VERSION_WITH_TILES:
      tiling = Tiling(tile_px=tile_px, overlap_px=overlap_px)
    require(
      version > VERSION_WITH_TILES or flags <= 1, "0 or 1 gains of a tile", gains=flags
    )
  side = {name for name, flag in SIDE_FLAGS.items() if flags & flag}
  known = _GAINS_FLAG + _DEPTH_FLAG + _GREY_FLAG
  known += sum(SIDE_FLAGS[name] for name in side)
  require(flags | known == known, "flags that this version knows", flags=flags)
  header = Header(
    model_id=model_id,
    height_px=height_px,
    width_px=width_px,
    padding_px=blocks * STRIDE_PX,
    iterations=iterations,
    entropy_level=level,
    sends_gains=bool(flags & _GAINS_FLAG),
    tiling=tiling,
    entropy_id=fields[-MODEL_ID_BYTES:]
    if version >= VERSION_WITH_CODING
    else NO_ENTROPY_MODEL,
    side=frozenset(side),
    code_depth=CODE_DEPTH_2015 if flags & _DEPTH_FLAG else CODE_DEPTH,
    grey=bool(flags & _GREY_FLAG),
  )
  # each thing is said in one way, so equal pictures are equal files
  require(
    header.version == version,
    f"what it says in format version {header.version}",
    version=version,
  )
  return header


def check_entropy_model(header: Header, entropy_id: bytes | None) -> None:
  """Raises BitstreamError, naming both hashes, unless the model coded the stream.

  Args:
    header: of a stream; one of raw bits needs no model.
    entropy_id: of the entropy model that is there; None where there is none.
  """
  if header.is_coded and header.entropy_id != entropy_id:
    ours = f"entropy model {entropy_id.hex()}" if entropy_id else "no entropy model"
    raise BitstreamError(
      f"Expected a stream that {ours} can read, as the model's folder holds it. "
      f"Received: one coded by entropy model {header.entropy_id.hex()}; decode it with "
      "the folder of the model that wrote it"
    )


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
