"""Rows, frontier and tables of results that are made up."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardmine.pipelines.studies import tables
from hardmine.pipelines.studies.combinations import Combination
from hardmine.pipelines.studies.counting import CONVOLUTION, CROP, Cost
from hardmine.pipelines.studies.sweep import Row
from hardmine.schemas.detector_config import FasterRCNNConfig, SSDConfig


class Extractor:
  TOP_1 = 71.5


SPEEDS = {CONVOLUTION: 1e9, CROP: 1e9}
POINTS = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), max_size=12)


def row(name, config=None, first=2_000_000, precision=None, seconds=None):
  config = config or SSDConfig(feature_extractor=Extractor)
  second = {CONVOLUTION: 500_000, CROP: 1000} if name.startswith("two") else {}
  found = Row(Combination(name=name, config=config, num_categories=3))
  found.cost = Cost(
    parameters=123, first_stage={CONVOLUTION: first}, second_stage=second
  )
  if precision is not None:
    found.precision = {"summary": {"AP": precision, "AP_small": -1.0}, "num_images": 4}
  if seconds is not None:
    found.times["onnxruntime"] = {
      "seconds": {"preparation": seconds / 4, "postprocessing": seconds / 2},
      "total_seconds": seconds,
      "network_seconds": seconds / 2,
      "num_repeats": 3,
      "peak_bytes": 2 << 20,
      "idle_bytes": 1 << 20,
    }
  return found


@given(POINTS)
def test_the_frontier_is_what_none_beats(points):
  rows = [
    {"name": str(n), "ms": ms, "value": value} for n, (ms, value) in enumerate(points)
  ]
  names = tables.frontier(rows)
  chosen = [rows[int(name)] for name in names]
  for one, after in zip(chosen, chosen[1:]):  # noqa: RUF007
    assert one["ms"] < after["ms"]
    assert one["value"] < after["value"]
  for one in rows:  # each is matched or beaten by one of the frontier
    assert any(
      best["ms"] <= one["ms"] and best["value"] >= one["value"] for best in chosen
    )


def test_what_is_unknown_is_on_no_frontier():
  rows = [{"name": "a", "ms": None, "value": 3}, {"name": "b", "ms": 2, "value": None}]
  assert tables.frontier(rows) == []


def test_without_a_run_times_are_estimates():
  (found,) = tables.flat([row("one")], (), SPEEDS)
  assert found["ms"] == found["estimated_ms"] == 2.0
  assert found["value"] == found["multiply_adds"] == 2_000_000
  assert found["crop_multiply_adds"] is None
  assert found["top_1"] == 71.5


def test_crops_cost_time_and_are_counted_apart():
  config = FasterRCNNConfig(feature_extractor=Extractor)
  (found,) = tables.flat([row("two", config)], (), SPEEDS)
  assert found["multiply_adds"] == 2_500_000
  assert found["crop_multiply_adds"] == 1000
  assert found["estimated_ms"] == pytest.approx(2.501)


def test_figures_show_the_first_runtime_and_the_precision_where_there_is_one():
  rows = [row("a", precision=0.25, seconds=0.008), row("b", seconds=0.004)]
  first, second = tables.flat(rows, ("onnxruntime", "openvino"), SPEEDS)
  assert (first["ms"], first["value"], first["on_frontier"]) == (8.0, 0.25, True)
  assert (second["ms"], second["value"], second["on_frontier"]) == (4.0, None, False)
  assert first["onnxruntime__network_ms"] == 4.0
  assert first["onnxruntime__peak_mib"] == 2.0
  assert first["openvino__ms"] is None
  assert first["AP_small"] is None  # nothing small was there to be found


def test_all_formats_hold_the_same_rows():
  rows = [row("a", precision=0.25, seconds=0.008), row("b|c")]
  rows[1].cost, rows[1].problems = None, ["cannot be built: no"]
  found = tables.flat(rows, ("onnxruntime",), SPEEDS)
  plain = json.loads(tables.to_json(found, {"machine": {"num_processors": 2}}))
  assert plain["rows"] == found
  read = list(csv.DictReader(io.StringIO(tables.to_csv(found))))
  assert [one["name"] for one in read] == ["a", "b|c"]
  assert all(
    text == ("" if found[n][name] is None else str(found[n][name]))
    for n, one in enumerate(read)
    for name, text in one.items()
  )
  lines = tables.to_markdown(found).splitlines()
  assert len(lines) == 4
  heads = [head.strip() for head in lines[0].strip("|").split("|")]
  assert "AP" in heads
  assert "AP_small" not in heads  # nobody filled it
  assert lines[3].startswith(r"| b\|c |")
  assert "cannot be built: no" in lines[3]


def test_no_rows_are_tables_too():
  assert tables.to_csv([]).strip() == ""
  assert tables.shown([]) == ([], [])
