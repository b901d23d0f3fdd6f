"""EXIF against Pillow's reader, and against whatever bytes there may be."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image

from hardmine.trainers.photo_metadata import exif_rules
from hardmine.trainers.photo_metadata.exif import (
  MAX_BYTES,
  ExifError,
  read_exif,
  write_exif,
)
from hardmine.trainers.photo_metadata.exif_rules import Shown, clean_exif

UPRIGHT = Shown(height_px=30, width_px=40)
PHOTO, GPS = 0x8769, 0x8825


def camera_exif(order="<"):
  exif = Image.Exif()
  exif.endian = order
  exif[0x010F], exif[0x0112], exif[0x8298] = "Maker", 6, "(c) somebody"
  exif[0x011A], exif[0x011B], exif[0x0100] = 72.0, 300.0, 4000
  photo, gps = exif.get_ifd(PHOTO), exif.get_ifd(GPS)
  photo.update({0x9003: "2024:01:02 03:04:05", 0x829A: 0.004, 0xA431: "SN-12345"})
  photo.update({0xA435: "LENS-9", 0xA001: 65535, 0xA002: 40, 0xA003: 30})
  photo.update({0x927C: b"SECRET" * 9, 0x9214: (1, 2)})
  gps.update({1: "N", 2: (48.0, 8.0, 14.0)})
  return exif.tobytes()


def read_by_pillow(data):
  exif = Image.Exif()
  exif.load(data)
  return dict(exif), dict(exif.get_ifd(PHOTO)), dict(exif.get_ifd(GPS))


def everything(directory, tag):
  del directory, tag
  return True


@pytest.mark.parametrize("order", "<>")
def test_the_moment_the_camera_and_the_author_stay(order):
  shown = Shown(height_px=40, width_px=30, orientation=6)
  found, left_out = clean_exif(camera_exif(order), shown)
  main, photo, gps = read_by_pillow(found)
  main.pop(PHOTO)
  assert main == {
    0x010F: "Maker",
    0x0112: 1,
    0x8298: "(c) somebody",
    0x011A: 300.0,  # what was down is across now
    0x011B: 72.0,
  }
  assert photo == {
    0x9003: "2024:01:02 03:04:05",
    0x829A: pytest.approx(0.004),
    0xA001: 1,  # sRGB
    0xA002: 30,
    0xA003: 40,
  }
  assert not gps
  assert left_out == {"location", "serial numbers", "maker notes"}
  assert not any(word in found for word in (b"SN-12345", b"LENS-9", b"SECRET"))


def test_places_and_serial_numbers_stay_where_they_are_asked_for():
  found, left_out = clean_exif(camera_exif(), UPRIGHT, keep_location=True)
  _, photo, gps = read_by_pillow(found)
  assert photo[0xA431] == "SN-12345"
  assert gps == {1: "N", 2: (48.0, 8.0, 14.0)}
  assert left_out == {"maker notes"}


def test_cleaning_what_is_clean_changes_nothing():
  once, _ = clean_exif(camera_exif(), UPRIGHT, keep_location=True)
  twice, left_out = clean_exif(once, UPRIGHT, keep_location=True)
  assert twice == once
  assert not left_out


def test_reading_inverts_writing():
  exif = read_exif(camera_exif(">"), everything)
  again = read_exif(write_exif(exif.order, exif.directories), everything)
  assert again == exif


def test_an_author_named_elsewhere_is_named_by_exif():
  found, _ = clean_exif(b"", UPRIGHT, artist="A", copyright_text="© B")
  exif = read_exif(found, everything).directories["main"]
  assert exif[exif_rules.ARTIST].value == b"A\0"
  assert exif[exif_rules.COPYRIGHT].value.decode() == "© B\0"
  own, _ = clean_exif(camera_exif(), UPRIGHT, copyright_text="another")
  assert read_by_pillow(own)[0][0x8298] == "(c) somebody"


def test_orientation_alone_says_nothing():
  exif = Image.Exif()
  exif[0x0112] = 8
  assert clean_exif(exif.tobytes(), UPRIGHT) == (b"", set())


def test_a_tiffs_tables_are_none_of_a_pictures():
  buffer = io.BytesIO()
  image = Image.new("RGB", (30, 20))
  image.save(buffer, "TIFF", tiffinfo={0x013B: "Somebody", 0x0131: "Program"})
  found, left_out = clean_exif(buffer.getvalue(), UPRIGHT)
  assert read_by_pillow(found)[0] == {0x013B: "Somebody", 0x0131: "Program", 0x0112: 1}
  assert not left_out


def directory(*entries, pointed=b""):
  """A TIFF of one directory at 8, whatever its entries say."""
  table = b"".join(struct.pack("<HHII", *entry) for entry in entries)
  return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(4) + pointed


@pytest.mark.parametrize(
  ("data", "words"),
  [
    (directory((PHOTO, 4, 1, 8), (0x10F, 2, 4, 65)), {"damaged parts"}),
    (directory((PHOTO, 4, 1, 1 << 31)), {"damaged parts"}),
    (directory((0x10F, 2, 0xFFFFFFFF, 8)), {"damaged parts"}),
    (directory((0x10F, 99, 1, 8)), {"damaged parts"}),
    (directory((0x10F, 2, MAX_BYTES + 1, 26), pointed=bytes(MAX_BYTES + 99)), None),
    (b"II*\0" + struct.pack("<IH", 8, 65535) + bytes(12 * 65535), None),
    (b"II*\0" + struct.pack("<I", 1 << 30), {"damaged parts"}),
    (b"Exif\0\0MM\0*", {"damaged parts"}),
    (b"no EXIF", {"damaged parts"}),
  ],
)
def test_what_cannot_be_read_is_left_out(data, words):
  found, left_out = clean_exif(data, UPRIGHT)
  assert left_out >= (words or {"oversized parts"})
  assert len(found) < 200


def test_directories_that_share_their_values_do_not_multiply():
  entries = [(0x10F + n, 2, MAX_BYTES // 2, 8) for n in range(900) if n != 0]
  data = directory(*entries, pointed=bytes(MAX_BYTES))
  found, left_out = clean_exif(data, UPRIGHT)
  assert len(found) <= MAX_BYTES + 100_000
  assert "oversized parts" in left_out


def test_any_damage_gives_exif_or_an_error():
  whole, rng = camera_exif(), np.random.default_rng(0)
  for _ in range(2000):
    data = bytearray(whole[: rng.integers(0, len(whole) + 1)])
    for place in rng.integers(0, max(1, len(data)), rng.integers(0, 4)):
      if data:
        data[place] = rng.integers(0, 256)
    try:
      exif = read_exif(bytes(data), everything)
    except ExifError:
      continue
    written = write_exif(exif.order, exif.directories)
    if written:
      again = read_exif(written, everything)
      assert again.directories == exif.directories
