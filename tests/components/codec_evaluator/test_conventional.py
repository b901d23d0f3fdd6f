"""JPEG and WebP, measured as the model is."""

import io
import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageFile

from hardmine.components.codec_evaluator.conventional import measure_conventional
from hardmine.components.codec_evaluator.formats import (
  FAMILIES,
  JPEG_QUALITIES,
  decode,
  encode,
  header_bytes,
)

JPEG_420, JPEG_444, WEBP = FAMILIES


def photograph(height, width, seed=0):
  """Smooth colours and an edge, uint8 [height, width, 3]."""
  rng = np.random.default_rng(seed)
  small = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
  image = np.array(small.resize((width, height), Image.Resampling.BICUBIC))
  image[:, width // 2 :] //= 2
  return image


def test_variants_of_a_family_differ_in_bytes_and_not_in_pixels():
  """Else scoring only the first of them would be wrong."""
  image = photograph(50, 70)
  for family in (JPEG_420, JPEG_444):
    for quality in (1, 30, 95):
      plain, optimised = (encode(image, family, v, quality) for v in family.variants)
      assert len(optimised) < len(plain)
      np.testing.assert_array_equal(decode(plain), decode(optimised))


def test_files_have_the_chroma_they_are_named_after():
  image = photograph(64, 64)
  for family, factors in ((JPEG_420, (2, 2)), (JPEG_444, (1, 1))):
    file = Image.open(io.BytesIO(encode(image, family, family.variants[0], 50)))
    luma = file.layer[0]  # (id, horizontal factor, vertical factor, table)
    assert luma[1:3] == factors


def test_rates_count_whole_files_and_files_without_headers():
  image = photograph(40, 56)
  (measured,) = measure_conventional(
    [("a", image)], families=[WEBP], qualities=[10, 60]
  )
  sizes = [len(encode(image, WEBP, WEBP.variants[0], q)) for q in (10, 60)]
  np.testing.assert_allclose(measured.file_bpp[0], [8 * s / (40 * 56) for s in sizes])
  np.testing.assert_allclose(measured.file_bpp - measured.bpp, 8 * 20 / (40 * 56))


def test_the_header_of_a_jpeg_is_the_same_for_every_picture():
  """Default tables: SOI 2, APP0 18, DQT 2 x 69, SOF 19, DHT 2 x (33 + 183), SOS 14,
  EOI 2: 625 bytes (ITU-T T.81)."""
  default, optimised = JPEG_420.variants
  for quality in (1, 50):
    for image in (photograph(40, 56), photograph(64, 200, seed=3)):
      plain = encode(image, JPEG_420, default, quality)
      assert header_bytes(plain, JPEG_420, default) == 625
      # the tables that were made for the picture are data: 625 - 2 * (33 + 183)
      made = encode(image, JPEG_420, optimised, quality)
      assert header_bytes(made, JPEG_420, optimised) == 193


def test_one_worker_and_many_agree():
  images = [(str(seed), photograph(40, 48, seed)) for seed in range(5)]
  results = [
    measure_conventional(images, qualities=[5, 40], num_workers=n) for n in (1, 3)
  ]
  for one, many in zip(*results):
    assert one.key == many.key
    np.testing.assert_array_equal(one.bpp, many.bpp)
    np.testing.assert_array_equal(one.scores, many.scores)


def test_measuring_stops_after_two_bits_per_pixel():
  noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
  measured, _ = measure_conventional([("noise", noise)], families=[JPEG_420])
  assert measured.bpp[0, -1] > 2
  assert len(measured.points) < len(JPEG_QUALITIES)


@pytest.mark.parametrize("size", [(1, 1), (3, 17), (33, 31)])
def test_odd_sizes_are_measured(size):
  for measured in measure_conventional(
    [("odd", photograph(*size))], qualities=[20, 80]
  ):
    assert np.isfinite(measured.scores).all()


@pytest.mark.parametrize("size", [(256, 256), (1, 300), (300, 1), (17, 200)])
@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.variants[0].key)
def test_noise_is_written_at_every_quality(size, family):
  noise = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
  before = ImageFile.MAXBLOCK
  for variant in family.variants:
    for quality in (family.qualities[0], family.qualities[-1], 100):
      assert decode(encode(noise, family, variant, quality)).shape == noise.shape
  assert before == ImageFile.MAXBLOCK


def test_noise_is_written_by_many_threads_at_once():
  noise = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
  variant = JPEG_444.variants[1]
  with ThreadPoolExecutor(8) as pool:
    files = set(pool.map(lambda _: encode(noise, JPEG_444, variant, 95), range(24)))
  assert len(files) == 1
  assert ImageFile.MAXBLOCK == 65536


def test_an_image_that_one_codec_cannot_write_is_in_no_measurement():
  wide = np.zeros((1, 16_384, 3), np.uint8)
  images = [("a", photograph(40, 48)), ("wide", wide), ("b", photograph(32, 32, 1))]
  told = []
  found = measure_conventional(
    images, qualities=[5, 40], on_failure=lambda *one: told.append(one)
  )
  ((name, why),) = told
  assert name == "wide"
  assert "WebP: " in why
  alone = measure_conventional([images[0], images[2]], qualities=[5, 40])
  for one, right in zip(found, alone, strict=True):
    assert one.images == ("a", "b")
    np.testing.assert_array_equal(one.bpp, right.bpp)
    np.testing.assert_array_equal(one.scores, right.scores)
  assert measure_conventional(images[1:2], on_failure=lambda *one: None) == []
  with pytest.raises(RuntimeError, match="wide: WebP"):
    measure_conventional(images, qualities=[5])


def test_every_conventional_codec_names_its_software_and_flags():
  details = {
    one.key: one.detail
    for one in measure_conventional([("a", photograph(16, 16))], qualities=[50])
  }
  assert "Pillow" in details["jpeg_420"]
  assert "subsampling=2, optimize=False" in details["jpeg_420"]
  assert "subsampling=0, optimize=True" in details["jpeg_444_optimised"]
  assert "libwebp" in details["webp"]
  assert "method=6" in details["webp"]


def test_qualities_must_rise():
  with pytest.raises(ValueError, match="rising qualities"):
    measure_conventional([("a", photograph(16, 16))], qualities=[50, 10])


def test_better_quality_costs_more_and_scores_more():
  for one in measure_conventional(
    [("a", photograph(96, 96))], qualities=[5, 25, 60, 90]
  ):
    for before, after in itertools.pairwise(range(len(one.points))):
      assert one.bpp[0, after] > one.bpp[0, before]
      assert one.scores[0, after, 0] > one.scores[0, before, 0]


@pytest.mark.skipif(
  not os.environ.get("HARDMINE_SLOW"), reason="minutes long: wants HARDMINE_SLOW=1"
)
def test_kodak_areas_are_close_to_the_papers(data_dir):
  """Areas of MS-SSIM printed for arXiv 1608.05148: 1.7998, 1.7748 and 1.8280.

  The papers do not say which encoders, flags and qualities they used, nor what they
  took below a codec's lowest rate, which matters most for JPEG.
  """
  images = [
    (path.name, np.asarray(Image.open(path).convert("RGB")))
    for path in sorted((data_dir / "kodak").glob("*.png"))
  ]
  areas = {one.key: one.areas()["ms_ssim_auc"] for one in measure_conventional(images)}
  assert areas["jpeg_420"] == pytest.approx(1.7998, abs=0.006)
  assert areas["jpeg_444"] == pytest.approx(1.7748, abs=0.006)
  assert areas["webp"] == pytest.approx(1.8280, abs=0.006)
