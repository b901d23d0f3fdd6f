"""The score is the length of a real PNG, and the search finds what sorting finds."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image
from zlib_ng import zlib_ng

from hardmine.components.patch_gen.hardest import hardest
from hardmine.components.patch_gen.scoring import (
  filter_rows,
  png_size,
  score_definition,
)
from hardmine.components.patch_gen.tiling import cut
from tests.components.patch_gen.hard_streams import hard_tiles

SIDES = (16, 32, 64, 128)


def noise(shape, seed=0):
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def mixture(height, width, seed=0):
  """Flat, smooth and noisy regions of every strength, some of them repeated."""
  generator = np.random.default_rng(seed)
  strength = np.kron(
    generator.choice([0, 1, 3, 9, 40, 120], (height // 32 + 1, width // 32 + 1)),
    np.ones((32, 32)),
  )[:height, :width, None]
  ramp = np.add.outer(np.arange(height), np.arange(width))[:, :, None] / 3
  image = ramp + strength * generator.standard_normal((height, width, 3))
  image[:, width // 2 : width // 2 + 64] = image[:, :64]  # equal scores happen
  return np.clip(image, 0, 255).astype(np.uint8)


def idat(png):
  """The unfiltered content of a PNG's only image chunk: zlib's stream."""
  offset, stream = 8, b""
  while offset < len(png):
    length, kind = struct.unpack(">I4s", png[offset : offset + 8])
    if kind == b"IDAT":
      stream += png[offset + 8 : offset + 8 + length]
    offset += 12 + length
  return stream


def write_png(tile):
  """A PNG file, chunk by chunk as the specification (W3C, 2003) lays it out."""
  compressor = zlib_ng.compressobj(7, 8, 15, 9, zlib_ng.Z_FILTERED)
  (filtered,) = filter_rows(tile[None])
  stream = compressor.compress(filtered.tobytes()) + compressor.flush()
  header = struct.pack(">IIBBBBB", *tile.shape[:2], 8, 2, 0, 0, 0)
  png = b"\x89PNG\r\n\x1a\n"
  for kind, body in ((b"IHDR", header), (b"IDAT", stream), (b"IEND", b"")):
    crc = zlib.crc32(kind + body)
    png += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)
  return png


@pytest.mark.parametrize("side", [*SIDES, 256])
@pytest.mark.parametrize("seed", range(4))
def test_score_is_the_length_of_a_png_that_decodes_to_the_tile(seed, side):
  image = mixture(max(160, side), max(192, side), seed)
  tiles = cut(image, side).reshape(-1, side, side, 3)
  for tile, filtered in zip(tiles, filter_rows(tiles)):
    png = write_png(tile)
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(png))), tile)
    assert png_size(filtered) == len(png)


@pytest.mark.parametrize("side", [*SIDES, 256])
@pytest.mark.parametrize("seed", range(4))
def test_rows_are_filtered_exactly_as_pillow_filters_them(seed, side):
  shape = (side, side, 3)
  extremes = np.where(noise((3, *shape), seed) > 127, 255, 0).astype(np.uint8)
  flat = np.stack([np.full(shape, value, np.uint8) for value in (0, 128, 255)])
  mixed = cut(mixture(max(160, side), max(192, side), seed), side).reshape(-1, *shape)
  many = 70 if side <= 32 else 3  # more than are filtered at once
  tiles = np.concatenate([extremes, flat, noise((many, *shape), seed), mixed])
  for tile, filtered in zip(tiles, filter_rows(tiles)):
    buffer = io.BytesIO()
    Image.fromarray(tile).save(buffer, "PNG")
    assert zlib.decompress(idat(buffer.getvalue())) == filtered.tobytes()


def test_scores_are_the_same_on_every_machine():
  """Found with zlib-ng 2.3.3; without a repeat of 6 bytes zlib 1.2.13 agrees."""
  state, values = 1, []
  for _ in range(32 * 32 * 3):  # Numerical Recipes' generator, exact everywhere
    state = (1664525 * state + 1013904223) % 2**32
    values.append(state >> 24)
  tile = np.array(values, np.uint8).reshape(32, 32, 3)
  ramp = np.broadcast_to(np.arange(32, dtype=np.uint8)[:, None, None], (32, 32, 3))
  tiles = np.stack([tile, tile // 16, tile // 64, ramp, np.zeros_like(tile)])
  assert [png_size(filtered) for filtered in filter_rows(tiles)] == GOLDEN
  plain = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
  (filtered,) = filter_rows(tile[None] // 16)
  size = len(plain.compress(filtered.tobytes())) + len(plain.flush())
  assert size + 57 == GOLDEN[1]


GOLDEN = [3172, 1912, 1158, 98, 82]


def test_the_definition_of_a_score_names_the_side():
  assert score_definition()["png"].startswith("32x32, 8-bit RGB")
  changed = {"png": score_definition()["png"].replace("32x32", "64x64")}
  assert score_definition(64) == score_definition() | changed


def brute_force(image, count, side=32):
  grid = cut(image, side)
  found = []
  for i in range(grid.shape[0]):
    for j in range(grid.shape[1]):
      score = png_size(filter_rows(grid[i, j][None])[0])
      found.append((-score, side * i, side * j))
  return [(-score, row, column) for score, row, column in sorted(found)[:count]]


def searched(image, count, side=32):
  positions, scores = hardest(image, count, side)
  return [
    (score, row, column)
    for (row, column), score in zip(positions.tolist(), scores.tolist())
  ]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [1, 7, 1000])
def test_hardest_are_those_that_scoring_every_tile_finds(seed, count):
  image = mixture(320 + seed, 384 + 31, seed)
  assert searched(image, count) == brute_force(image, count)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("image", [noise((256, 256, 3)), np.zeros((256, 256, 3), "u1")])
def test_hardest_of_pure_noise_and_of_nothing_are_found_too(image, side):
  assert searched(image, 10, side) == brute_force(image, 10, side)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("name", ["astronaut.png", "chelsea.png", "page.png"])
def test_hardest_of_photographs_are_those_of_every_side(name, side):
  path = Path(skimage.__file__).parent / "data" / name
  image = np.asarray(Image.open(path).convert("RGB"))
  for count in (1, 5, 20):
    assert searched(image, count, side) == brute_force(image, count, side)


@pytest.mark.parametrize(("side", "columns"), [(16, 40), (32, 20), (64, 12), (128, 8)])
@pytest.mark.parametrize("seed", range(3))
def test_hardest_of_what_deflate_is_worst_at_are_found_too(seed, side, columns):
  image = hard_tiles(side, 8, columns, seed)
  for count in (4, 16, 64):
    assert searched(image, count, side) == brute_force(image, count, side)


def test_hardest_of_real_photographs_are_those_of_scoring_every_tile(data_dir):
  paths = sorted((data_dir / "coco" / "val2017").glob("*.jpg"))[:25]
  paths += sorted((data_dir / "photos").glob("4cd6910a*.png"))
  assert paths
  for path in paths:
    image = np.asarray(Image.open(path).convert("RGB"))
    assert searched(image, 20) == brute_force(image, 20), path


def test_equal_scores_are_ordered_by_row_then_column():
  tile = noise((32, 32, 3))
  positions, scores = hardest(np.tile(tile, (3, 4, 1)), 5)
  assert len(set(scores.tolist())) == 1
  assert positions.tolist() == [[0, 0], [0, 32], [0, 64], [0, 96], [32, 0]]


def test_an_image_of_fewer_tiles_gives_them_all():
  positions, _ = hardest(noise((64, 95, 3)), 100)
  assert sorted(map(tuple, positions.tolist())) == [(0, 0), (0, 32), (32, 0), (32, 32)]


@pytest.mark.parametrize(
  "image", [noise((64, 64)), noise((64, 64, 4)), noise((64, 64, 3)).astype(np.int32)]
)
def test_anything_but_rgb_bytes_is_refused(image):
  with pytest.raises(ValueError, match="Received: shape="):
    hardest(image, 1)
