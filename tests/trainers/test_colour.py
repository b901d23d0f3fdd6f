"""`hardmine.trainers.colour`: pixels become what a person sees on an sRGB screen.

What is right is computed here from published matrices, without Little CMS.
"""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000, rgb2lab

from hardmine.trainers.images import ImageError, check_photograph, decode_photograph
from tests.trainers.icc_profiles import (
  cmyk_profile,
  gamma_curve,
  grey_profile,
  icc,
  matrix,
  printed_lab,
  rgb_profile,
  sampled_srgb,
  srgb_curve,
  srgb_v2,
)

# From linear light of a space, and from XYZ under D50, to linear sRGB (Bradford).
ADOBE_RGB = matrix("1.39836 -0.39836 0  0 1 0  0 -0.04293 1.04293")
DISPLAY_P3 = matrix("1.2249 -.2249 0  -.0420 1.0420 0  -.0196 -.0786 1.0982")
PROPHOTO = matrix("2.0343 -.7276 -.3067  -.2288 1.2317 -.0029  -.0086 -.1533 1.1619")
REC_2020 = matrix("1.6605 -.5877 -.0728  -.1246 1.1329 -.0083  -.0182 -.1006 1.1187")
XYZ_D50 = matrix(
  "3.13386 -1.61687 -.49061  -.97877 1.91614 .03345  .07195 -.22899 1.40524"
)
ADOBE_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)
SRGB_CHROMATICITY = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)


def photo() -> np.ndarray:
  """Soft light over soft colours with some grain, uint8 [72, 96, 3]."""
  rows, columns = np.mgrid[0:72, 0:96] / 96
  light = 0.08 + 0.85 * rows * (0.6 + 0.4 * np.sin(5 * columns))
  hue = np.stack([np.sin(4 * columns + k) * np.cos(3 * rows - k) for k in range(3)], -1)
  grain = np.random.default_rng(0).normal(0, 0.01, (72, 96, 3))
  values = light[..., None] * (1 + 0.45 * hue) + grain
  return (values.clip(0, 1) * 255).round().astype(np.uint8)


PHOTO = photo()
GREY = PHOTO[..., 1].copy()


def encoded(linear: np.ndarray) -> np.ndarray:
  linear = linear.clip(0, 1)
  high = 1.055 * linear ** (1 / 2.4) - 0.055
  return np.where(linear <= 0.0031308, linear * 12.92, high)


def expected(pixels: np.ndarray, curve, mixed=None) -> np.ndarray:
  """sRGB of 0 to 1 for 8-bit pixels of another space."""
  linear = curve(pixels / 255)
  return encoded(linear if mixed is None else linear @ mixed.T)


def power(gamma: float):
  return lambda values: values**gamma


def mean_difference(pixels: np.ndarray, right: np.ndarray) -> float:
  return float(deltaE_ciede2000(rgb2lab(pixels / 255), rgb2lab(right)).mean())


def srgb_of_lab(lab: np.ndarray) -> np.ndarray:
  f = (lab[..., 0] + 16) / 116
  f = np.stack([f + lab[..., 1] / 500, f, f - lab[..., 2] / 200], -1)
  xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
  return encoded((xyz * [0.9642, 1, 0.8249]) @ XYZ_D50.T)


def saved(pixels: np.ndarray, kind: str, mode: str | None = None, **options) -> bytes:
  buffer = io.BytesIO()
  Image.fromarray(pixels, mode).save(buffer, kind, **options)
  return buffer.getvalue()


def png(pixels: np.ndarray, **chunks: bytes) -> bytes:
  """A PNG with chunks that say what its colours mean."""
  plain = saved(pixels, "PNG")
  added = b""
  for name, body in chunks.items():
    kind = name.encode()
    added += struct.pack(">I", len(body)) + kind + body
    added += struct.pack(">I", zlib.crc32(kind + body))
  return plain[:33] + added + plain[33:]  # behind the signature and IHDR


