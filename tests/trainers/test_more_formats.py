"""HEIC and JPEG XL, as telephones write them, through the one decoder.

What is right comes from the plugins' own plain pixels and from published matrices.
"""

from __future__ import annotations

import contextlib
import io
import struct
import sys

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from hardmine.trainers import image_opening
from hardmine.trainers.image_headers import read_header
from hardmine.trainers.images import ImageError, check_photograph, decode_photograph
from tests.trainers import jxl_files
from tests.trainers.icc_profiles import (
  gamma_curve,
  grey_profile,
  rgb_profile,
  sampled_srgb,
  srgb_curve,
  srgb_v2,
)
from tests.trainers.test_colour import (
  ADOBE_RGB,
  DISPLAY_P3,
  PHOTO,
  REC_2020,
  expected,
  mean_difference,
  power,
)

pillow_heif.register_heif_opener()
PIXELS = PHOTO[:64].copy()
EXACT = {"quality": -1, "chroma": 444, "matrix_coefficients": 0}
P3 = rgb_profile("p3", sampled_srgb())
ADOBE = rgb_profile("adobe", gamma_curve(2.19921875))
UPRIGHT = {  # EXIF 2.32, tag 274: where row 0 and column 0 of the file belong
  1: PIXELS,
  2: PIXELS[:, ::-1],
  3: PIXELS[::-1, ::-1],
  4: PIXELS[::-1],
  5: PIXELS.swapaxes(0, 1),
  6: PIXELS.swapaxes(0, 1)[:, ::-1],
  7: PIXELS.swapaxes(0, 1)[::-1, ::-1],
  8: PIXELS.swapaxes(0, 1)[::-1],
}


@pytest.fixture(autouse=True)
def plugins():
  """Both are there, as `make` installs them; a test takes one away."""
  image_opening._has_plugin.cache_clear()
  assert image_opening._has_plugin("HEIF")
  assert image_opening._has_plugin("JXL")
  yield
  image_opening._has_plugin.cache_clear()


def saved(kind: str, image: Image.Image | np.ndarray = PIXELS, **options) -> bytes:
  if isinstance(image, np.ndarray):
    image = Image.fromarray(image)
  buffer = io.BytesIO()
  image.save(buffer, kind, **options)
  return buffer.getvalue()


def heic(image: Image.Image | np.ndarray = PIXELS, **options) -> bytes:
  return saved("HEIF", image, **EXACT, **options)


def jxl_of_jpeg(jpeg: bytes) -> bytes:
  """What `cjxl` makes of a JPEG, which can be had back byte by byte."""
  import pillow_jxl

  encoder = pillow_jxl.Encoder(
    mode="RGB",
    lossless=True,
    quality=100,
    decoding_speed=0,
    effort=3,
    use_container=True,
    use_original_profile=False,
    num_threads=1,
  )
  return encoder(jpeg, *PIXELS.shape[1::-1], jpeg_encode=True)


def decoded(data: bytes):
  """The photograph, after it was seen to be the same in checking."""
  found = decode_photograph(data)
  facts = check_photograph(data)
  assert facts.notes == found.notes
  assert (facts.height_px, facts.width_px) == found.pixels.shape[:2]
  return found


def refusal(data: bytes, **options) -> ImageError:
  with pytest.raises(ImageError) as caught:
    decode_photograph(data, **options)
  with pytest.raises(ImageError) as checked:
    check_photograph(data, **options)
  assert str(checked.value) == str(caught.value)
  assert "\n" not in str(caught.value)
  return caught.value


def orientation(number: int) -> Image.Exif:
  exif = Image.Exif()
  exif[0x0112] = number
  return exif


@pytest.mark.parametrize(
  "data", [heic(), heic(icc_profile=srgb_v2()), jxl_files.written(PIXELS)]
)
def test_srgb_without_loss_keeps_every_pixel(data):
  found = decoded(data)
  np.testing.assert_array_equal(found.pixels, PIXELS)
  assert found.notes == ()


@pytest.mark.parametrize(
  ("profile", "curve", "mixed"),
  [(P3, srgb_curve, DISPLAY_P3), (ADOBE, power(2.19921875), ADOBE_RGB)],
  ids=["display_p3", "adobe_rgb"],
)
@pytest.mark.parametrize(
  "options", [EXACT, {"quality": 60}, {"quality": 60, "tile_size": 64}]
)
def test_a_heic_with_a_profile_becomes_srgb(profile, curve, mixed, options):
  photo = np.tile(PIXELS, (2, 2, 1))
  data = saved("HEIF", photo, icc_profile=profile, **options)
  assert (b"grid" in data) == ("tile_size" in options)
  kept = np.asarray(pillow_heif.open_heif(data))
  found = decoded(data)
  right = expected(kept, curve, mixed)
  assert mean_difference(found.pixels, right) < 0.5
  assert mean_difference(kept, right) > 1
  assert found.notes == ("colour_converted",)


