"""The study's combinations: which, what they are called, and that each can be built."""

import json
from pathlib import Path

import pytest

from hardmine.pipelines.studies import combinations as study
from hardmine.pipelines.studies import documentation
from hardmine.pipelines.studies.made_parts import END
from hardmine.schemas.detector_config import RFCNConfig


def by_name(found):
  return {one.name: one for one in found}


def test_the_paper_has_147():
  found = study.paper()
  assert len(found) == len(by_name(found)) == 147
  kinds = [one.meta_architecture for one in found]
  counts = {kind: kinds.count(kind) for kind in study.META_ARCHITECTURES}
  assert counts == {"faster_rcnn": 80, "rfcn": 60, "ssd": 7}


def test_all_choices_hold_those_of_the_paper():
  found = by_name(study.everything())
  assert by_name(study.paper()).keys() < found.keys()
  pairs = {(one.meta_architecture, one.feature_extractor) for one in found.values()}
  assert len(pairs) == 18


def test_a_name_says_what_is_built():
  one = by_name(study.paper())["rfcn-resnet_101-stride_8-600-proposals_50"]
  assert isinstance(one.config, RFCNConfig)
  assert one.config.feature_extractor.__name__ == "ResNet101"
  assert one.output_stride == one.config.output_stride == 8
  assert one.size_px == (600, 600)
  assert one.num_proposals == one.config.proposals.max_proposals == 50


def test_it_survives_a_trip_to_another_process():
  for one in study.paper(1 / 16)[::13]:
    assert study.Combination.of(one.plain()) == one


def test_patterns_choose_in_the_order_of_the_study():
  found = study.paper()
  names = [one.name for one in study.chosen(found, ["ssd*", "*-proposals_20"])]
  assert names == [one.name for one in found if one.name in set(names)]
  assert len(names) == 7 + (80 + 60) // 5


def test_a_pattern_without_a_match_is_refused():
  with pytest.raises(ValueError, match="only='yolo"):
    study.chosen(study.paper(), ["ssd*", "yolo*"])


def test_networks_are_told_apart_by_what_has_weights():
  networks = {}
  for one in study.everything():
    networks.setdefault(one.network, []).append(one)
  assert len(networks) == 8 + 8 + 12
  for group in networks.values():
    assert len({one.config.feature_extractor for one in group}) == 1
    assert len({one.output_stride for one in group}) == 1


@pytest.fixture(scope="module")
def costs():
  """Of all combinations, at width 1; built for their shapes they take no memory."""
  return {row["name"]: row for row in documentation.costs()}


@pytest.mark.slow
def test_every_combination_builds(costs):
  assert len(costs) == 172
  assert [row["problem"] for row in costs.values() if row["problem"]] == []
  assert all(row["parameters"] and row["multiply_adds"] for row in costs.values())


@pytest.mark.slow
def test_fewer_proposals_never_cost_more(costs):
  for name, row in costs.items():
    network, _, num = name.rpartition("-proposals_")
    if not network or num == "10":
      continue
    fewer = costs[f"{network}-proposals_10"]
    assert fewer["parameters"] == row["parameters"]
    assert fewer["multiply_adds"] <= row["multiply_adds"]
    assert fewer["crop_multiply_adds"] < row["crop_multiply_adds"]
    if network.startswith("rfcn"):  # what it does for a proposal is no product
      assert fewer["multiply_adds"] == row["multiply_adds"]
    elif num == "300" and "vgg" not in network:  # which has no more of a backbone
      assert row["multiply_adds"] > 1.1 * fewer["multiply_adds"]


@pytest.mark.slow
def test_a_finer_map_and_a_larger_picture_cost_more(costs):
  compared = 0
  for name, row in costs.items():
    for change in (("-300", "-600"), ("stride_16", "stride_8")):
      dearer = costs.get(name.replace(*change, 1))
      if dearer is not None and dearer is not row:
        compared += 1
        assert dearer["multiply_adds"] > row["multiply_adds"]
        assert dearer["parameters"] == row["parameters"]
        assert dearer["crop_multiply_adds"] == row["crop_multiply_adds"]
  assert compared == 86 + 2 * 2 * 2 * 5


@pytest.mark.slow
def test_the_frontier_has_the_order_of_the_paper(costs):
  def cost(kind, extractor, rest="-stride_16-600-proposals_300"):
    return costs[f"{kind}-{extractor}{rest}"]["multiply_adds"]

  light, heavy = "mobilenet_v1", "inception_resnet_v2"
  for kind in ("faster_rcnn", "rfcn"):
    others = [cost(kind, one) for one in study.EXTRACTORS if one != light]
    assert cost(kind, light) < min(others)
  assert cost("faster_rcnn", heavy) == max(
    cost("faster_rcnn", one) for one in study.EXTRACTORS
  )
  for extractor in ("inception_v2", "resnet_101", heavy):
    of_ssd = cost("ssd", extractor, "-600")
    assert of_ssd < cost("rfcn", extractor) < cost("faster_rcnn", extractor)


@pytest.mark.slow
def test_the_documentation_says_what_is_counted(costs):
  page = Path(__file__).resolve().parents[3] / "docs" / "choose_a_detector.md"
  text = page.read_text("utf-8")
  made = text.partition(documentation.BEGIN)[2].partition(END)[0]
  rows = list(costs.values())
  again = "python -m hardmine.pipelines.studies.documentation docs/choose_a_detector.md"
  assert made.strip() == documentation.block(rows).strip(), again
  for name, picture in documentation.pictures(rows).items():
    path = page.with_name(f"{page.stem}_{name}.svg")
    assert path.read_text("utf-8") == picture, again
    assert path.name in text


def a_table():
  """Of a study that measured every pair once; ms tell the pairs apart."""
  rows = [
    {
      "feature_extractor": extractor,
      "meta_architecture": kind,
      "resolution_px": 300,
      "multiply_adds": 10**9,
      "ms": 10.0 * (1 + number) + place,
    }
    for number, kind in enumerate(("ssd", "rfcn", "faster_rcnn"))
    for place, extractor in enumerate(study.EXTRACTORS)
  ]
  return {
    "runtimes": ["onnxruntime"],
    "environment": {"onnxruntime": "1.2.3"},
    "machine": {"processor": "abacus", "num_processors": 2},
    "num_threads": 1,
    "rows": rows,
  }


def test_measured_times_become_a_part_of_a_page(tmp_path):
  page = tmp_path / "page.md"
  page.write_text(f"a\n{documentation.BEGIN_TIMES}\nold\n{END}\nb\n{END}\n", "utf-8")
  (tmp_path / "table.json").write_text(json.dumps(a_table()), "utf-8")
  documentation.main(str(page), str(tmp_path))
  text = page.read_text("utf-8")
  assert text.startswith("a\n")
  assert text.endswith(f"{END}\nb\n{END}\n")
  assert "old" not in text
  assert "1 of 2 processors (abacus), onnxruntime 1.2.3, 300 px" in text
  assert "| VGG-16 | 10 (100) | 20 (50) | 30 (33) |" in text
  assert "* R-FCN: VGG-16, MobileNet v1, Inception V2, Inception V3, ResNet-101" in text
  assert "* ResNet-101: SSD, R-FCN, Faster R-CNN" in text


def test_times_of_some_pairs_alone_are_no_table():
  table = a_table()
  del table["rows"][0]
  with pytest.raises(ValueError, match="ssd on vgg_16"):
    documentation.times(table)
