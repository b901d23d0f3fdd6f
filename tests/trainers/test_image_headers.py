"""`hardmine.trainers.image_headers`: files that are refused for what they say they are.

All are read through the decoder, whose reasons people see.
"""

from __future__ import annotations

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from hardmine.trainers import image_opening, images
from hardmine.trainers.image_headers import read_header
from hardmine.trainers.images import ImageError, check_photograph, decode_photograph

PIXELS = np.random.default_rng(0).integers(0, 256, (8, 10, 3), np.uint8)
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC = 256, 257, 258, 259, 262
STRIPS, SAMPLES, ROWS_PER_STRIP, STRIP_BYTES, PLANAR = 273, 277, 278, 279, 284
SUBFILE, SUB_IFDS, SAMPLE_FORMAT, DNG_VERSION = 254, 330, 339, 50706


def tiff(
  tags: dict[int, list[int]], order="<", is_big=False, body=bytes(4096)
) -> bytes:
  """A TIFF of one directory by the book, whose pixels are `body`, at byte 512."""
  word = "Q" if is_big else "I"
  entries, more, start = b"", b"", 512 + len(body)
  for tag, values in sorted(tags.items()):
    kind, letter = (1, "B") if tag == DNG_VERSION else (4, "I")
    value = struct.pack(f"{order}{len(values)}{letter}", *values)
    if len(value) > struct.calcsize(word):
      place, more = start + len(more), more + value
      value = struct.pack(order + word, place)
    entries += struct.pack(f"{order}HH{word}", tag, kind, len(values))
    entries += value.ljust(struct.calcsize(word), b"\0")
  mark = {"<": b"II", ">": b"MM"}[order]
  if is_big:
    head = mark + struct.pack(order + "HHHQQ", 43, 8, 0, 16, len(tags))
  else:
    head = mark + struct.pack(order + "HIH", 42, 8, len(tags))
  return (head + entries + bytes(8)).ljust(512, b"\0") + body + more


def picture(
  bits: int = 8, channels: int = 3, **more: list[int]
) -> dict[int, list[int]]:
  """Tags of 10 by 8 pixels; `more` has names of this module's constants."""
  tags = {WIDTH: [10], HEIGHT: [8], BITS: [bits] * channels, COMPRESSION: [1]}
  tags |= {PHOTOMETRIC: [2 if channels == 3 else 1], SAMPLES: [channels]}
  tags |= {STRIPS: [512], ROWS_PER_STRIP: [8], STRIP_BYTES: [10 * channels * bits]}
  return tags | {globals()[name.upper()]: values for name, values in more.items()}


def planar(bits: int, **more: list[int]) -> dict[int, list[int]]:
  plane = 10 * 8 * bits // 8
  strips = [512, 512 + plane, 512 + 2 * plane]
  return picture(bits, planar=[2], strips=strips, strip_bytes=[plane] * 3, **more)


def saved(kind: str, pixels: np.ndarray = PIXELS, **options) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(pixels).save(buffer, kind, **options)
  return buffer.getvalue()


def refusal(data: bytes) -> ImageError:
  with pytest.raises(ImageError) as caught:
    decode_photograph(data)
  with pytest.raises(ImageError) as checked:
    check_photograph(data)
  assert str(checked.value) == str(caught.value)
  assert "\n" not in str(caught.value)
  return caught.value


@pytest.mark.parametrize(("order", "is_big"), [("<", 0), (">", 0), ("<", 1)])
def test_a_plain_tiff_of_this_writer_decodes(order, is_big):
  data = tiff(picture(), order, is_big, PIXELS.tobytes())
  np.testing.assert_array_equal(decode_photograph(data).pixels, PIXELS)


def test_eight_bits_in_planes_decode():
  data = tiff(planar(8), body=PIXELS.transpose(2, 0, 1).tobytes())
  np.testing.assert_array_equal(decode_photograph(data).pixels, PIXELS)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("is_big", [False, True])
@pytest.mark.parametrize(
  "tags",
  [
    planar(16),
    picture(16),
    picture(12),
    picture(16, 1),
    picture(32, sample_format=[3] * 3),
    planar(32, sample_format=[3] * 3),
    picture(16, sample_format=[3] * 3),
  ],
)
def test_deep_tiffs_are_told_by_their_tags(tags, order, is_big):
  found = refusal(tiff(tags, order, is_big))
  assert found.reason == "more_than_8_bits"
  assert f"{tags[BITS][0]} bits" in str(found)
  assert ("floating point" in str(found)) == (SAMPLE_FORMAT in tags)
  assert "magick IN -depth 8 OUT.png" in str(found)


def test_a_jpeg_of_12_bits_is_told_by_its_frame():
  data = bytearray(saved("JPEG"))
  place = data.index(b"\xff\xc0") + 4
  assert data[place] == 8
  data[place] = 12
  assert refusal(bytes(data)).reason == "more_than_8_bits"


def test_a_jpeg_2000_of_12_bits_is_told_by_its_codestream():
  data = bytearray(saved("JPEG2000"))
  place = data.index(b"\xff\x4f\xff\x51") + 42
  assert data[place : place + 9 : 3] == bytes([7, 7, 7])
  data[place] = 11
  assert refusal(bytes(data)).reason == "more_than_8_bits"


def test_an_avif_of_10_bits_is_told_by_its_properties():
  if ".avif" not in Image.registered_extensions():
    pytest.skip("this Pillow cannot write AVIF")
  whole = saved("AVIF")
  assert decode_photograph(whole).notes == ()
  for mark, offset, value in [(b"pixi", 9, 10), (b"av1C", 6, 0x40)]:
    data = bytearray(whole)
    data[data.index(mark) + offset] |= value
    assert read_header(bytes(data)).bits > 8
    assert refusal(bytes(data)).reason == "more_than_8_bits"