@pytest.mark.parametrize(
  ("primaries", "transfer", "curve", "mixed"),
  [(12, 13, srgb_curve, DISPLAY_P3), (9, 4, power(2.2), REC_2020)],
)
def test_code_points_of_a_heic_count_where_no_profile_does(
  primaries, transfer, curve, mixed
):
  said = {"color_primaries": primaries, "transfer_characteristics": transfer}
  data = heic(**said)
  assert read_header(data).code_points == (primaries, transfer, 0, 1)
  found = decoded(data)
  assert mean_difference(found.pixels, expected(PIXELS, curve, mixed)) < 0.5
  assert found.notes == ("colour_converted",)
  with_profile = heic(icc_profile=srgb_v2(), **said)
  np.testing.assert_array_equal(decoded(with_profile).pixels, PIXELS)


def test_code_points_that_only_the_plugin_finds_count_too(monkeypatch):
  data = heic(color_primaries=12, transfer_characteristics=13)
  bare = read_header(data)
  monkeypatch.setattr(
    image_opening,
    "read_header",
    lambda data: image_opening.dataclasses.replace(bare, code_points=None),
  )
  right = expected(PIXELS, srgb_curve, DISPLAY_P3)
  assert mean_difference(decoded(data).pixels, right) < 0.5


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_refused(transfer):
  data = heic(color_primaries=9, transfer_characteristics=transfer)
  assert refusal(data).reason == "high_dynamic_range"
  data = jxl_files.written(PIXELS, primaries=9, transfer=transfer)
  assert refusal(data).reason == "high_dynamic_range"


@pytest.mark.parametrize(
  ("primaries", "transfer", "curve", "mixed"),
  [
    (11, 13, srgb_curve, DISPLAY_P3),
    (9, 13, srgb_curve, REC_2020),
    (1, 8, power(1.0), None),
  ],
)
def test_colours_that_a_jpeg_xl_names_become_srgb(primaries, transfer, curve, mixed):
  found = decoded(jxl_files.written(PIXELS, primaries=primaries, transfer=transfer))
  assert mean_difference(found.pixels, expected(PIXELS, curve, mixed)) < 0.5
  assert found.notes == ("colour_converted",)


def test_srgb_that_a_jpeg_xl_names_keeps_every_pixel():
  found = decoded(jxl_files.written(PIXELS, primaries=1))
  np.testing.assert_array_equal(found.pixels, PIXELS)
  assert found.notes == ()


def test_a_jpeg_in_a_jpeg_xl_brings_profile_and_orientation():
  jpeg = saved("JPEG", icc_profile=P3, exif=orientation(6), quality=90)
  found, right = decoded(jxl_of_jpeg(jpeg)), decoded(jpeg)
  np.testing.assert_array_equal(found.pixels, right.pixels)
  assert found.notes == right.notes == ("colour_converted", "turned")


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
@pytest.mark.parametrize("mode", ["L", "RGBA", "LA"])
def test_grey_and_alpha_are_as_in_other_formats(kind, mode):
  options = {"lossless": True} if kind == "JXL" else EXACT
  image = Image.fromarray(PIXELS).convert(mode)
  found = decoded(saved(kind, image, **options))
  np.testing.assert_allclose(found.pixels, image.convert("RGB"), atol=1)
  assert ("opaque_alpha" in found.notes) == (mode in ("RGBA", "LA"))
  if mode == "RGBA":
    image.putpixel((3, 5), (1, 2, 3, 100))
    assert refusal(saved(kind, image, **options)).reason == "transparent"


def test_a_grey_heic_of_another_curve_stays_neutral():
  grey = Image.fromarray(PIXELS[..., 1].copy())
  found = decoded(saved("HEIF", grey, quality=-1, icc_profile=grey_profile(1.0)))
  right = np.repeat(expected(PIXELS[..., 1], power(1.0))[..., None], 3, -1)
  assert mean_difference(found.pixels, right) < 0.75
  assert np.ptp(found.pixels, axis=-1).max() == 0


@pytest.mark.parametrize("number", range(1, 9))
@pytest.mark.parametrize("with_exif", [False, True])
def test_a_heic_is_turned_once(number, with_exif):
  data = heic(exif=orientation(number).tobytes())  # says it twice, as telephones do
  told, plain = (orientation(n).tobytes()[6:] for n in (number, 1))
  assert told in data
  if not with_exif:
    data = data.replace(told, plain)
  found = decoded(data)
  np.testing.assert_array_equal(found.pixels, UPRIGHT[number])
  assert found.notes == (("turned",) if number > 1 else ())


