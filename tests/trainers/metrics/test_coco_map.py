"""COCO's metrics: a published example, pycocotools on random sets, and laws."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import pytest

from hardmine.trainers.metrics.coco_map import (
  DetectedBoxes,
  GroundTruth,
  coco_map,
  confusion,
  match,
  read_detections,
  read_ground_truth,
  restricted,
)

SETS = int(os.environ.get("HARDMINE_COCO_SETS", "150"))  # 2,000 take two minutes

PUBLISHED = {
  "AP": 0.505,
  "AP50": 0.697,
  "AP75": 0.573,
  "AP_small": 0.586,
  "AP_medium": 0.519,
  "AP_large": 0.501,
  "AR_1": 0.387,
  "AR_10": 0.594,
  "AR_100": 0.595,
  "AR_small": 0.640,
  "AR_medium": 0.566,
  "AR_large": 0.564,
}


def truth(boxes, *, image=1, category=1, crowd=None, images=(1,), categories=(1,)):
  """A ground truth whose areas are those of its boxes; one id stands for all."""
  boxes = np.array(boxes, np.float64).reshape(-1, 4)
  return GroundTruth(
    image_ids=np.array(images, np.int64),
    category_ids=np.array(categories, np.int64),
    box_image_ids=np.broadcast_to(np.array(image, np.int64), len(boxes)),
    box_category_ids=np.broadcast_to(np.array(category, np.int64), len(boxes)),
    boxes_xywh_px=boxes,
    areas_px=boxes[:, 2] * boxes[:, 3],
    is_crowd=np.zeros(len(boxes), bool) if crowd is None else np.array(crowd, bool),
  )


def found(boxes, scores, *, image=1, category=1):
  boxes = np.array(boxes, np.float64).reshape(-1, 4)
  return DetectedBoxes(
    image_ids=np.broadcast_to(np.array(image, np.int64), len(boxes)),
    category_ids=np.broadcast_to(np.array(category, np.int64), len(boxes)),
    boxes_xywh_px=boxes,
    scores=np.array(scores, np.float64),
  )


def assert_equal(ours, reference, order=slice(None)):
  """To the last bit; `order` is that of our categories among sorted ones."""
  assert list(ours.summary.values()) == reference.stats.tolist()
  curves = reference.eval
  np.testing.assert_array_equal(
    ours.precision, curves["precision"][..., -1][:, :, order]
  )
  np.testing.assert_array_equal(ours.recall, curves["recall"][:, order])


def shuffled(ground_truth, random):
  """The same set with images and categories in another order."""
  return dataclasses.replace(
    ground_truth,
    image_ids=random.permutation(ground_truth.image_ids),
    category_ids=random.permutation(ground_truth.category_ids),
  )


def ranks(ids):
  return np.searchsorted(np.sort(ids), ids)


def test_a_published_example(data_dir):
  folder = data_dir / "coco" / "eval_fixture"
  if not folder.is_dir():
    pytest.skip(f"no {folder}")
  ground_truth = read_ground_truth(folder / "instances_val2014_100.json")
  path = folder / "instances_val2014_fakebbox100_results.json"
  detections = read_detections(path, ground_truth)
  result = coco_map(ground_truth, detections)
  assert {name: round(value, 3) for name, value in result.summary.items()} == PUBLISHED
  assert list(result.summary) == list(PUBLISHED)
  assert ground_truth.category_names[0] == "person"
  person = result.per_category[1]
  assert person["AP"] == pytest.approx(result.precision[:, :, 0, 0].mean())


@pytest.mark.parametrize("seed", range(10))
def test_numbers_are_those_of_pycocotools(random_set, pycocotools, seed):
  boxes = random_set(seed, tied=seed % 2 == 0)
  assert_equal(coco_map(*boxes), pycocotools(*boxes))


@pytest.mark.parametrize("first", range(0, SETS, 50))
def test_unsorted_sets_give_the_same_last_bit(random_set, pycocotools, first):
  for seed in range(first, min(SETS, first + 50)):
    ground_truth, detections = random_set(
      seed, num_images=4, max_detections=12, tied=seed % 2 == 0
    )
    ground_truth = shuffled(ground_truth, np.random.default_rng(seed))
    order = ranks(ground_truth.category_ids)
    reference = pycocotools(ground_truth, detections)
    assert_equal(coco_map(ground_truth, detections), reference, order)


@pytest.mark.parametrize("seed", range(6))
def test_a_part_is_measured_as_pycocotools_does(random_set, pycocotools, seed):
  ground_truth, detections = random_set(seed, tied=seed % 2 == 0)
  random = np.random.default_rng(seed)
  ground_truth = shuffled(ground_truth, random)
  images = random.permutation(ground_truth.image_ids)[: 1 + seed]
  categories = random.permutation(ground_truth.category_ids)[: 1 + seed % 4]
  for wanted, params in (
    ({"image_ids": images}, {"imgIds": images}),
    ({"category_ids": categories}, {"catIds": categories}),
    (
      {"image_ids": images, "category_ids": categories},
      {"imgIds": images, "catIds": categories},
    ),
  ):
    part = restricted(ground_truth, detections, **wanted)
    reference = pycocotools(ground_truth, detections, **params)
    assert_equal(coco_map(*part), reference, ranks(part[0].category_ids))


def test_a_part_keeps_names_beside_their_ids():
  ground_truth = dataclasses.replace(
    truth([[0, 0, 5, 5]], category=3, images=(4, 1), categories=(7, 3, 5)),
    category_names=("dog", "cat", "cow"),
  )
  part, _ = restricted(ground_truth, found([], []), category_ids=np.array([5, 7]))
  assert part.category_ids.tolist() == [7, 5]
  assert part.category_names == ("dog", "cow")
  assert len(part.areas_px) == 0
  with pytest.raises(ValueError, match=r"image ids that.*unknown=\[9\]"):
    restricted(ground_truth, found([], []), image_ids=np.array([4, 9]))


def test_only_the_surest_hundred_of_an_image_and_category_count(
  random_set, pycocotools
):
  ground_truth, detections = random_set(7, num_images=2, max_detections=1500)
  counts = np.unique(
    np.stack([detections.image_ids, detections.category_ids]),
    axis=1,
    return_counts=True,
  )[1]
  assert counts.max() > 100
  assert_equal(
    coco_map(ground_truth, detections), pycocotools(ground_truth, detections)
  )


@pytest.mark.parametrize(
  "detections", [found([], []), found([[0, 0, 5, 5]], [0.5])], ids=["none", "one"]
)
@pytest.mark.parametrize("boxes", [[], [[0, 0, 5, 5]]], ids=["none", "one"])
def test_next_to_nothing_is_measured_as_pycocotools_does(
  pycocotools, boxes, detections
):
  ground_truth = truth(boxes, categories=(1, 5))
  assert_equal(
    coco_map(ground_truth, detections), pycocotools(ground_truth, detections)
  )


def test_categories_keep_their_order(random_set):
  ground_truth, detections = random_set(3)
  backwards = dataclasses.replace(
    ground_truth,
    image_ids=ground_truth.image_ids[::-1],
    category_ids=ground_truth.category_ids[::-1],
  )
  one, other = coco_map(ground_truth, detections), coco_map(backwards, detections)
  np.testing.assert_array_equal(one.precision, other.precision[:, :, ::-1])
  np.testing.assert_array_equal(one.recall, other.recall[:, ::-1])
  assert one.per_category == other.per_category
  np.testing.assert_array_equal(
    confusion(ground_truth, detections)[:-1, :-1],
    confusion(backwards, detections)[-2::-1, -2::-1],
  )


@pytest.mark.parametrize("by_category", [True, False])
@pytest.mark.parametrize("seed", range(4))
def test_matches_are_those_of_pycocotools(random_set, pycocotools, seed, by_category):
  ground_truth, detections = random_set(seed, tied=seed % 2 == 0)
  reference = pycocotools(
    ground_truth,
    detections,
    iouThrs=[0.6],
    areaRng=[[0, 1e10]],
    maxDets=[100],
    useCats=int(by_category),
  )
  box_indices = np.full(len(detections.scores), -1)
  is_ignored = np.ones(len(detections.scores), bool)
  for group in filter(None, reference.evalImgs):
    rows = np.array(group["dtIds"], int) - 1
    box_indices[rows] = group["dtMatches"][0].astype(int) - 1
    is_ignored[rows] = group["dtIgnore"][0]
  if by_category:
    ours = match(ground_truth, detections, iou_threshold=0.6)
    np.testing.assert_array_equal(ours.box_indices, box_indices)
    np.testing.assert_array_equal(ours.is_ignored, is_ignored)
  else:
    ids = ground_truth.category_ids
    table = np.zeros((len(ids) + 1, len(ids)), int)
    for row in np.flatnonzero(~is_ignored):
      true = ground_truth.box_category_ids[box_indices[row]]
      true = np.searchsorted(ids, true) if box_indices[row] >= 0 else -1
      table[true, np.searchsorted(ids, detections.category_ids[row])] += 1
    ours = confusion(ground_truth, detections, iou_threshold=0.6, min_score=0.0)
    np.testing.assert_array_equal(ours[:, :-1], table)


def test_detections_below_the_score_are_ignored():
  matches = match(
    truth([[0, 0, 10, 10]]),
    found([[0, 0, 10, 10], [0, 0, 10, 9], [50, 50, 5, 5]], [0.2, 0.3, 0.9]),
    min_score=0.3,
  )
  assert matches.box_indices.tolist() == [-1, 0, -1]
  assert matches.is_ignored.tolist() == [True, False, False]


@pytest.mark.parametrize("seed", range(3))
def test_perfect_detections_score_one(random_set, seed):
  ground_truth, _ = random_set(seed, crowds=0.0)
  # A box without area has no intersection, not even with itself.
  boxes = np.maximum(ground_truth.boxes_xywh_px, 1)
  ground_truth = dataclasses.replace(ground_truth, boxes_xywh_px=boxes)
  count = len(boxes)
  perfect = DetectedBoxes(
    image_ids=ground_truth.box_image_ids,
    category_ids=ground_truth.box_category_ids,
    boxes_xywh_px=boxes,
    scores=np.arange(count) / count,
  )
  summary = coco_map(ground_truth, perfect).summary
  wrong = {
    name: value
    for name, value in summary.items()
    if name not in ("AR_1", "AR_10") and value != pytest.approx(1)
  }
  assert not wrong


def test_order_of_rows_changes_nothing(random_set):
  ground_truth, detections = random_set(5, tied=False)
  random = np.random.default_rng(0)
  rows = random.permutation(len(ground_truth.areas_px))
  shuffled_truth = dataclasses.replace(
    ground_truth,
    image_ids=random.permutation(ground_truth.image_ids),
    **{
      name: getattr(ground_truth, name)[rows]
      for name in (
        "box_image_ids",
        "box_category_ids",
        "boxes_xywh_px",
        "areas_px",
        "is_crowd",
      )
    },
  )
  rows = random.permutation(len(detections.scores))
  shuffled = DetectedBoxes(
    **{
      field.name: getattr(detections, field.name)[rows]
      for field in dataclasses.fields(detections)
    }
  )
  expected = coco_map(ground_truth, detections)
  assert coco_map(shuffled_truth, shuffled).summary == pytest.approx(expected.summary)


def test_ids_beyond_a_float_are_kept_apart():
  ids = np.array([2**60, 2**60 + 1])
  box = [0, 0, 40, 40]
  ground_truth = truth([box], image=ids[0], images=ids)
  for image, recall in zip(ids, (1, 0)):
    result = coco_map(ground_truth, found([box], [1], image=image))
    assert result.summary["AR_100"] == recall


@pytest.mark.parametrize("seed", range(3))
def test_a_last_false_alarm_never_raises_precision(random_set, seed):
  ground_truth, detections = random_set(seed, tied=False)
  more = DetectedBoxes(
    image_ids=np.append(detections.image_ids, ground_truth.image_ids[1]),
    category_ids=np.append(detections.category_ids, ground_truth.category_ids[0]),
    boxes_xywh_px=np.append(detections.boxes_xywh_px, [[900.0, 900, 50, 50]], axis=0),
    scores=np.append(detections.scores, -1.0),
  )
  before, after = (coco_map(ground_truth, d).precision for d in (detections, more))
  assert (after <= before).all()


@pytest.mark.parametrize("seed", range(3))
def test_rows_of_the_confusion_sum_to_the_boxes(random_set, seed):
  ground_truth, detections = random_set(seed)
  table = confusion(ground_truth, detections)
  for row, category in enumerate(ground_truth.category_ids):
    boxes = (ground_truth.box_category_ids == category) & ~ground_truth.is_crowd
    assert table[row].sum() == boxes.sum()
  assert table[-1, -1] == 0


def test_confusion_by_hand():
  cat, dog, sky, crowd = [0, 0, 9, 9], [20, 0, 9, 9], [40, 0, 9, 9], [60, 0, 99, 99]
  ground_truth = truth(
    [cat, dog, [20, 0, 9, 8], crowd],
    category=[3, 7, 7, 3],
    crowd=[False, False, False, True],
    categories=(7, 3),
  )
  table = confusion(
    ground_truth,
    found(
      [cat, dog, sky, [70, 9, 9, 9], cat],
      [0.9, 0.8, 0.7, 0.6, 0.1],
      category=[3, 3, 7, 7, 7],
    ),
  )
  # A dog is called a cat, the other dog is missed, a dog is seen in the sky; what
  # lies in the crowd, and what is below the score, does not count.
  assert table.tolist() == [[0, 1, 1], [0, 1, 0], [1, 0, 0]]


@pytest.mark.parametrize(
  ("detections", "text"),
  [
    (found([[0, 0, 5, 5]] * 2, [1, 1], image=[1, 9]), "image.*index=1, image_id=9"),
    (found([[0, 0, 5, 5]], [1], category=4), "category.*category_id=4, image_id=1"),
  ],
)
@pytest.mark.parametrize("function", [coco_map, match, confusion])
def test_foreign_detections_are_refused(function, detections, text):
  with pytest.raises(ValueError, match=text):
    function(truth([[0, 0, 5, 5]]), detections)


@pytest.mark.parametrize("iou_threshold", [0, 1.1, float("nan")])
def test_a_threshold_out_of_range_is_refused(iou_threshold):
  with pytest.raises(ValueError, match="iou_threshold"):
    match(truth([]), found([], []), iou_threshold=iou_threshold)
