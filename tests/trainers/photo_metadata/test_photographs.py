"""What photographs of all kinds carry, found in real files, and written into others."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from hardmine.trainers.codec.side_chunks.alpha_plane import composite
from hardmine.trainers.codec.side_chunks.carrying import Carrying
from hardmine.trainers.images import ImageError, decode_photograph
from hardmine.trainers.photo_metadata.metadata import Metadata
from hardmine.trainers.photo_metadata.saving import save_options
from tests.trainers.photo_metadata.test_exif import directory
from tests.trainers.photo_metadata.test_xmp import BODY, PACKET

PIXELS = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
ALPHA = np.random.default_rng(1).integers(0, 256, (20, 30), np.uint8)
KEEP = Carrying(keep_metadata=True)
KEEP_ALL = Carrying(keep_metadata=True, keep_location=True)


def saved(image, kind, **options):
  buffer = io.BytesIO()
  image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def exif():
  found = Image.Exif()
  found[0x0112], found[0x8298] = 6, "(c) somebody"
  found.get_ifd(0x8769)[0x9003] = "2024:01:02 03:04:05"
  found.get_ifd(0x8825)[1] = "N"
  return found


def carried(data, carrying=KEEP):
  return carrying.of(decode_photograph(data, keep_alpha=True))


def tags(metadata):
  found = Image.Exif()
  found.load(metadata.exif)
  return dict(found), dict(found.get_ifd(0x8769)), dict(found.get_ifd(0x8825))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_exif_is_found_in_every_kind_of_file(kind):
  data = saved(PIXELS, kind, exif=exif().tobytes())
  found = carried(data)
  main, photo, gps = tags(found.metadata)
  assert found.image.shape == (30, 20, 3)
  assert (main[0x0112], main[0x8298]) == (1, "(c) somebody")
  assert photo == {0x9003: "2024:01:02 03:04:05"}
  assert not gps
  assert found.left_out == ("location",)
  assert tags(carried(data, KEEP_ALL).metadata)[2] == {1: "N"}
  assert "EXIF" in carried(data, Carrying()).left_out


def xmp_file(kind):
  if kind == "PNG":
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", PACKET.decode("utf-8"))
    return saved(PIXELS, kind, pnginfo=texts)
  if kind == "JPEG":
    content = b"http://ns.adobe.com/xap/1.0/\0" + PACKET
    head = b"\xff\xe1" + struct.pack(">H", 2 + len(content))
    return saved(PIXELS, kind, extra=head + content)
  if kind == "TIFF":
    return saved(PIXELS, kind, tiffinfo={700: PACKET})
  return saved(PIXELS, kind, xmp=PACKET)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_xmp_is_found_in_every_kind_of_file(kind):
  found = carried(xmp_file(kind))
  assert "© me &amp; you".encode() in found.metadata.xmp
  assert b"Secret" not in found.metadata.xmp
  assert set(found.left_out) == {"location", "serial numbers"}


def test_authors_of_iptc_and_of_a_png_are_exifs():
  fields = b"".join(
    b"\x1c\x02" + struct.pack(">BH", number, len(value)) + value
    for number, value in ((80, b"A. Uthor"), (116, b"(c) them"), (90, b"Secretville"))
  )
  block = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(fields)) + fields
  block = b"Photoshop 3.0\0" + block + bytes(len(fields) % 2)
  segment = b"\xff\xed" + struct.pack(">H", 2 + len(block)) + block
  texts = PngInfo()
  texts.add_text("Author", "A. Uthor")
  texts.add_text("Copyright", "(c) them")
  texts.add_text("Description", "Secretville")
  for data in (
    saved(PIXELS, "JPEG", extra=segment),
    saved(PIXELS, "PNG", pnginfo=texts),
  ):
    found = carried(data)
    main = tags(found.metadata)[0]
    assert (main[0x013B], main[0x8298]) == ("A. Uthor", "(c) them")
    assert found.left_out == ("comments",)
    assert b"Secretville" not in found.metadata.exif


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_what_is_written_is_read_again(kind):
  first = carried(saved(PIXELS, "PNG", exif=exif())).metadata
  both = Metadata(exif=first.exif, xmp=carried(xmp_file("PNG")).metadata.xmp)
  options, without = save_options(kind, both)
  assert not without
  assert carried(saved(PIXELS, kind, **options)).metadata == both


def test_what_a_file_cannot_hold_is_named():
  large = Metadata(exif=b"II*\0" + bytes(70_000), xmp=b"<a>" + b" " * 70_000 + b"</a>")
  for kind, without in (("JPEG", ["EXIF", "XMP"]), ("PPM", ["EXIF", "XMP"])):
    options, left_out = save_options(kind, large)
    assert left_out == without
    assert saved(PIXELS, kind, **options)
  assert save_options("PNG", large)[1] == []


BOMBS = [
  directory((0x8769, 4, 1, 8), (0x8825, 4, 1, 8), (0x10F, 2, 4, 65)),
  directory(*[(0x10F, 2, 0xFFFFFFFF, 8)] * 5000),
  directory(*[(0x9000 + n, 7, 60_000, 8) for n in range(900)], pointed=bytes(60_000)),
  b"II*\0\xff\xff\xff\xff",
]


@pytest.mark.parametrize("number", range(len(BOMBS)))
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_exif_that_is_a_trap_costs_no_picture(number, kind):
  found = carried(saved(PIXELS, kind, exif=BOMBS[number], lossless=True))
  np.testing.assert_array_equal(found.image, PIXELS)
  assert found.left_out
  assert len(found.metadata.exif) < 1_200_000


def test_xmp_that_is_a_trap_costs_no_picture():
  bomb = '<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]>' + BODY
  for words in (bomb, "<a>" * 3000, BODY + "x", "\ufeff"):
    texts = PngInfo()
    texts.add_itxt("XML:com.adobe.xmp", words)
    found = carried(saved(PIXELS, "PNG", pnginfo=texts))
    assert sorted(found.image.shape) == [3, 20, 30]  # XMP's orientation counts, too
    assert not found.metadata
    assert found.left_out == ("damaged parts",)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_alpha_is_turned_with_its_picture(orientation):
  tagged = Image.Exif()
  tagged[0x0112] = orientation
  image = carried(saved(np.dstack((PIXELS, ALPHA)), "PNG", exif=tagged)).image
  plain = carried(saved(PIXELS, "PNG", exif=tagged)).image
  grey = np.dstack([ALPHA] * 3)
  np.testing.assert_array_equal(image[..., :3], plain)
  np.testing.assert_array_equal(
    image[..., 3], carried(saved(grey, "PNG", exif=tagged)).image[..., 0]
  )


def test_every_way_to_be_transparent_is_kept_or_laid_over_a_colour():
  rgba = Image.fromarray(np.dstack((PIXELS, ALPHA)))
  grey = Image.fromarray(PIXELS[..., 0])
  for image, options in (
    (rgba, {}),
    (rgba.quantize(16), {}),
    (Image.merge("LA", (grey, Image.fromarray(ALPHA))), {}),
    (grey, {"transparency": int(PIXELS[0, 0, 0])}),
    (Image.fromarray(PIXELS), {"transparency": tuple(PIXELS[0, 0].tolist())}),
  ):
    data = saved(image, "PNG", **options)
    expected = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert expected[..., 3].min() < 255
    photograph = decode_photograph(data, keep_alpha=True)
    assert "transparent" in photograph.notes
    found = Carrying().of(photograph)
    assert found.is_transparent
    np.testing.assert_array_equal(found.image, expected)
    laid = Carrying(alpha="#102030").of(photograph).image
    np.testing.assert_array_equal(laid, composite(expected, (16, 32, 48)))
    with pytest.raises(ImageError, match="opaque"):
      decode_photograph(data)


@pytest.mark.parametrize(
  ("given", "expected"),
  [
    ({"alpha": "white"}, "#ffffff"),
    ({"alpha": "#fff"}, "#ffffff"),
    ({"keep_location": True}, "keep-metadata"),
  ],
)
def test_what_makes_no_sense_is_refused(given, expected):
  with pytest.raises(ValueError, match=expected):
    Carrying(**given)