@pytest.mark.parametrize("maximum", [256, 1023, 65535])
@pytest.mark.parametrize("magic", ["P2", "P3", "P5", "P6"])
def test_deep_pnm_files_are_told_by_their_largest_value(magic, maximum):
  data = f"{magic}\n# 7\n1 1 #8\n{maximum}\n".encode()
  assert refusal(data + b"1 2 3 4 5 6\n").reason == "more_than_8_bits"


@pytest.mark.parametrize("brand", [b"heic", b"heix", b"mif1", b"msf1", b"MiHE"])
def test_every_brand_of_heic_is_known(brand, monkeypatch):
  brands = b"ftyp" + brand + bytes(4) + b"mif1heic"
  data = struct.pack(">I", len(brands) + 4) + brands + bytes(100)
  monkeypatch.setattr(image_opening, "_has_plugin", lambda kind: False)
  found = refusal(data)
  assert found.reason == "missing_decoder"
  assert "Received: HEIC" in str(found)
  assert "heif-convert" in str(found)


@pytest.mark.parametrize("magic", [b"\xff\x0a\xfa", b"\0\0\0\x0cJXL \r\n\x87\n"])
def test_jpeg_xl_is_known_in_both_its_forms(magic, monkeypatch):
  monkeypatch.setattr(image_opening, "_has_plugin", lambda kind: False)
  assert "Received: JPEG XL" in str(refusal(magic + bytes(100)))


def test_a_tiff_that_pillow_cannot_read_is_not_called_damaged():
  assert refusal(tiff(picture(photometric=[32844]))).reason == "unsupported_format"


def test_pages_are_no_animation():
  other = Image.fromarray(PIXELS[::-1].copy())
  found = refusal(saved("TIFF", save_all=True, append_images=[other]))
  assert found.reason == "several_pages"
  assert "2 pages" in str(found)
  moving = refusal(saved("GIF", save_all=True, append_images=[other]))
  assert moving.reason == "animated"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
  ("tags", "name"),
  [
    (picture(dng_version=[1, 4, 0, 0], subfile=[1], sub_ifds=[600]), "DNG"),
    (picture(dng_version=[1, 4, 0, 0]), "DNG"),
    (picture(subfile=[1], sub_ifds=[600, 700, 800]), "preview"),
    (picture(16, 1, photometric=[32803]), "sensor data"),
    (picture(16, photometric=[34892]), "sensor data"),
  ],
)
def test_camera_raws_are_refused_by_name(tags, name, order):
  found = refusal(tiff(tags, order, body=PIXELS.tobytes()))
  assert found.reason == "camera_raw"
  assert name in str(found)


@pytest.mark.parametrize(
  ("start", "name"),
  [
    (b"FUJIFILMCCD-RAW 0201", "RAF"),
    (b"IIU\0\x18\0\0\0", "RW2"),
    (b"IIRO\x08\0\0\0", "ORF"),
    (b"\0\0\0\x18ftypcrx ", "CR3"),
    (b"II*\0\x10\0\0\0CR\2\0", "CR2"),
  ],
)
def test_raws_of_makers_are_refused_by_name(start, name):
  found = refusal(start + bytes(200))
  assert (found.reason, name in str(found)) == ("camera_raw", True)


@pytest.mark.parametrize("more", [{"sub_ifds": [600]}, {"subfile": [1]}])
def test_a_full_picture_in_the_first_directory_is_none(more):
  data = tiff(picture(**more), body=PIXELS.tobytes())  # with smaller copies, or alone
  np.testing.assert_array_equal(decode_photograph(data).pixels, PIXELS)


@pytest.mark.parametrize(
  "data",
  [b"P1\n3 2\n1 0 1\n0 1 0\n", b"P1 # a bitmap\n3 2 101010", b"P4 3 2\n\xa0\x40"],
)
def test_bitmaps_decode_as_grey(data):
  found = decode_photograph(data)
  right = np.array([[0, 255, 0], [255, 0, 255]])
  np.testing.assert_array_equal(found.pixels, np.repeat(right[..., None], 3, 2))
  assert found.notes == check_photograph(data).notes == ("grey",)


@pytest.mark.parametrize("step", ["read_header", "_check_single", "_read_orientation"])
@pytest.mark.parametrize(
  ("error", "reason"),
  [
    (TypeError("'>' not supported\nbetween"), "damaged"),
    (RecursionError(), "damaged"),
    (MemoryError(), "too_large"),
  ],
)
def test_what_nobody_foresaw_is_an_image_error(monkeypatch, step, error, reason):
  def fail(*arguments):
    raise error

  where = image_opening if step == "read_header" else images
  monkeypatch.setattr(where, step, fail)
  found = refusal(saved("PNG"))
  assert found.reason == reason
  assert " ".join(str(error).split()) in str(found)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "AVIF", "JPEG2000", "WEBP", "PPM"])
def test_damage_is_never_another_exception(kind):
  if kind not in Image.registered_extensions().values():
    pytest.skip(f"this Pillow cannot write {kind}")
  whole = saved(kind, icc_profile=b"profile" * 40)
  generator = np.random.default_rng(1)
  for _ in range(150):
    data = bytearray(whole)
    for place in generator.integers(0, min(len(data), 600), 3):
      data[place] = generator.integers(0, 256)
    cut = bytes(data[: generator.integers(1, len(data) + 1)])
    for damaged in (bytes(data), cut):
      read_header(damaged)
      with contextlib.suppress(ImageError):
        decode_photograph(damaged, max_pixels=10_000)