def g_ama(gamma: float) -> bytes:
  return struct.pack(">I", round(gamma * 100_000))


def c_hrm(numbers) -> bytes:
  return struct.pack(">8I", *(round(number * 100_000) for number in numbers))


def decoded(data: bytes):
  """The photograph, after it was seen to be the same twice and in checking."""
  found = decode_photograph(data)
  np.testing.assert_array_equal(decode_photograph(data).pixels, found.pixels)
  assert check_photograph(data).notes == found.notes
  return found


@pytest.mark.parametrize(
  ("profile", "curve", "mixed"),
  [
    (rgb_profile("adobe", gamma_curve(2.19921875)), power(2.19921875), ADOBE_RGB),
    (rgb_profile("p3", sampled_srgb()), srgb_curve, DISPLAY_P3),
    (rgb_profile("prophoto", gamma_curve(1.80078125)), power(1.80078125), PROPHOTO),
  ],
  ids=["adobe_rgb", "display_p3", "prophoto"],
)
def test_profiles_become_srgb(profile, curve, mixed):
  found = decoded(saved(PHOTO, "PNG", icc_profile=profile))
  right = expected(PHOTO, curve, mixed)
  assert mean_difference(found.pixels, right) < 0.5
  assert mean_difference(PHOTO, right) > 1  # the picture has colours to convert
  assert found.notes == ("colour_converted",)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "JPEG", "AVIF"])
def test_every_format_brings_its_profile(kind):
  if kind not in Image.registered_extensions().values():
    pytest.skip(f"this Pillow cannot write {kind}")
  profile = rgb_profile("adobe", gamma_curve(2.19921875))
  data = saved(PHOTO, kind, icc_profile=profile)
  found = decoded(data)
  kept = np.asarray(Image.open(io.BytesIO(data)))
  right = expected(kept, power(2.19921875), ADOBE_RGB)
  assert mean_difference(found.pixels, right) < 0.5
  assert found.notes == ("colour_converted",)


def test_a_jpeg_2000_brings_its_profile():
  profile = rgb_profile("adobe", gamma_curve(2.19921875))
  plain = saved(PHOTO, "JPEG2000", irreversible=False)
  start = plain.index(b"colr") - 4
  box = struct.pack(">I", len(profile) + 11) + b"colr\2\0\0" + profile
  end = start + struct.unpack_from(">I", plain, start)[0]
  head = plain.index(b"jp2h") - 4
  size = struct.unpack_from(">I", plain, head)[0] + len(box) - (end - start)
  data = plain[:head] + struct.pack(">I", size) + plain[head + 4 : start] + box
  data += plain[end:]
  try:
    Image.open(io.BytesIO(data)).load()
  except OSError:
    pytest.skip("this Pillow reads no JPEG 2000 with a profile")
  found = decoded(data)
  right = expected(PHOTO, power(2.19921875), ADOBE_RGB)
  assert mean_difference(found.pixels, right) < 0.5


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_grey_profiles_become_neutral_srgb(kind):
  found = decoded(saved(GREY, kind, icc_profile=grey_profile(1.0)))
  right = np.repeat(expected(GREY, power(1.0))[..., None], 3, -1)
  assert mean_difference(found.pixels, right) < 0.5
  assert np.ptp(found.pixels, axis=-1).max() == 0
  assert found.notes == ("grey", "colour_converted")


def test_grey_takes_a_profile_of_rgb_and_stays_neutral():
  profile = rgb_profile("adobe", gamma_curve(1.0))
  found = decoded(saved(GREY, "JPEG", quality=100, icc_profile=profile))
  right = np.repeat(expected(GREY, power(1.0))[..., None], 3, -1)
  assert mean_difference(found.pixels, right) < 0.75
  assert np.ptp(found.pixels, axis=-1).max() == 0