def test_exif_alone_turns_no_heic():  # ISO/IEC 23008-12: the file's own header does
  data = heic(exif=orientation(1).tobytes())
  told, plain = (orientation(n).tobytes()[6:] for n in (6, 1))
  found = decoded(data.replace(plain, told))
  np.testing.assert_array_equal(found.pixels, PIXELS)


@pytest.mark.parametrize("number", range(1, 9))
def test_a_jpeg_xl_is_turned_once(number):
  found = decoded(jxl_files.written(PIXELS, orientation=number))
  np.testing.assert_array_equal(found.pixels, UPRIGHT[number])
  assert found.notes == (("turned",) if number > 1 else ())


def test_exif_alone_turns_no_jpeg_xl():  # ISO/IEC 18181-2: the codestream does
  exif = orientation(6).tobytes()
  data = saved("JXL", lossless=True, exif=exif, use_container=True)
  assert b"Exif" in data
  np.testing.assert_array_equal(decoded(data).pixels, PIXELS)


def test_ten_bits_are_too_many():
  deep = pillow_heif.from_bytes("RGB;16", (96, 64), bytes(96 * 64 * 6))
  buffer = io.BytesIO()
  deep.save(buffer, **EXACT)
  data = buffer.getvalue()
  assert read_header(data).bits == 10
  assert refusal(data).reason == "more_than_8_bits"
  without = data.replace(b"pixi", b"free").replace(b"hvcC", b"hvcC")
  assert refusal(without).reason == "more_than_8_bits"


@pytest.mark.parametrize(
  "data",
  [
    jxl_files.header(96, 64, bits=10),
    jxl_files.header(96, 64, bits=16, orientation=6),
    jxl_files.header(96, 64, bits=32, is_float=True),
    saved("JXL", Image.fromarray(PIXELS[..., 0].astype(np.uint16)), lossless=True),
  ],
  ids=["10", "16", "float", "grey"],
)
def test_a_deep_jpeg_xl_is_told_by_its_header(data):
  assert refusal(data).reason == "more_than_8_bits"


def test_sequences_are_animations():
  data = jxl_files.header(96, 64, is_animated=True)
  assert refusal(data).reason == "animated"
  brands = b"ftyphevc" + bytes(4) + b"msf1hevc"
  data = struct.pack(">I", len(brands) + 4) + brands + struct.pack(">I4s", 8, b"moov")
  assert refusal(data).reason == "animated"


def test_the_primary_picture_is_taken_and_never_a_preview():
  first, second = (Image.fromarray(p) for p in (PIXELS[::-1].copy(), PIXELS))
  data = heic(first, save_all=True, append_images=[second], primary_index=1)
  np.testing.assert_array_equal(decoded(data).pixels, PIXELS)
  second.info["thumbnails"] = [32]
  data = heic(second)
  assert b"thmb" in data
  np.testing.assert_array_equal(decoded(data).pixels, PIXELS)


def test_size_is_refused_before_anything_is_decoded():
  for data in (heic(), jxl_files.written(PIXELS)):
    assert refusal(data, max_pixels=64 * 96 - 1).reason == "too_large"
    assert decode_photograph(data, max_pixels=64 * 96).pixels.shape == PIXELS.shape
  bomb = jxl_files.header(1 << 20, 1 << 20)  # a file of some bytes
  assert refusal(bomb).reason == "too_large"


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_a_cut_file_is_whole_or_refused_as_cut_or_damaged(kind):
  data = heic() if kind == "HEIF" else jxl_files.written(PIXELS)
  for length in (*range(12, 60), *range(60, len(data), 97)):
    assert refusal(data[:length]).reason in ("truncated", "damaged"), length


@pytest.mark.parametrize("kind", ["HEIF", "JXL"])
def test_any_damage_is_a_reason_and_no_crash(kind):
  whole = heic() if kind == "HEIF" else saved("JXL", lossless=True, use_container=True)
  generator = np.random.default_rng(0)
  for _ in range(60):
    data = bytearray(whole)
    for place in generator.integers(0, min(len(data), 900), 3):
      data[place] = generator.integers(0, 256)
    with contextlib.suppress(ImageError):  # nothing else comes out
      decode_photograph(bytes(data))


@pytest.mark.parametrize(
  ("module", "name", "data"),
  [
    ("pillow_heif", "HEIC", heic()),
    ("pillow_jxl", "JPEG XL", jxl_files.written(PIXELS)),
  ],
)
def test_a_missing_package_is_named_with_what_installs_it(
  monkeypatch, module, name, data
):
  monkeypatch.setitem(sys.modules, module, None)
  image_opening._has_plugin.cache_clear()
  found = refusal(data)
  assert found.reason == "missing_decoder"
  assert "pip install 'hardmine[formats]'" in str(found)
  assert f"Received: {name}" in str(found)
