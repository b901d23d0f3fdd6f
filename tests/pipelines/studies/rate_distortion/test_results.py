"""Rows, areas and BD-rates of curves whose answers are known."""

import csv
import dataclasses
import io
import json

import numpy as np
import pytest

from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.pipelines.studies import tables
from hardmine.pipelines.studies.rate_distortion import compressai, results
from hardmine.pipelines.studies.rate_distortion.sweep import Measured
from hardmine.serving.pages.conventions import METRICS

RATES = np.arange(1, 17) / 8
SECONDS = np.where(np.arange(16) % 5 == 0, np.arange(16.0), np.nan)


def curve(key, rates=RATES, *, headers=0.0, knows_headers=True):
  """Qualities that rise with the number of the point, on two pictures."""
  ms_ssim = 1 - 0.3 * 0.8 ** np.arange(len(rates))
  decibels = 20 + np.arange(len(rates))
  scores = np.stack([ms_ssim, decibels, decibels + 1], axis=-1)
  return Measured(
    measurement=Measurement(
      key=key,
      title=key.title(),
      detail="made | up",
      points=tuple(range(len(rates))),
      images=("a", "b"),
      bpp=np.stack([rates, rates]) - headers,
      file_bpp=np.stack([rates, rates]),
      scores=np.stack([scores, scores]),
    ),
    knows_headers=knows_headers,
    encode_seconds=np.stack([SECONDS, SECONDS]),
    decode_seconds=np.stack([SECONDS, SECONDS]) / 10,
    is_model=False,
    setting_is="quality",
  )


@pytest.mark.parametrize(("share", "per_cent"), [(2, 100), (0.5, -50), (1, 0)])
def test_twice_the_bytes_are_a_hundred_per_cent_more(share, per_cent):
  rows = results.flat([curve("one"), curve("other", share * RATES)], "one")
  for metric in METRICS:
    assert rows[0][f"{metric}_bd_rate"] == pytest.approx(0, abs=1e-9)
    assert rows[1][f"{metric}_bd_rate"] == pytest.approx(per_cent, abs=1e-6)


def test_there_are_no_bits_to_save_beside_a_codec_that_is_not_there():
  (row,) = results.flat([curve("one")], "missing")
  assert all(row[f"{metric}_bd_rate"] is None for metric in METRICS)
  assert "bits" not in " ".join(results.shown([row], "Missing")[0])


def test_areas_are_of_whole_files_and_of_what_is_without_headers_where_known():
  with_headers = curve("one", headers=0.05)
  row, other = results.flat(
    [with_headers, dataclasses.replace(with_headers, knows_headers=False)], "one"
  )
  measurement = with_headers.measurement
  assert row["ms_ssim_area"] == measurement.curve("ms_ssim", files=True).area()
  assert row["ms_ssim_area_without_headers"] == measurement.curve("ms_ssim").area()
  assert row["ms_ssim_area_without_headers"] > row["ms_ssim_area"]
  assert other["ms_ssim_area_without_headers"] is None


def test_seconds_are_those_of_the_timed_point_closest_to_half_a_bit():
  (row,) = results.flat([curve("one")], "one")
  # points 0, 5, 10, 15 are timed, at 0.125, 0.75, 1.375 and 2 bits per pixel
  assert row["timed_at_bpp"] == pytest.approx(0.75)
  assert (row["encode_seconds"], row["decode_seconds"]) == (5, 0.5)


def test_decibels_of_ms_ssim_end_where_a_picture_is_equal():
  assert results.decibels(0.9) == pytest.approx(10)
  assert results.decibels(1.0) == pytest.approx(100)


def test_json_and_csv_say_the_same_and_have_no_nan():
  measured = [curve("one"), curve("other")]
  rows = results.flat(measured, "one")
  whole = json.loads(results.to_json(measured, rows, {"num_images": 2}))
  assert list(whole["codecs"]) == ["one", "other"]
  assert whole["codecs"]["one"]["seconds"]["a"]["encode"][:2] == [0.0, None]
  read = list(csv.DictReader(io.StringIO(tables.to_csv(rows))))
  assert [float(row["ms_ssim_area"]) for row in read] == [
    row["ms_ssim_area"] for row in whole["rows"]
  ]
  points = list(results.points(measured))
  assert len(points) == 32
  assert points[1]["encode_seconds"] is None
  assert points[17]["bpp"] == 0.25


def test_a_bar_in_a_title_stays_in_its_cell():
  odd = curve("a|b")
  lines = results.to_markdown(results.flat([odd], "a|b"), "it").splitlines()
  assert {line.replace("\\|", "").count("|") for line in lines} == {lines[0].count("|")}


def test_compressai_reads_lists_of_one_length():
  found = json.loads(compressai.to_json(curve("one")))
  assert set(found) == {"name", "description", "results"}
  lists = found["results"]
  assert set(lists) == {"bpp", "psnr", "ms-ssim", "encoding_time", "decoding_time"}
  assert {len(values) for values in lists.values()} == {16}
  assert lists["bpp"] == RATES.tolist()
  # between timed points on the line through them, and the description says so
  np.testing.assert_allclose(lists["encoding_time"], np.arange(16.0))
  assert "interpolated" in found["description"]
  untimed = np.full((2, 16), np.nan)
  bare = dataclasses.replace(
    curve("one"), encode_seconds=untimed, decode_seconds=untimed
  )
  assert set(json.loads(compressai.to_json(bare))["results"]) == {
    *("bpp", "psnr", "ms-ssim")
  }
