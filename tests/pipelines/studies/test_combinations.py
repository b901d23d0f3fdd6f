"""The study's combinations: which, what they are called, and that each can be built."""

import pytest

from hardmine.pipelines.studies import combinations as study
from hardmine.pipelines.studies.counting import CROP, Counter
from hardmine.schemas.detector_config import RFCNConfig

WIDTH = 1 / 16


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
  for one in study.paper(WIDTH)[::13]:
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
  """Of every network with the fewest and the most proposals, in small pictures."""
  counter, found = Counter(), {}
  for one in study.everything(WIDTH):
    of_one_stage = one.num_proposals is None
    if of_one_stage or (one.resolution_px == 300 and one.num_proposals in (10, 300)):
      found[one.name] = counter.cost(one)
  return found


@pytest.mark.slow
def test_every_network_of_all_combinations_builds(costs):
  networks = {one.network for one in study.everything(WIDTH)}
  built = {one.network for one in study.everything(WIDTH) if one.name in costs}
  assert built == networks
  assert all(cost.parameters > 0 and cost.multiply_adds > 0 for cost in costs.values())


@pytest.mark.slow
def test_fewer_proposals_never_cost_more(costs):
  for name, cost in costs.items():
    network, _, num = name.rpartition("-proposals_")
    if num != "300" or not network:
      continue
    fewer = costs[f"{network}-proposals_10"]
    assert fewer.parameters == cost.parameters
    assert fewer.first_stage == cost.first_stage
    assert fewer.crop_multiply_adds < cost.crop_multiply_adds
    if name.startswith("rfcn"):  # what it does for a proposal is no product
      assert fewer.multiply_adds == cost.multiply_adds
    elif "vgg" not in name:  # which has no second part of a backbone
      assert fewer.multiply_adds < 0.9 * cost.multiply_adds
    assert fewer.multiply_adds <= cost.multiply_adds


@pytest.mark.slow
def test_a_finer_map_and_a_larger_picture_cost_more(costs):
  for name, cost in costs.items():
    larger = name.replace("-300", "-600", 1)
    if larger != name and larger in costs:
      assert costs[larger].multiply_adds > 3 * cost.multiply_adds
      assert costs[larger].parameters == cost.parameters
    finer = name.replace("stride_16", "stride_8")
    if finer != name and finer in costs:
      assert costs[finer].multiply_adds > cost.multiply_adds
      assert costs[finer].parameters == cost.parameters
      assert costs[finer].second_stage.get(CROP) == cost.second_stage.get(CROP)
