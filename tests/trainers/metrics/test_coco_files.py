"""COCO files and their columns: what is read, and every way they are refused."""

from __future__ import annotations

import copy
import dataclasses
import json

import numpy as np
import pytest

from hardmine.trainers.metrics.coco_map import (
  DetectedBoxes,
  read_detections,
  read_ground_truth,
)

INSTANCES = {
  "images": [{"id": 139, "width": 640, "height": 426}, {"id": 42}],
  "categories": [{"id": 18, "name": "dog"}, {"id": 1, "name": "person"}],
  "annotations": [
    {"id": 7, "image_id": 42, "category_id": 1, "bbox": [1, 2.5, 3, 4], "area": 9.5},
    {
      "id": 8,
      "image_id": 42,
      "category_id": 18,
      "bbox": [0, 0, 50, 0],
      "area": 100,
      "iscrowd": 1,
      "segmentation": {"counts": [1], "size": [1, 1]},
    },
  ],
}
RESULTS = [
  {"image_id": 139, "category_id": 18, "bbox": [1.5, -2, 3, 4], "score": 0.25},
  {"image_id": 42, "category_id": 1, "bbox": [0, 0, 5, 5], "score": 1},
]


@pytest.fixture
def write(tmp_path):
  def write_file(content):
    path = tmp_path / "boxes.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path

  return write_file


def changed(content, where, value):
  """A deep copy with one place set, or taken out for the value `...`."""
  content = copy.deepcopy(content)
  node = content
  for key in where[:-1]:
    node = node[key]
  if value is ...:
    del node[where[-1]]
  else:
    node[where[-1]] = value
  return content


def test_a_ground_truth_is_read(write):
  ground_truth = read_ground_truth(write(INSTANCES))
  assert ground_truth.image_ids.tolist() == [139, 42]
  assert ground_truth.category_ids.tolist() == [18, 1]
  assert ground_truth.category_names == ("dog", "person")
  assert ground_truth.box_image_ids.tolist() == [42, 42]
  assert ground_truth.box_category_ids.tolist() == [1, 18]
  assert ground_truth.boxes_xywh_px.tolist() == [[1, 2.5, 3, 4], [0, 0, 50, 0]]
  assert ground_truth.areas_px.tolist() == [9.5, 100]
  assert ground_truth.is_crowd.tolist() == [False, True]


def test_detections_are_read(write):
  ground_truth = read_ground_truth(write(INSTANCES))
  detections = read_detections(write(RESULTS), ground_truth)
  assert detections.image_ids.tolist() == [139, 42]
  assert detections.category_ids.tolist() == [18, 1]
  assert detections.boxes_xywh_px.tolist() == [[1.5, -2, 3, 4], [0, 0, 5, 5]]
  assert detections.scores.tolist() == [0.25, 1]


def test_what_tools_add_to_detections_does_not_count(write):
  more = {"id": "a", "area": -1, "iscrowd": "no", "segmentation": []}
  assert len(read_detections(write([{**RESULTS[0], **more}])).scores) == 1


def test_nothing_is_no_error(write):
  ground_truth = read_ground_truth(write({key: [] for key in INSTANCES}))
  assert ground_truth.boxes_xywh_px.shape == (0, 4)
  assert read_detections(write([])).boxes_xywh_px.shape == (0, 4)


