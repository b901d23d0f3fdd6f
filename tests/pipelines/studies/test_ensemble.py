"""A study of detectors together, with detectors whose faults are made up."""

from __future__ import annotations

import dataclasses
import json
import zlib
from typing import Any

import numpy as np
import pytest

from hardmine.pipelines.studies import ensemble_page, ensemble_tables, tables
from hardmine.pipelines.studies.ensemble import Model, Study, recipes
from hardmine.pipelines.studies.gains import gain
from hardmine.pipelines.studies.passes import Passes
from hardmine.pipelines.studies.records import Records
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.ensemble_config import EnsembleConfig, Views
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.detection.ensembles.ensemble import Ensemble
from hardmine.trainers.detection.inputs.annotated_set import AnnotatedSet, pixels_of
from hardmine.trainers.metrics.coco_map import coco_map
from tests.trainers.detection.rectangles import CATEGORIES, rectangle

NUM = 12
DATA = AnnotatedSet.of([rectangle(index) for index in range(NUM)], CATEGORIES)


class Careless:
  """Finds the rectangle, but not quite, and something else besides."""

  categories: Any = CATEGORIES

  def __init__(self, number, error_px=4.0):
    self.model_id = bytes([number] * 8)
    self._number, self._error_px = number, error_px
    self.num_calls = 0

  def detect(self, image):
    self.num_calls += 1
    rng = np.random.default_rng([self._number, zlib.crc32(image.tobytes())])
    height, width = image.shape[:2]
    rows, columns = np.nonzero(image.max(axis=2) > 200)
    boxes, labels = [], []
    if len(rows):
      box = [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1]
      boxes.append(np.array(box) + rng.normal(0, self._error_px, 4))
      labels.append(int(image[rows[0], columns[0], 2] > 200))
    corner = rng.uniform(0, 30, 2)
    boxes.append(np.hstack([corner, corner + 15]))
    labels.append(int(rng.integers(2)))
    found = np.clip(boxes, 0, [height, width] * 2).astype(np.float32)
    found[:, 2:] = np.maximum(found[:, 2:], found[:, :2])
    ids = self.categories.ids
    return Detections(
      boxes_yxyx_px=found,
      scores=rng.uniform(0.4, 0.9, len(found)).astype(np.float32),
      category_ids=np.array([ids[label % len(ids)] for label in labels]),
    )


class Broken(Careless):
  def detect(self, image):
    raise RuntimeError("no such kernel")


class OfPlants(Careless):
  categories = Categories(categories=(Category(id=3, name="plant"),))


def model(name, detector):
  return Model(name=name, folder=f"/models/{name}", detector=detector, runtime="none")


def some():
  found = [model(f"m{i}", Careless(i)) for i in range(1, 4)]
  return [*found, model("bad", Careless(9, 14.0))]


