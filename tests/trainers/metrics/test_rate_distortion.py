"""Laws of rate-distortion curves."""

import csv

import numpy as np
import pytest

from hardmine.trainers.metrics.rate_distortion import Curve, bd_rate, mean_curve

STEPS = tuple(t / 8 for t in range(1, 17))  # bpp of 16 iterations


def test_area_of_a_constant_is_the_constant_times_the_width():
  assert Curve(bpp=STEPS, value=(0.8,) * 16).area() == pytest.approx(0.8 * 1.875)


def test_area_of_a_line_by_hand():
  # From (0.125, 0.125) to (2, 2) under y = x: (4 - 1/64) / 2.
  assert Curve(bpp=STEPS, value=STEPS).area() == pytest.approx((4 - 1 / 64) / 2)


def test_a_point_outside_the_limits_only_shapes_the_last_stretch():
  # y = x again, cut at 2 between points at 1 and 3.
  assert Curve(bpp=(0.0, 1.0, 3.0), value=(0.0, 1.0, 3.0)).area() == pytest.approx(
    (4 - 1 / 64) / 2
  )


def test_outermost_values_are_held_up_to_the_limits():
  curve = Curve(bpp=(0.5, 1.0), value=(0.6, 0.8))
  # 0.375 wide at 0.6, a trapezoid 0.5 wide of mean 0.7, 1.0 wide at 0.8.
  assert curve.area() == pytest.approx(0.375 * 0.6 + 0.5 * 0.7 + 1.0 * 0.8)


def test_one_point_is_a_constant():
  assert Curve(bpp=(0.125,), value=(0.7,)).area() == pytest.approx(0.7 * 1.875)


def test_order_of_the_points_does_not_matter():
  order = np.random.default_rng(0).permutation(16)
  values = tuple(np.sqrt(STEPS))
  shuffled = Curve(
    bpp=tuple(STEPS[i] for i in order), value=tuple(values[i] for i in order)
  )
  assert shuffled.area() == Curve(bpp=STEPS, value=values).area()


def test_a_point_on_the_line_changes_nothing():
  without = Curve(bpp=(0.125, 2.0), value=(0.2, 0.9))
  with_one = Curve(bpp=(0.125, 1.0, 2.0), value=(0.2, float(without.at(1.0)), 0.9))
  assert with_one.area() == pytest.approx(without.area())


def test_areas_of_neighbouring_ranges_add_up():
  curve = Curve(bpp=STEPS, value=tuple(np.log(STEPS)))
  parts = curve.area(0.125, 0.77) + curve.area(0.77, 2.0)
  assert parts == pytest.approx(curve.area())


@pytest.mark.parametrize("bpp", [(3.0, 8.0), (0.01, 0.1), (0.1, 2.5)])
def test_without_a_measured_rate_between_the_limits_there_is_no_area(bpp):
  curve = Curve(bpp=bpp, value=(0.5,) * len(bpp))
  assert not curve.reaches()
  with pytest.raises(
    ValueError, match=r"a rate that was measured from 0\.125 to 2 bits"
  ):
    curve.area()
  assert curve.area(0.001, 9.0) > 0


@pytest.mark.parametrize("rate", [0.125, 0.125 - 1e-12, 2.0, 2.0 + 1e-12])
def test_a_rate_at_a_limit_counts_whatever_rounding_does(rate):
  assert Curve(bpp=(rate,), value=(0.7,)).area() == pytest.approx(0.7 * 1.875)


def test_mean_of_curves_goes_point_by_point():
  mean = mean_curve(
    [
      Curve(bpp=(0.1, 1.0), value=(0.5, 0.9)),
      Curve(bpp=(0.3, 2.0), value=(0.7, 1.0)),
    ]
  )
  assert mean.bpp == pytest.approx((0.2, 1.5))
  assert mean.value == pytest.approx((0.6, 0.95))


def test_bd_rate_of_a_curve_with_itself_is_zero():
  curve = Curve(bpp=STEPS, value=tuple(np.log(STEPS)))
  assert bd_rate(curve, curve) == pytest.approx(0, abs=1e-9)


def test_bd_rate_of_a_tenth_fewer_bits_is_minus_ten():
  values = tuple(np.log(STEPS))
  anchor = Curve(bpp=STEPS, value=values)
  better = Curve(bpp=tuple(0.9 * rate for rate in STEPS), value=values)
  assert bd_rate(anchor, better) == pytest.approx(-10, abs=1e-6)
  assert bd_rate(better, anchor) == pytest.approx(100 / 9, abs=1e-6)


def test_bd_rate_of_curves_that_share_no_quality_is_none():
  low = Curve(bpp=(0.1, 0.2), value=(0.1, 0.2))
  high = Curve(bpp=(0.1, 0.2), value=(0.8, 0.9))
  assert bd_rate(low, high) is None
  assert bd_rate(Curve(bpp=(0.1,), value=(0.5,)), high) is None


@pytest.mark.parametrize(
  ("bpp", "value"),
  [
    ((), ()),
    ((0.1,), (0.2, 0.3)),
    ((0.1,), (float("nan"),)),
    ((float("inf"),), (0.1,)),
    ((-0.1,), (0.5,)),
  ],
)
def test_a_curve_of_no_use_is_refused(bpp, value):
  with pytest.raises(ValueError, match="Received"):
    Curve(bpp=bpp, value=value)


def test_limits_the_wrong_way_round_are_refused():
  with pytest.raises(ValueError, match="low < high"):
    Curve(bpp=(1.0,), value=(1.0,)).area(2.0, 0.125)


def test_curves_of_different_lengths_have_no_mean():
  one = Curve(bpp=(0.1,), value=(0.5,))
  with pytest.raises(ValueError, match="equal length"):
    mean_curve([one, Curve(bpp=STEPS, value=STEPS)])
  with pytest.raises(ValueError, match="at least one"):
    mean_curve([])


def test_area_of_a_published_codec(data_dir):
  """The Kodak scores of 1zb/pytorch-image-comp-rnn; 1.8217 is their area by hand."""
  with (data_dir / "kodak" / "1zb_lstm_ssim.csv").open() as file:
    rows = [[float(v) for v in row if v.strip()] for row in csv.reader(file)]
  curve = mean_curve([Curve(bpp=STEPS, value=tuple(row)) for row in rows])
  assert curve.value[0] == pytest.approx(0.8394, abs=1e-4)
  assert curve.area() == pytest.approx(1.8217, abs=1e-4)