def test_inks_become_what_their_press_prints():
  inks = np.dstack([PHOTO, GREY // 3])
  data = saved(inks, "TIFF", "CMYK", icc_profile=cmyk_profile())
  found = decoded(data)
  assert mean_difference(found.pixels, srgb_of_lab(printed_lab(inks / 255))) < 0.5
  assert found.notes == ("converted", "colour_converted")


@pytest.mark.parametrize(
  ("kind", "tables"), [(b"prtr", [b"A2B0"]), (b"scnr", [b"A2B0", b"A2B1"])]
)
def test_the_deepest_black_of_a_press_becomes_black(kind, tables):
  inks = np.full((8, 8, 4), 255, np.uint8)
  profile = cmyk_profile(14, kind, tables)
  data = saved(inks, "TIFF", "CMYK", icc_profile=profile)
  assert decoded(data).pixels.max() <= 3  # its L* of 14 alone would be 37


def test_a_profile_of_many_segments_and_inverted_inks_of_a_jpeg():
  inks = np.dstack([PHOTO, GREY // 3])
  data = saved(inks, "JPEG", "CMYK", quality=100, icc_profile=cmyk_profile())
  right = srgb_of_lab(printed_lab(inks / 255))
  assert mean_difference(decoded(data).pixels, right) < 1


def test_lab_pixels_become_srgb():
  lab = ImageCms.createProfile("LAB")
  image = ImageCms.profileToProfile(
    Image.fromarray(PHOTO), ImageCms.createProfile("sRGB"), lab, outputMode="LAB"
  )
  assert image is not None
  buffer = io.BytesIO()
  image.save(buffer, "TIFF")
  assert mean_difference(decoded(buffer.getvalue()).pixels, PHOTO / 255) < 1


@pytest.mark.parametrize(
  ("chunks", "curve", "mixed"),
  [
    ({"gAMA": g_ama(1.0)}, power(1.0), None),
    ({"gAMA": g_ama(1 / 1.8)}, power(1.8), None),
    (
      {"gAMA": g_ama(1 / 2.2), "cHRM": c_hrm(ADOBE_CHROMATICITY)},
      power(2.2),
      ADOBE_RGB,
    ),
    ({"cHRM": c_hrm(ADOBE_CHROMATICITY)}, srgb_curve, ADOBE_RGB),
    ({"cICP": bytes([12, 13, 0, 1])}, srgb_curve, DISPLAY_P3),
    ({"cICP": bytes([9, 4, 0, 1]), "gAMA": g_ama(1.0)}, power(2.2), REC_2020),
    ({"cICP": bytes([1, 8, 0, 1])}, power(1.0), None),
  ],
)
def test_chunks_of_png_become_srgb(chunks, curve, mixed):
  found = decoded(png(PHOTO, **chunks))
  assert mean_difference(found.pixels, expected(PHOTO, curve, mixed)) < 0.5
  assert found.notes == ("colour_converted",)


def test_gamma_of_grey_stays_neutral():
  found = decoded(png(GREY, gAMA=g_ama(1.0)))
  assert np.ptp(found.pixels, axis=-1).max() == 0
  assert found.notes == ("grey", "colour_converted")


def test_code_points_of_avif_count_where_no_profile_does():
  if ".avif" not in Image.registered_extensions():
    pytest.skip("this Pillow cannot write AVIF")
  plain = bytearray(saved(PHOTO, "AVIF", quality=100, subsampling="4:4:4"))
  place = plain.index(b"nclx") + 4
  assert plain[place : place + 4] == bytes([0, 1, 0, 13])
  before = decoded(bytes(plain))
  assert before.notes == ()
  plain[place + 1] = 12
  after = decoded(bytes(plain))
  right = expected(before.pixels, srgb_curve, DISPLAY_P3)
  assert mean_difference(after.pixels, right) < 0.5
  plain[place + 3] = 16
  assert reason_of(bytes(plain)) == "high_dynamic_range"


@pytest.mark.parametrize(
  "data",
  [
    png(PHOTO),
    png(PHOTO, sRGB=b"\0"),
    png(PHOTO, sRGB=b"\0", gAMA=g_ama(1.0), cHRM=c_hrm(ADOBE_CHROMATICITY)),
    png(PHOTO, gAMA=g_ama(1 / 2.2)),
    png(PHOTO, gAMA=g_ama(1 / 2.2), cHRM=c_hrm(SRGB_CHROMATICITY)),
    png(PHOTO, cICP=bytes([1, 13, 0, 1])),
    png(PHOTO, cICP=bytes([2, 2, 0, 1])),
    saved(PHOTO, "PNG", icc_profile=srgb_v2()),
    saved(PHOTO, "TIFF", icc_profile=rgb_profile("srgb", sampled_srgb())),
    saved(PHOTO, "WEBP", lossless=True, icc_profile=srgb_v2()),
  ],
)
def test_srgb_keeps_every_pixel(data):
  found = decoded(data)
  np.testing.assert_array_equal(found.pixels, PHOTO)
  assert found.notes == ()


def test_grey_of_srgb_keeps_every_pixel():
  found = decoded(saved(GREY, "PNG", icc_profile=srgb_v2()))
  np.testing.assert_array_equal(found.pixels[..., 0], GREY)
  assert found.notes == ("grey",)


@pytest.mark.parametrize(
  "data",
  [
    saved(PHOTO, "PNG", icc_profile=b"no profile"),
    saved(PHOTO, "PNG", icc_profile=srgb_v2()[:200]),
    saved(PHOTO, "PNG", icc_profile=cmyk_profile()),
    saved(PHOTO, "TIFF", icc_profile=grey_profile(1.0)),
    png(PHOTO, iCCP=b"name\0\0no zlib stream"),
    png(PHOTO, cICP=bytes([77, 13, 0, 1])),
    png(PHOTO, cICP=bytes([12, 13, 1, 1])),
    png(PHOTO, gAMA=g_ama(0)),
    png(PHOTO, gAMA=g_ama(1.0), cHRM=c_hrm([0] * 8)),
    png(PHOTO, cHRM=c_hrm([0.2, 0.2] * 4)),
    png(PHOTO, cHRM=c_hrm([0.3, 0.3] * 4)[:20]),
  ],
)
def test_a_description_of_no_use_is_ignored_and_noted(data):
  found = decoded(data)
  np.testing.assert_array_equal(found.pixels, PHOTO)
  assert found.notes == ("profile_ignored",)


def reason_of(data: bytes) -> str:
  with pytest.raises(ImageError) as caught:
    decode_photograph(data)
  with pytest.raises(ImageError, match="Expected"):
    check_photograph(data)
  return caught.value.reason


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(transfer):
  assert reason_of(png(PHOTO, cICP=bytes([9, transfer, 0, 1]))) == "high_dynamic_range"
  deep = bytearray(png(PHOTO, cICP=bytes([9, transfer, 0, 1])))
  deep[24] = 16
  assert reason_of(bytes(deep)) == "high_dynamic_range"
  profile = icc(b"RGB ", {b"cicp": b"cicp\0\0\0\0" + bytes([9, transfer, 0, 1])})
  assert reason_of(saved(PHOTO, "PNG", icc_profile=profile)) == "high_dynamic_range"


def test_colours_are_converted_before_a_picture_is_turned_and_shrunk():
  exif = Image.Exif()
  exif[0x0112] = 6
  profile = rgb_profile("adobe", gamma_curve(2.19921875))
  data = saved(PHOTO, "PNG", icc_profile=profile, exif=exif)
  upright = decoded(data)
  plain = decoded(saved(PHOTO, "PNG", icc_profile=profile)).pixels
  np.testing.assert_array_equal(upright.pixels, np.rot90(plain, -1))
  assert upright.notes == ("colour_converted", "turned")
  assert decode_photograph(data, max_side_px=48).pixels.shape == (48, 36, 3)