def studied(folder, models, crops=2, flip=True, size=5, similarity=1.0):
  records = Records(folder, "ensemble")
  study = Study(
    DATA, Passes(DATA, "data", records, None), recipes(crops, flip), 0.55, 0.5
  )
  with records.held():
    return study, study.run(models, size, similarity, lambda: None)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A study of all models, done once: its folder, the models, it, what it found."""
  folder, models = tmp_path_factory.mktemp("study"), some()
  return folder, models, *studied(folder, models)


def test_models_whose_faults_differ_are_better_together(whole):
  _, _, study, outcome = whole
  assert [step.name for step in outcome.steps][-1] == "bad"
  assert len(outcome.chosen.names) >= 3
  assert outcome.chosen.choosing["AP"] > outcome.single.choosing["AP"] + 0.05
  found = gain(DATA.truth, outcome.single, outcome.chosen, study.judging)
  assert found["AP"]["after"] > found["AP"]["before"] + 0.05
  assert found["AP"]["low"] < found["AP"]["after"] - found["AP"]["before"]
  assert found["AP"]["high"] > found["AP"]["low"] > 0


def test_every_image_chooses_or_judges_and_names_alone_decide(whole):
  study = whole[2]
  both = np.concatenate([study.choosing, study.judging])
  assert sorted(both.tolist()) == DATA.truth.image_ids.tolist()
  again = Study(DATA, None, recipes(1, False), 0.55, 0.5)
  np.testing.assert_array_equal(again.judging, study.judging)


def test_rows_say_what_the_detectors_of_the_file_find(whole):
  """What is written is measured; what uses it gives the same answers."""
  folder, models, _, outcome = whole
  config = ensemble_tables.config(outcome, models, folder, 0.55)
  assert EnsembleConfig.from_json(config.to_file()) == config
  by_id = {one.detector.model_id.hex(): one.detector for one in models}
  together = Ensemble(
    [by_id[one.model_id] for one in config.members],
    [one.weight for one in config.members],
    config.views,
    config.iou_threshold,
  )
  found = [together.detect(pixels_of(image)) for image in DATA.images]
  boxes = outcome.chosen.boxes
  np.testing.assert_allclose(
    np.concatenate([one.scores for one in found]), boxes.scores, atol=1e-6
  )
  np.testing.assert_array_equal(
    np.concatenate([one.category_ids for one in found]), boxes.category_ids
  )
  yxyx = np.concatenate([one.boxes_yxyx_px for one in found])
  np.testing.assert_allclose(yxyx[:, [1, 0]], boxes.boxes_xywh_px[:, :2], atol=1e-4)
  assert together.num_passes == outcome.chosen.num_passes


def test_rows_are_all_models_in_all_views_and_the_ensemble(whole):
  _, models, _, outcome = whole
  rows = ensemble_tables.flat(outcome)
  titles = ["whole picture", "flip", "2x2 crops", "2x2 crops and flip"]
  assert [row["views"] for row in rows] == titles * (len(models) + 1)
  assert [row["passes"] for row in rows[:4]] == [1, 2, 5, 10]
  members = len(outcome.chosen.names)
  assert [row["passes"] for row in rows[-4:]] == [members * n for n in (1, 2, 5, 10)]
  assert [row["name"] for row in rows if row["chosen"]] == ["ensemble"]
  best = max(rows[-4:], key=lambda row: row["AP_choosing"])
  assert best["chosen"]
  # one model in one view is what a measurement of it gives
  first = next(one for one in models if one.name == rows[0]["name"])
  assert rows[0]["AP"] == outcome.single.judging["AP"]
  own = [first.detector.detect(pixels_of(image)) for image in DATA.images]
  scores = np.concatenate([np.sort(one.scores)[::-1] for one in own])
  np.testing.assert_allclose(outcome.single.boxes.scores, scores, rtol=1e-6)
  assert coco_map(DATA.truth, outcome.single.boxes).summary["AP"] > 0


def test_it_goes_on_where_it_stopped(tmp_path):
  first, second = some()[:2]
  studied(tmp_path, [first], flip=False)
  assert first.detector.num_calls == NUM * 5
  studied(tmp_path, [first], flip=False)
  assert first.detector.num_calls == NUM * 5
  studied(tmp_path, [first, second], crops=1)
  assert first.detector.num_calls == NUM * 6
  assert second.detector.num_calls == NUM * 2


def test_the_order_of_models_changes_nothing(whole):
  folder, models, _, first = whole
  _, other = studied(folder, models[::-1])
  assert other.steps == first.steps
  assert other.chosen.judging == first.chosen.judging


def test_one_model_alone_may_gain_by_its_views(tmp_path):
  _, outcome = studied(tmp_path, some()[:1], crops=1)
  assert [row.names for row in outcome.rows] == [("m1",)] * 2
  assert outcome.chosen.choosing["AP"] == max(r.choosing["AP"] for r in outcome.rows)
  assert outcome.chosen.views == Views(flip=True)


@pytest.mark.parametrize(
  ("crops", "flip", "passes"),
  [(1, False, [1]), (1, True, [1, 2]), (2, False, [1, 5]), (3, True, [1, 2, 10, 20])],
)
def test_only_views_that_are_allowed_are_tried(crops, flip, passes):
  assert [views.num_passes for views in recipes(crops, flip)] == passes


def test_a_model_that_fails_is_a_line_and_no_end(tmp_path):
  models = [*some()[:2], model("broken", Broken(7)), model("plants", OfPlants(8))]
  _, outcome = studied(tmp_path, models, crops=1, flip=False)
  assert outcome.problems == {
    "broken": "no such kernel",
    "plants": "it has no category of the annotations (red, blue)",
  }
  assert {row.names[0] for row in outcome.rows} == {"m1", "m2"}
  with pytest.raises(RuntimeError, match="broken: no such kernel"):
    studied(tmp_path, models[2:3], crops=1)


def test_too_few_images_are_said_before_anything_runs():
  one = AnnotatedSet.of([rectangle(0)], CATEGORIES)
  with pytest.raises(ValueError, match="at least two annotated images"):
    Study(one, None, recipes(1, False), 0.55, 0.5)
  empty = dataclasses.replace(
    rectangle(1),
    boxes_yxyx_norm=np.zeros((0, 4), np.float32),
    names=(),
    **{
      name: getattr(rectangle(1), name)[:0]
      for name in ("labels", "is_crowd", "areas_px", "category_ids", "annotation_ids")
    },
  )
  data = AnnotatedSet.of([rectangle(0), empty], CATEGORIES)
  with pytest.raises(ValueError, match="objects to be found in the"):
    Study(data, None, recipes(1, False), 0.55, 0.5)


def test_tables_and_page_hold_every_number(whole):
  _, _, study, outcome = whole
  rows = ensemble_tables.flat(outcome)
  facts = {
    "machine": {"processor": "<it>"},
    "num_threads": 2,
    "data": {
      "counts": {"images": 16, "used": 16, "objects": 16, "dead": 0, "skipped": 0}
    },
    "num_choosing": len(study.choosing),
    "num_judging": len(study.judging),
    "choice": ensemble_tables.steps(outcome),
    "gain": gain(DATA.truth, outcome.single, outcome.chosen, study.judging),
    "settings": {"similarity": 1.0, "iou_threshold": 0.55},
    "problems": {"broken": "no such kernel"},
    "environment": {"numpy": "1"},
    "command": "hardmine study ensemble",
  }
  assert json.loads(tables.to_json(rows, facts))["rows"] == rows
  heads, cells = ensemble_tables.shown(rows)
  markdown = tables.markdown_table(heads, cells)
  assert len(markdown.splitlines()) == len(rows) + 2
  page = ensemble_page.render(rows, facts)
  for row in rows:
    assert f"{row['AP']:.3f}" in page
    assert f"{row['AP']:.3f}" in markdown
  assert "Broken: no such kernel" in page
  assert "&lt;it&gt;" in page
  assert page.count("<svg") >= 2
  assert "<script" not in page
  assert "over the best model alone" in ensemble_tables.told(facts["gain"])
