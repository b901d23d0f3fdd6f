"""`hardmine.trainers.images`: photographs as users bring them, good and bad."""

from __future__ import annotations

import io
import pickle
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from hardmine.trainers.images import (
  ImageError,
  check_photograph,
  decode_photograph,
  decode_rgb,
)

# Smooth and asymmetric: JPEG keeps it within a few levels, every flip shows.
ROWS, COLUMNS = np.mgrid[0:24, 0:40]
PHOTO = np.stack([ROWS * 10, COLUMNS * 6, 255 - ROWS * 5 - COLUMNS * 3], axis=-1)
PHOTO = PHOTO.clip(0, 255).astype(np.uint8)


def saved(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
  if isinstance(image, np.ndarray):
    image = Image.fromarray(image)
  buffer = io.BytesIO()
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def png(width: int, height: int, depth: int, colour: int, pixels: bytes) -> bytes:
  """A PNG by the book, for what Pillow cannot write; `pixels` hold filter bytes."""

  def chunk(kind: bytes, body: bytes) -> bytes:
    checksum = zlib.crc32(kind + body)
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

  header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
  return (
    b"\x89PNG\r\n\x1a\n"
    + chunk(b"IHDR", header)
    + chunk(b"IDAT", zlib.compress(pixels))
    + chunk(b"IEND", b"")
  )


def reason_of(data: bytes, **arguments) -> str:
  with pytest.raises(ImageError) as caught:
    decode_rgb(data, **arguments)
  assert "\n" not in str(caught.value)
  assert verdict(check_photograph, data, **arguments) == caught.value.reason
  return caught.value.reason


def verdict(function, data: bytes, **arguments):
  """What decoding and checking must agree on."""
  try:
    found = function(data, **arguments)
  except ImageError as error:
    return error.reason
  if function is check_photograph:
    return (found.height_px, found.width_px), found.notes
  return found.pixels.shape[:2], found.notes


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_decode_exactly(kind):
  decoded = decode_rgb(saved(PHOTO, kind))
  assert decoded.dtype == np.uint8
  np.testing.assert_array_equal(decoded, PHOTO)


def test_lossless_webp_decodes_exactly():
  np.testing.assert_array_equal(decode_rgb(saved(PHOTO, "WEBP", lossless=True)), PHOTO)


def test_one_pixel_decodes():
  np.testing.assert_array_equal(decode_rgb(saved(PHOTO[:1, :1], "PNG")), PHOTO[:1, :1])


def test_grey_becomes_three_equal_channels():
  grey = PHOTO[..., 0]
  np.testing.assert_array_equal(
    decode_rgb(saved(grey, "PNG")), np.repeat(grey[..., None], 3, axis=2)
  )


def test_one_bit_becomes_black_and_white():
  bits = PHOTO[..., 0] > 100
  decoded = decode_rgb(saved(Image.fromarray(bits), "PNG"))
  np.testing.assert_array_equal(decoded, np.repeat(bits[..., None] * 255, 3, axis=2))


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_becomes_its_colours(kind):
  image = Image.fromarray(PHOTO).quantize(16)
  np.testing.assert_array_equal(
    decode_rgb(saved(image, kind)), np.asarray(image.convert("RGB"))
  )


def test_cmyk_jpeg_looks_like_its_photograph():
  # Pillow marks CMYK JPEGs as Adobe does and stores them inverted, as Adobe does.
  data = saved(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", quality=100)
  assert b"Adobe" in data
  assert np.abs(decode_rgb(data).astype(int) - PHOTO).mean() < 4


def test_adobe_inversion_is_undone():
  # No ink is 255 in Adobe's files, so a white page must not come out black.
  page = saved(Image.new("CMYK", (16, 16), (0, 0, 0, 0)), "JPEG")
  assert decode_rgb(page).min() > 250


def test_opaque_alpha_is_dropped():
  image = Image.fromarray(PHOTO).convert("RGBA")
  np.testing.assert_array_equal(decode_rgb(saved(image, "PNG")), PHOTO)


def test_opaque_grey_with_alpha_is_grey():
  image = Image.fromarray(PHOTO[..., 0]).convert("LA")
  assert (decode_rgb(saved(image, "PNG"))[..., 1] == PHOTO[..., 0]).all()


def test_one_transparent_pixel_is_refused():
  image = Image.fromarray(PHOTO).convert("RGBA")
  image.putpixel((3, 5), (1, 2, 3, 254))
  assert reason_of(saved(image, "PNG")) == "transparent"


def test_transparent_palette_colour_counts_only_where_it_is_used():
  image = Image.fromarray(PHOTO).quantize(16)
  used = image.getpixel((0, 0))
  assert reason_of(saved(image, "PNG", transparency=used)) == "transparent"
  unused = max(set(range(256)) - set(np.unique(np.asarray(image)).tolist()))
  assert decode_rgb(saved(image, "PNG", transparency=unused)).shape == PHOTO.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_exif_rotation_is_applied(orientation, kind):
  upright = {  # EXIF 2.32, tag 274: where row 0 and column 0 of the file belong
    1: PHOTO,
    2: PHOTO[:, ::-1],
    3: PHOTO[::-1, ::-1],
    4: PHOTO[::-1],
    5: PHOTO.swapaxes(0, 1),
    6: PHOTO.swapaxes(0, 1)[:, ::-1],
    7: PHOTO.swapaxes(0, 1)[::-1, ::-1],
    8: PHOTO.swapaxes(0, 1)[::-1],
  }[orientation]
  exif = Image.Exif()
  exif[0x0112] = orientation
  options = {"lossless": True} if kind == "WEBP" else {}
  np.testing.assert_array_equal(
    decode_rgb(saved(PHOTO, kind, exif=exif, **options)), upright
  )


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
@pytest.mark.parametrize("junk", [b"MM\0*junk", b"junkjunk", b""])
def test_broken_exif_does_not_cost_the_photograph(junk):
  assert decode_rgb(saved(PHOTO, "JPEG", exif=b"Exif\0\0" + junk)).shape == PHOTO.shape


def test_content_decides_not_the_name(tmp_path):
  path = tmp_path / "really_a_png.jpg"
  path.write_bytes(saved(PHOTO, "PNG"))
  np.testing.assert_array_equal(decode_rgb(path.read_bytes()), PHOTO)


def test_phone_pictures_with_previews_are_photographs():
  data = saved(
    Image.fromarray(PHOTO),
    "MPO",
    save_all=True,
    append_images=[Image.new("RGB", (8, 8))],
  )
  assert decode_rgb(data).shape == PHOTO.shape


def test_empty_is_refused():
  assert reason_of(b"") == "empty"


@pytest.mark.parametrize(
  "data", [b"hello", b"\x00" * 1000, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9"]
)
def test_other_files_are_refused(data):
  assert reason_of(data) == "not_an_image"


@pytest.mark.filterwarnings("ignore:Corrupt EXIF|Truncated File:UserWarning")
@pytest.mark.parametrize(
  ("kind", "options"),
  [
    ("JPEG", {}),
    ("JPEG", {"progressive": True}),
    ("PNG", {}),
    ("GIF", {}),
    ("WEBP", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("PPM", {}),
  ],
)
def test_a_cut_image_is_whole_or_refused(kind, options):
  data = saved(PHOTO, kind, **options)
  whole = decode_rgb(data)
  for length in range(len(data)):
    try:
      decoded = decode_rgb(data[:length])
    except ImageError:
      continue
    assert len(data) - length <= 20  # only closing marks may be missed
    np.testing.assert_array_equal(decoded, whole)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_photograph_cut_in_half_is_called_truncated(kind):
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  data = saved(noise, kind)
  assert reason_of(data[: len(data) // 2]) == "truncated"


def test_a_cut_header_is_not_called_a_foreign_file():
  assert reason_of(saved(PHOTO, "JPEG")[:100]) == "damaged"


def test_damaged_pixels_are_called_damaged():
  data = bytearray(saved(PHOTO, "PNG"))
  body = data.index(b"IDAT") + 4
  data[body : body + 8] = b"\xff" * 8
  assert reason_of(bytes(data)) == "damaged"


@pytest.mark.parametrize(
  "data",
  [
    png(1, 1, 16, 0, b"\0" + b"\x12\x34"),  # grey
    png(1, 1, 16, 2, b"\0" + b"\x12\x34" * 3),  # RGB, which Pillow cuts to 8 bits
    png(1, 1, 16, 6, b"\0" + b"\x12\x34" * 4),  # RGBA
    b"P6 1 1 65535\n" + b"\x12\x34" * 3,
    saved(np.full((4, 4), 70_000, np.int32), "TIFF"),
    saved(np.full((4, 4), 0.5, np.float32), "TIFF"),
  ],
  ids=["grey", "rgb", "rgba", "ppm", "int32", "float32"],
)
def test_more_than_eight_bits_are_refused(data):
  assert reason_of(data) == "more_than_8_bits"


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_several_frames_are_refused(kind):
  frames = [Image.fromarray(PHOTO), Image.fromarray(PHOTO[::-1].copy())]
  data = saved(frames[0], kind, save_all=True, append_images=frames[1:])
  assert reason_of(data) == ("several_pages" if kind == "TIFF" else "animated")


def test_too_many_pixels_are_refused_and_just_enough_are_not():
  data = saved(PHOTO, "PNG")
  assert reason_of(data, max_pixels=24 * 40 - 1) == "too_large"
  assert decode_rgb(data, max_pixels=24 * 40).shape == PHOTO.shape


@pytest.mark.parametrize("side_px", [20_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(side_px):
  # Decoding would ask for 1.2 GB and more; the file has 60 bytes.
  assert reason_of(png(side_px, side_px, 8, 2, b"")) == "too_large"


def test_an_error_survives_pickling():  # Beam workers send them across processes
  with pytest.raises(ImageError) as caught:
    decode_rgb(b"")
  copy = pickle.loads(pickle.dumps(caught.value))
  assert (copy.reason, str(copy)) == ("empty", str(caught.value))


def jpegs() -> list[bytes]:
  photo = Image.fromarray(np.kron(PHOTO, np.ones((6, 6, 1), np.uint8)))
  exif = Image.Exif()
  exif[0x0112] = 6
  return [
    saved(photo, "JPEG"),
    saved(photo, "JPEG", progressive=True, exif=exif),
    saved(photo, "JPEG", restart_marker_rows=1, subsampling=0),
    saved(photo.convert("CMYK"), "JPEG"),
    saved(photo.convert("L"), "JPEG", optimize=True),
  ]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("number", range(5))
def test_checking_and_decoding_agree_on_damaged_jpegs(number):
  whole = jpegs()[number]
  generator = np.random.default_rng(number)
  seen = set()
  for trial in range(200):
    data = bytearray(whole)
    first, second = sorted(generator.integers(0, len(data), 2).tolist())
    if trial % 3 == 0:
      del data[first:]
    elif trial % 3 == 1:
      del data[first : first + (second - first) % 500]
    else:
      for place in generator.integers(0, len(data), 3):
        data[place] = generator.integers(0, 256)
    expected = verdict(decode_photograph, bytes(data))
    assert verdict(check_photograph, bytes(data)) == expected
    seen.add(expected)
  assert "truncated" in seen
  assert verdict(decode_photograph, whole) in seen  # some damage goes unnoticed


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_checking_gives_size_format_and_notes_of_decoding(kind, mode):
  if (kind, mode) == ("JPEG", "RGBA"):
    mode = "CMYK"
  exif = Image.Exif()
  exif[0x0112] = 8
  data = saved(Image.fromarray(PHOTO).convert(mode), kind, exif=exif)
  assert verdict(check_photograph, data) == verdict(decode_photograph, data)
  facts = check_photograph(data)
  assert (facts.height_px, facts.width_px) == (40, 24)
  assert facts.format == kind


def test_a_picture_of_many_rows_is_whole_and_copied_once():
  pixels = np.random.default_rng(5).integers(0, 256, (1000, 300, 3), np.uint8)
  data = saved(pixels, "PNG")
  tracemalloc.start()
  found = decode_rgb(data)
  _, peak_bytes = tracemalloc.get_traced_memory()
  tracemalloc.stop()
  np.testing.assert_array_equal(found, pixels)
  assert peak_bytes < 1.8 * pixels.nbytes
