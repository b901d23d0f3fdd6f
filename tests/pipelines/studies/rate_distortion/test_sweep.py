"""What is measured, once and at once; a failure is a line and no end."""

import itertools
import zlib

import numpy as np
import pytest
from PIL import Image

from hardmine.components.jobs.sources import find_sources
from hardmine.pipelines.studies.rate_distortion.pictures import Pictures
from hardmine.pipelines.studies.rate_distortion.sweep import Sweep
from hardmine.pipelines.studies.records import RATE_DISTORTION, Records
from tests.pipelines.studies.rate_distortion.toy_codecs import (
  SIDES_PX,
  Levels,
  looked_at,
)


@pytest.fixture
def study(tmp_path):
  """Gives a sweep over three photographs that is done."""
  pictures, source = looked_at(tmp_path / "photos", (10, 20, 30))

  def run(*codecs, say=lambda line: None, on_step=None):
    records = Records(tmp_path / "out", RATE_DISTORTION)
    sweep = Sweep(pictures, source, records, say)
    with records.held():
      sweep.measure(codecs, on_step)
    return sweep

  return run


def test_rates_are_those_of_the_files(study, tmp_path):
  (curve,) = study(Levels()).curves
  measurement = curve.measurement
  assert measurement.images == ("10.png", "20.png", "30.png")
  pixels = np.asarray(Image.open(tmp_path / "photos" / "20.png"))
  kept = ((pixels >> 7 << 7) + 64).astype(np.uint8)
  size = len(zlib.compress(kept.tobytes()))
  height, width = SIDES_PX
  assert measurement.file_bpp[1, 0] == pytest.approx(8 * size / (height * width))
  assert measurement.bpp[1, 0] == pytest.approx(8 * (size - 2) / (height * width))
  assert curve.knows_headers
  assert np.isnan(curve.encode_seconds[:, 1]).all()
  assert (curve.decode_seconds[:, [0, 2]] == 0.125).all()


def test_what_was_measured_is_not_measured_again(study):
  first, again = Levels(), Levels()
  found, same = study(first).curves, study(again).curves
  assert len(first.asked) == 9
  assert again.asked == []
  np.testing.assert_array_equal(found[0].measurement.scores, same[0].measurement.scores)


def test_other_settings_are_not_mixed_in(study):
  study(Levels())
  doubled = Levels(times=2)
  (curve,) = study(doubled).curves
  assert len(doubled.asked) == 6  # then it is above two bits per pixel
  (before,) = study(Levels()).curves
  np.testing.assert_allclose(
    curve.measurement.file_bpp, 2 * before.measurement.file_bpp[:, :2]
  )


def test_every_point_is_kept_before_the_next_one(study):
  """An interrupt loses the point that was at work, and no other."""

  class Interrupted(Levels):
    def points(self, pixels, settings):
      for one in super().points(pixels, settings):
        if len(self.asked) == 5:
          raise KeyboardInterrupt
        yield one

  with pytest.raises(KeyboardInterrupt):
    study(Interrupted())
  again = Levels()
  study(again)
  assert len(again.asked) == 9 - 4


def test_a_codec_that_is_whole_has_its_curve_though_the_next_is_interrupted(study):
  class Interrupted(Levels):
    def points(self, pixels, settings):
      raise KeyboardInterrupt

  told = []

  def keep(sweep):
    told.append(sweep)

  original = Sweep._settle
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(Sweep, "_settle", lambda s, states: (original(s, states), keep(s)))
    with pytest.raises(KeyboardInterrupt):
      study(Levels("whole"), Interrupted("broken"))
  assert [one.measurement.key for one in told[0].curves] == ["whole"]


def test_a_picture_on_which_a_codec_fails_is_in_no_curve(study):
  lines = []
  sweep = study(Levels("good"), Levels("bad", fails_on=(20,)), say=lines.append)
  assert [one.measurement.images for one in sweep.curves] == [("10.png", "30.png")] * 2
  assert [(one.image, one.reason) for one in sweep.left_out] == [("20.png", "failed")]
  assert "the encoder gave NaN" in sweep.left_out[0].detail
  assert lines == ["Bad: 20.png: the encoder gave NaN"]
  assert sweep.problems == []


def test_a_codec_that_fails_on_most_pictures_takes_none_away(study):
  sweep = study(Levels("bad", fails_on=(10, 20)), Levels("good"))
  (curve,) = sweep.curves
  assert curve.measurement.key == "good"
  assert len(curve.measurement.images) == 3
  (problem,) = sweep.problems
  assert "Bad is left out: it failed on 2 of 3 pictures" in problem


def test_no_setting_is_measured_once_the_mean_rate_is_above_two_bits(study):
  heavy = Levels(times=1000)
  (curve,) = study(heavy).curves
  assert curve.measurement.points == heavy.settings[: heavy.wave]


def test_progress_never_goes_back_and_ends_at_its_total(study):
  steps = []
  study(Levels("a"), Levels("b"), on_step=lambda *step: steps.append(step))
  assert all(one <= other for one, other in itertools.pairwise(steps))
  assert steps[-1] == (18, 18)


def test_pictures_that_cannot_be_measured_are_told_with_the_reason(tmp_path):
  looked_at(tmp_path / "photos", (10,))
  Image.new("RGB", (40, 40)).save(tmp_path / "photos" / "small.png")
  (tmp_path / "photos" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
  sources = find_sources([str(tmp_path / "photos")]).sources
  pictures, left_out = Pictures().look(sources)
  assert [one.name for one in pictures] == ["10.png"]
  reasons = {one.image: one.reason for one in left_out}
  assert reasons == {"small.png": "too_small", "torn.png": "unreadable"}


def test_pixels_that_are_not_held_are_read_again_and_must_be_the_same(tmp_path):
  looked_at(tmp_path / "photos", (10, 20))
  source = Pictures(held_bytes=1)
  pictures, _ = source.look(find_sources([str(tmp_path / "photos")]).sources)
  assert [source.pixels(one)[0, 0, 0] for one in pictures] == [10, 20]
  Image.new("RGB", (200, 200)).save(tmp_path / "photos" / "10.png")
  with pytest.raises(ValueError, match="stays as it was"):
    source.pixels(pictures[0])
