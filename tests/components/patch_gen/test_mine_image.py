"""What becomes of every kind of file that people call a photograph."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from hardmine.components.patch_gen.mine_image import DeadLetter, Mined, mine_image
from hardmine.schemas.mining_config import MiningConfig

CONFIG = MiningConfig(images=("*",), per_image=3)


def pixels(height=96, width=128, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def saved(image, kind="PNG", **options):
  buffer = io.BytesIO()
  if isinstance(image, np.ndarray):
    image = Image.fromarray(image)
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def mine(data, **changes):
  overrides = [f"{name}={value}" for name, value in changes.items()]
  return mine_image(data, "a/b.png", CONFIG.override(overrides))


def mined(data, **changes) -> Mined:
  result = mine(data, **changes)
  assert isinstance(result, Mined), result
  return result


def reason(data, **changes) -> str:
  result = mine(data, **changes)
  assert isinstance(result, DeadLetter)
  assert result.source == "a/b.png"
  assert result.detail
  return result.reason


def png_chunk(kind, body):
  crc = zlib.crc32(kind + body)
  return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


def png_with_header(width, height, bits=8, colour=2, body=b""):
  header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
  return (
    b"\x89PNG\r\n\x1a\n"
    + png_chunk(b"IHDR", header)
    + png_chunk(b"IDAT", zlib.compress(body))
    + png_chunk(b"IEND", b"")
  )


def test_every_patch_is_the_photograph_at_its_place():
  image = pixels(100, 130)
  patches = mined(saved(image), per_image=100).patches
  assert len(patches) == 3 * 4
  for patch in patches:
    assert patch.source == "a/b.png"
    crop = image[patch.row_px :, patch.column_px :][:32, :32]
    np.testing.assert_array_equal(patch.pixels, crop)
  assert [p.score for p in patches] == sorted((p.score for p in patches), reverse=True)


def test_resize_makes_one_patch_of_the_whole_photograph():
  image = np.zeros((64, 320, 3), np.uint8)
  image[:, 160:] = (255, 0, 100)
  (patch,) = mined(saved(image), recipe="resize").patches
  assert (patch.row_px, patch.column_px) == (0, 0)
  assert patch.pixels.shape == (32, 32, 3)
  np.testing.assert_array_equal(patch.pixels[:, :12], 0)
  np.testing.assert_array_equal(
    patch.pixels[:, 20:], np.full((32, 12, 3), image[0, -1])
  )


def test_max_side_shrinks_before_cutting_and_never_enlarges():
  image = pixels(256, 512)
  patches = mined(saved(image), max_side_px=128, per_image=100).patches
  assert len(patches) == 2 * 4
  small = Image.fromarray(image).resize((128, 64), Image.Resampling.LANCZOS)
  for patch in patches:
    crop = np.asarray(small)[patch.row_px :, patch.column_px :][:32, :32]
    np.testing.assert_array_equal(patch.pixels, crop)
  assert len(mined(saved(image), max_side_px=4096, per_image=1000).patches) == 8 * 16


@pytest.mark.parametrize("side", [16, 64])
def test_patches_have_the_side_that_was_asked_for(side):
  image = pixels(128, 192)
  patches = mined(saved(image), patch_px=side, per_image=1000).patches
  assert len(patches) == (128 // side) * (192 // side)
  for patch in patches:
    crop = image[patch.row_px :, patch.column_px :][:side, :side]
    np.testing.assert_array_equal(patch.pixels, crop)
  (whole,) = mined(saved(image), patch_px=side, recipe="resize").patches
  assert whole.pixels.shape == (side, side, 3)


def test_every_reduction_gives_its_own_hardest_patches():
  image = pixels(260, 390)
  result = mined(saved(image), reductions="[1, 3, 2]", per_image=4)
  assert result.notes == ()
  assert [p.reduction for p in result.patches] == [1] * 4 + [3] * 4 + [2] * 4
  for reduction, size in ((1, (390, 260)), (3, (130, 87)), (2, (195, 130))):
    small = Image.fromarray(image).resize(size, Image.Resampling.LANCZOS)
    of_small = mined(saved(small), per_image=4).patches
    of_all = [p for p in result.patches if p.reduction == reduction]
    for patch, expected in zip(of_all, of_small, strict=True):
      assert (patch.row_px, patch.column_px) == (expected.row_px, expected.column_px)
      np.testing.assert_array_equal(patch.pixels, expected.pixels)
      assert patch.score == expected.score


def test_reductions_follow_the_largest_side():
  image = pixels(256, 512)
  small = Image.fromarray(image).resize((128, 64), Image.Resampling.LANCZOS)
  smaller = np.asarray(small.resize((64, 32), Image.Resampling.LANCZOS))
  for patch in mined(saved(image), max_side_px=128, reductions="[2]").patches:
    crop = smaller[:, patch.column_px :][:, :32]
    np.testing.assert_array_equal(patch.pixels, crop)


def test_a_reduction_at_which_no_patch_fits_is_noted():
  data = saved(pixels(96, 128)[:, :, 0])
  result = mined(data, reductions="[1, 2, 4, 1000]", per_image=100)
  assert result.notes == ("grey", "too_small_at_4", "too_small_at_1000")
  assert [p.reduction for p in result.patches] == [1] * 12 + [2] * 2


def test_too_small_at_every_reduction_is_refused():
  result = mine(saved(pixels(62, 200)), reductions="[2, 4]")
  assert isinstance(result, DeadLetter)
  assert result.reason == "too_small"
  assert "32x32 when shrunk by 2. Received: 200x62" in result.detail
  assert reason(saved(pixels(62, 200)), patch_px=64) == "too_small"


def test_empty_file_is_refused():
  assert reason(b"") == "empty"


def test_text_is_not_an_image():
  assert reason(b"this is not a photograph\n" * 100) == "not_an_image"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_truncated_file_is_refused_at_every_length(kind):
  data = saved(pixels(), kind)
  for share in (0.01, 0.3, 0.6, 0.95):
    assert reason(data[: int(len(data) * share)]) in (
      "damaged",
      "truncated",
      "not_an_image",
    )


def test_damage_inside_never_raises():
  generator = np.random.default_rng(0)
  for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP"):
    data = np.frombuffer(saved(pixels(), kind), np.uint8)
    for _ in range(40):
      broken = data.copy()
      broken[generator.integers(0, len(data), 5)] = generator.integers(0, 256, 5)
      assert isinstance(mine(broken.tobytes()), (Mined, DeadLetter))


def test_cmyk_is_converted_and_noted():
  image = Image.fromarray(pixels()).convert("CMYK")
  result = mined(saved(image, "TIFF"))
  assert result.notes == ("converted",)
  first = result.patches[0]
  crop = np.asarray(image.convert("RGB"))[first.row_px :, first.column_px :][:32, :32]
  np.testing.assert_array_equal(first.pixels, crop)
  assert mined(saved(image, "JPEG")).notes == ("converted",)


def test_grey_is_repeated_and_noted():
  grey = pixels()[:, :, 0]
  result = mined(saved(grey))
  assert result.notes == ("grey",)
  first = result.patches[0]
  for colour in range(3):
    crop = grey[first.row_px :, first.column_px :][:32, :32]
    np.testing.assert_array_equal(first.pixels[:, :, colour], crop)


def test_more_than_8_bits_are_refused_and_never_clipped():
  values = np.random.default_rng(0).integers(0, 65536, (32, 32), np.uint16)
  for kind in ("PNG", "TIFF"):
    assert reason(saved(Image.fromarray(values), kind)) == "more_than_8_bits"
  colours = np.random.default_rng(0).integers(0, 65536, (32, 32, 3)).astype(">u2")
  rows = b"".join(b"\0" + row.tobytes() for row in colours)
  assert reason(png_with_header(32, 32, 16, 2, rows)) == "more_than_8_bits"
  floats = Image.fromarray(pixels()[:, :, 0].astype(np.float32))
  assert reason(saved(floats, "TIFF")) == "more_than_8_bits"


def test_opaque_alpha_is_dropped_and_noted():
  image = pixels()
  opaque = np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])
  result = mined(saved(opaque))
  assert result.notes == ("opaque_alpha",)
  assert [p.score for p in result.patches] == [
    p.score for p in mined(saved(image)).patches
  ]


def test_one_transparent_pixel_refuses_the_image():
  image = np.dstack([pixels(), np.full((96, 128), 255, np.uint8)])
  image[50, 60, 3] = 254
  assert reason(saved(image)) == "transparent"
  palette = Image.fromarray(pixels()).quantize(16)
  assert mined(saved(palette)).notes == ("converted",)
  assert reason(saved(palette, transparency=3)) == "transparent"


def test_exif_orientation_turns_the_photograph_upright():
  image = Image.fromarray(pixels(64, 96))
  exif = Image.Exif()
  exif[0x0112] = 6  # the camera was turned: show it rotated by 270 degrees
  result = mined(saved(image, "PNG", exif=exif), per_image=100)
  assert result.notes == ("turned",)
  upright = np.rot90(np.asarray(image), 3)
  assert max(patch.row_px for patch in result.patches) == 64
  for patch in result.patches:
    crop = upright[patch.row_px :, patch.column_px :][:32, :32]
    np.testing.assert_array_equal(patch.pixels, crop)


@pytest.mark.parametrize("size", [(1, 1), (31, 500), (500, 31)])
def test_smaller_than_a_patch_is_refused_by_both_recipes(size):
  data = saved(pixels(*size))
  assert reason(data) == "too_small"
  assert reason(data, recipe="resize") == "too_small"


def test_shrunk_below_a_patch_is_refused():
  assert reason(saved(pixels(40, 400)), max_side_px=200) == "too_small"


def test_enormous_header_is_refused_without_decoding():
  assert reason(png_with_header(100_000, 100_000)) == "too_large"
  assert reason(saved(pixels()), max_pixels=96 * 128 - 1) == "too_large"
  assert len(mined(saved(pixels()), max_pixels=96 * 128).patches) == 3


def test_pillow_keeps_its_own_limit_for_others():
  before = Image.MAX_IMAGE_PIXELS
  mine(png_with_header(100_000, 100_000))
  assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animation_is_refused(kind):
  frames = [Image.fromarray(pixels(seed=seed)) for seed in range(3)]
  data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
  assert reason(data) == "animated"


def test_mpo_of_a_phone_gives_its_first_view():
  frames = [Image.fromarray(pixels(seed=seed)) for seed in range(2)]
  data = saved(frames[0], "MPO", save_all=True, append_images=frames[1:])
  jpeg = saved(frames[0], "JPEG")
  assert [p.score for p in mined(data).patches] == [
    p.score for p in mined(jpeg).patches
  ]
