"""Conventional codecs: files of a size, and those that are not installed."""

import math

import numpy as np
import pytest

from hardmine.components.codec_evaluator.conventional import measure_conventional
from hardmine.components.codec_evaluator.formats import (
  FAMILIES,
  FURTHER,
  decode,
  encode,
  header_bytes,
  what_lacks,
)
from hardmine.pipelines.studies.rate_distortion import conventional_codec
from hardmine.pipelines.studies.rate_distortion.conventional_codec import (
  NAMES,
  ConventionalCodec,
  choose,
)
from hardmine.pipelines.studies.rate_distortion.sweep import Sweep
from hardmine.pipelines.studies.records import RATE_DISTORTION, Records
from tests.pipelines.studies.rate_distortion.toy_codecs import looked_at, photograph

PIXELS = np.asarray(photograph(1))
JPEG, _, WEBP = FAMILIES
INSTALLED = [family for family in (*FAMILIES, *FURTHER) if what_lacks(family) is None]


@pytest.mark.parametrize("family", INSTALLED, ids=lambda family: family.format)
def test_more_quality_is_more_bytes_and_less_error(family):
  sizes, errors = [], []
  for quality in family.qualities[:: len(family.qualities) - 1]:
    data = encode(PIXELS, family, family.variants[0], quality)
    picture = decode(data)
    assert picture.shape == PIXELS.shape
    sizes.append(len(data))
    errors.append(np.abs(picture.astype(float) - PIXELS).mean())
  assert sizes[0] < sizes[1]
  assert errors[0] > errors[1]
  assert list(family.qualities) == sorted(set(family.qualities))
  assert family.bounds[0] <= family.qualities[0] < family.qualities[-1]
  assert family.qualities[-1] <= family.bounds[1]


@pytest.mark.parametrize("num_bytes", [900, 2500, 6000])
def test_no_other_quality_is_closer_to_a_size(num_bytes):
  variant = JPEG.variants[-1]
  sizes = {
    quality: len(encode(PIXELS, JPEG, variant, quality)) for quality in range(1, 96)
  }
  found = ConventionalCodec(JPEG).nearest(PIXELS, num_bytes)
  best = min(abs(math.log(size / num_bytes)) for size in sizes.values())
  assert abs(math.log(found.num_bytes / num_bytes)) == pytest.approx(best)
  assert found.num_bytes == sizes[found.setting]
  data = encode(PIXELS, JPEG, variant, found.setting)
  np.testing.assert_array_equal(found.pixels, decode(data))


@pytest.mark.parametrize("num_bytes", [1, 10**9])
def test_a_size_out_of_reach_gives_the_outermost_file(num_bytes):
  found = ConventionalCodec(WEBP).nearest(PIXELS, num_bytes)
  assert found.setting in WEBP.bounds


def test_points_are_of_files_that_were_written_and_read():
  codec = ConventionalCodec(JPEG, 3)
  assert codec.settings == (1, 24, 95)
  found = dict(codec.points(PIXELS, codec.settings))
  for quality, points in found.items():
    for variant, point in zip(JPEG.variants, points):
      data = encode(PIXELS, JPEG, variant, quality)
      assert point.num_bytes == len(data)
      assert point.header_bytes == header_bytes(data, JPEG, variant)
      assert point.encode_seconds > 0
      assert point.decode_seconds > 0
    assert points[0].scores == points[1].scores


def test_the_study_measures_what_an_evaluation_does(tmp_path):
  pictures, source = looked_at(tmp_path / "photos", (10, 20))
  codec = ConventionalCodec(JPEG, 3)
  records = Records(tmp_path / "out", RATE_DISTORTION)
  sweep = Sweep(pictures, source, records)
  with records.held():
    sweep.measure([codec])
  expected = measure_conventional(
    [(one.name, source.pixels(one)) for one in pictures],
    families=[JPEG],
    qualities=codec.settings,
  )
  for curve, other in zip(sweep.curves, expected, strict=True):
    assert curve.measurement.key == other.key
    for name in ("bpp", "file_bpp", "scores"):
      found = getattr(curve.measurement, name)
      np.testing.assert_array_equal(found, getattr(other, name))


def test_what_is_not_installed_is_a_line_and_asked_for_an_error(monkeypatch):
  def lacks(family):
    return "pip install it" if family.format == "JXL" else what_lacks(family)

  monkeypatch.setattr(conventional_codec, "what_lacks", lacks)
  codecs, lines = choose(None)
  assert all(one.curves[0].key != "jpeg_xl" for one in codecs)
  assert lines == ["JPEG XL is left out: it is not installed (pip install it)"]
  with pytest.raises(ValueError, match="JPEG XL to be installed: pip install it"):
    choose(["jpeg_xl"])


def test_a_name_that_is_none_says_which_there_are():
  with pytest.raises(ValueError, match=", ".join(NAMES)):
    choose(["gif"])
  assert [one.curves[0].key for one in choose(["webp", "jpeg_420"])[0]] == [
    *("jpeg_420", "webp")
  ]
