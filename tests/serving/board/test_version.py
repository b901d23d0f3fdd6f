"""A version's page: verdict, curves, differences, settings, lineage, files, history."""

from __future__ import annotations

import re

import pytest

from hardmine.serving.board.comparison import fields
from tests.serving.board.fake_store import codec, detector

SECTIONS = ["Gates", "Experiment", "Where it comes from", "Files", "Its history"]


@pytest.mark.parametrize("kind", ["codec", "detector"])
def test_every_section_is_there(board, store, kind):
  store.add(kind)
  page = board()["version-1.html"]
  assert "Version 1, blessed" in page.headings
  assert set(SECTIONS) <= set(page.headings)
  assert ("Rate and distortion" if kind == "codec" else "Precision") in page.headings
  for words in (
    *("0000000000000001", "at least 1.5000", "run-7" if kind == "codec" else "run-8"),
    *("saved_model.pb", f"{1:064d}", f"{1:064x}", "pipeline added"),
  ):
    assert words in page.text


def test_a_codec_beside_production(board, store, tmp_path):
  store.add(**codec(area=1.6))
  store.add(**codec(area=1.7, steps=2000, passed=False))
  store.move("production", 1)
  page = board()["version-2.html"]
  assert "Version 2, not blessed" in page.headings
  assert "Beside production, version 1" in page.headings
  assert "MS-SSIM area rates alone 1.7000 1.6000 +0.1000" in page.text
  assert "Images 2 2 same" in page.text
  assert "1 setting of 3 differs" in page.text
  assert "training.steps 2000 1000" in page.text
  assert "Production, version 1 JPEG 4:2:0" in page.text
  html = (tmp_path / "board" / "version-2.html").read_text()
  svgs = re.findall('<svg class="plot".*?</svg>', html)
  assert [svg.count("<polyline") for svg in svgs] == [3, 3]
  assert html.count('<tr class="changed">') == 2  # by itself, and among all


def test_production_stands_beside_what_it_replaced(board, store):
  for _ in range(3):
    store.add()
  store.move("production", 1)
  store.move("production", 3)
  pages = board()
  assert "Beside version 1, production before" in pages["version-3.html"].headings
  store.remove(1)
  pages = board()
  assert "Numbers" in pages["version-3.html"].headings
  assert "no other codec in production" in pages["version-3.html"].text


def test_a_codec_is_not_held_against_a_detector(board, store):
  store.add("detector")
  store.add("codec")
  store.add("codec")
  store.move("production", 1)
  pages = board()
  assert "Numbers" in pages["version-2.html"].headings
  store.move("codec-production", 2)
  pages = board()
  assert "Beside codec-production, version 2" in pages["version-3.html"].headings


def test_a_detector_has_its_numbers_sizes_and_categories(board, store, tmp_path):
  store.add("detector", **detector(precision=0.4, categories=30))
  store.add("detector", **detector(precision=0.5, categories=30))
  store.move("production", 1)
  page = board()["version-2.html"]
  assert "AP mean over IoU 0.50 to 0.95 0.5000 0.4000 +0.1000" in page.text
  assert "AP, small below 32² pixels – – –" in page.text
  assert "Time per image lower is better 31.0 ms 31.0 ms same" in page.text
  best = page.text.partition("Best categories")[2]
  assert best.index("animal 0") < best.index("animal 9") < best.index("animal 29")
  assert best.index("animal 29") < best.index("animal 20")
  assert "animal 15" not in best
  html = (tmp_path / "board" / "version-2.html").read_text()
  assert html.count("<rect") == 8


@pytest.mark.parametrize(
  ("change", "why"),
  [
    ({"num_images": 24}, "2 images, the other on 24"),
    ({"candidate": {"images": {"other.png": {}}}}, "of other names"),
    ({"evaluation_set": "b"}, "different evaluation sets"),
  ],
)
def test_numbers_of_other_images_are_no_comparison(board, store, change, why):
  store.add(metrics={**codec()["metrics"], "evaluation_set": "a", **change})
  own = codec(area=1.9)["metrics"]
  store.add(
    metrics={**own, "evaluation_set": "a"} if "evaluation_set" in change else own
  )
  store.move("production", 1)
  page = board()["version-2.html"]
  assert "These two do not compare" in page.text
  assert why in page.text
  assert "evaluation set" in page.text or "evaluation_set" not in change


@pytest.mark.parametrize(
  "metrics",
  [
    {},
    {"candidate": None, "baselines": None, "problems": ["the model failed"]},
    {"candidate": {"bpp": "x", "ms_ssim": [1]}, "baselines": [], "problems": "x"},
    {"candidate": {"bpp": [1, None], "ms_ssim": ["a", True]}, "baselines": {"a": 1}},
    {"candidate": {"bpp": [float("nan")], "ms_ssim": [0.5]}, "per_category": {}},
    {"AP": 1e300, "ms_ssim_auc": 1e300, "per_category": [1, {"name": 3, "AP": "x"}]},
  ],
)
@pytest.mark.parametrize("kind", ["codec", "detector"])
def test_metrics_of_any_form_give_a_page(board, store, metrics, kind):
  store.add(kind, metrics=metrics)
  store.add(kind)
  store.move("production", 2)
  page = board()["version-1.html"]
  assert set(SECTIONS) <= set(page.headings)
  if metrics.get("candidate", 1) is None:
    assert "The model failed" in page.text


def test_documents_that_cannot_be_read_become_sentences(board, store):
  store.add(verdict={"passed": "perhaps"}, lineage=[], experiment={})
  page = board()["version-1.html"]
  assert "The verdict cannot be read" in page.text
  assert "The lineage of version 1 is no JSON object" in page.text
  assert "No experiment was recorded" in page.text
  assert "No lineage was recorded" in page.text
  assert "Not judged." in page.text


def test_settings_are_compared_by_path():
  own = {"a": {"b": 1, "c": [1, 2]}, "d": [{"e": None}], "new": True}
  other = {"a": {"b": 2, "c": [1, 2]}, "d": [{"e": None}], "gone": {}}
  found = {one.name: (one.value, one.before, one.changed) for one in fields(own, other)}
  assert found == {
    "a.b": ("1", "2", True),
    "a.c": ("[1, 2]", "[1, 2]", False),
    "d[0].e": ("null", "null", False),
    "new": ("true", "–", True),
    "gone": ("–", "{}", True),
  }
  assert not any(one.changed for one in fields(own, None))