@pytest.mark.parametrize(
  ("where", "value", "text"),
  [
    (["images"], ..., "no images"),
    (["categories"], {}, "lists images, annotations, categories. Received: dict as"),
    (["images", 1], 42, r"images\[1\]: .*42 is not an object"),
    (["images", 1, "id"], ..., r"images\[1\]: .*without id"),
    (["images", 1, "id"], 139, r"images\[1\]: Expected unique ids.*139"),
    (["categories", 1, "id"], 18, r"categories\[1\]: Expected unique ids.*18"),
    (["annotations", 0, "image_id"], 43, r"\[0\] of image 43: Expected an image"),
    (["annotations", 0, "category_id"], 2, r"\[0\] of image 42: Expected a category"),
    (["annotations", 0, "category_id"], "1", "category_id '1' is not a whole number:"),
    (["annotations", 0, "category_id"], 1.5, "category_id 1.5 is not a whole number"),
    (["annotations", 0, "bbox"], ..., r"\[0\] of image 42: .*without bbox"),
    (["annotations", 1, "bbox"], [0, 0, 1, -1], r"\[1\] of image 42: .*-1\]"),
    (["annotations", 1, "bbox"], [0, 0, 1], r"is not \[x, y, width, height\]"),
    (["annotations", 1, "bbox", 2], float("nan"), "bbox .*: nan is not a finite"),
    (["annotations", 1, "bbox", 2], 10**400, r"bbox .*: 10+\.\.\. is not a finite"),
    (["annotations", 1, "area"], -1, "area -1 is below 0"),
    (["annotations", 1, "iscrowd"], 2, "iscrowd 2 is neither 0 nor 1"),
  ],
)
def test_a_bad_ground_truth_is_refused(write, where, value, text):
  path = write(changed(INSTANCES, where, value))
  with pytest.raises(ValueError, match=text) as error:
    read_ground_truth(path)
  assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
  ("where", "value", "text"),
  [
    ([0], None, r"detections\[0\]: .*None is not an object"),
    ([1, "image_id"], 5, r"detections\[1\] of image 5: Expected an image"),
    ([1, "category_id"], 5, r"detections\[1\] of image 42: Expected a category"),
    ([1, "score"], ..., "without score"),
    ([1, "score"], None, "without score"),
    ([1, "score"], float("nan"), "score nan is not a finite number"),
    ([1, "score"], True, "score True is not a finite number"),
    ([1, "bbox"], [0, 0, -0.5, 1], "0 or more"),
    ([1, "image_id"], 2**70, r"image_id \d+ is not a whole number"),
  ],
)
def test_bad_detections_are_refused(write, where, value, text):
  ground_truth = read_ground_truth(write(INSTANCES))
  path = write(changed(RESULTS, where, value))
  with pytest.raises(ValueError, match=text) as error:
    read_detections(path, ground_truth)
  assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize("read", [read_ground_truth, read_detections])
@pytest.mark.parametrize("content", ["", "[", "\x80", "3", '"words"'])
def test_other_files_are_refused(write, read, content):
  with pytest.raises(ValueError, match=r"boxes\.json: Expected"):
    read(write(content))


def test_files_in_each_others_place_are_refused(write):
  with pytest.raises(ValueError, match=r"Expected '\{' at character 0"):
    read_ground_truth(write(RESULTS))
  with pytest.raises(ValueError, match=r"a list of detections\. Received: dict"):
    read_detections(write(INSTANCES))


@pytest.mark.parametrize(
  ("change", "text"),
  [
    ({"image_ids": np.array([1, 1])}, "unique image_ids.*duplicate=1"),
    ({"category_ids": [1]}, "category_ids as integers.*'list'"),
    ({"box_image_ids": np.array([42, 2])}, "an image of.*index=1, image_id=2"),
    ({"box_image_ids": np.array([42])}, r"box_image_ids as integers \[2\]"),
    ({"box_category_ids": np.ones(2)}, "box_category_ids as integers"),
    ({"boxes_xywh_px": -np.ones((2, 4))}, "widths and heights of 0 or more"),
    ({"boxes_xywh_px": np.zeros((2, 3))}, r"boxes_xywh_px as floats \[any, 4\]"),
    ({"areas_px": np.array([0, np.nan])}, "finite areas_px.*index=1"),
    ({"is_crowd": np.array([0, 1])}, "is_crowd as booleans"),
    ({"category_names": ("a",)}, "2 category_names"),
  ],
)
def test_columns_that_do_not_fit_are_refused(write, change, text):
  ground_truth = read_ground_truth(write(INSTANCES))
  with pytest.raises(ValueError, match=text):
    dataclasses.replace(ground_truth, **change)


@pytest.mark.parametrize(
  ("scores", "text"), [([0, np.inf], "finite scores"), ([0.5], "scores as floats")]
)
def test_scores_that_do_not_fit_are_refused(scores, text):
  ids = np.array([1, 2])
  with pytest.raises(ValueError, match=text):
    DetectedBoxes(
      image_ids=ids,
      category_ids=ids,
      boxes_xywh_px=np.zeros((2, 4)),
      scores=np.array(scores, float),
    )
