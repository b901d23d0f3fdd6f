"""Measuring and judging, with detectors whose results are known beforehand."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardmine.components.detection_evaluator.annotated_set import (
  AnnotatedSet,
  SplitRecords,
)
from hardmine.components.detection_evaluator.evaluate import evaluate
from hardmine.components.detection_evaluator.images_ranked import (
  best_and_worst,
  count_by_image,
)
from hardmine.components.detection_evaluator.measurement import measure_detector
from hardmine.components.detection_evaluator.report import write_evaluation
from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.gates import Gate, Verdict
from hardmine.trainers.detection.detector import Detections
from hardmine.trainers.metrics.coco_map import (
  coco_map,
  read_detections,
  read_ground_truth,
)

BOUND = Gate(metric="AP", bound=0.5)
BETTER = Gate(metric="AP", min_improvement=0.0)


@pytest.fixture(scope="module")
def categories(fakes):
  return fakes.categories(4, step=3)


@pytest.fixture(scope="module")
def images(fakes, categories):
  return [fakes.image(index, categories, num=1 + index % 4) for index in range(8)]


@pytest.fixture(scope="module")
def run(fakes, images, categories):
  def run(gates=(BOUND,), rival=None, shown=images, known=categories, **faults):
    return evaluate(
      lambda: fakes.Detector(shown, known, **faults),
      shown,
      categories,
      gates=gates,
      load_rival=rival and (lambda: fakes.Detector(shown, categories, **rival)),
      num_shown=2,
    )

  return run


def test_who_finds_exactly_what_is_there_gets_everything(run):
  evaluation = run(gates=(BOUND, BETTER))
  assert evaluation.verdict.passed
  metrics = evaluation.metrics()
  for name in ("AP", "AP50", "AP75", "AR_10", "AR_100"):
    assert metrics[name] == pytest.approx(1)
  assert all(one["AP"] == pytest.approx(1) for one in metrics["per_category"])
  assert metrics["num_images"] == 8
  assert metrics["num_objects"] == metrics["num_detections"] == 20
  assert metrics["latency_seconds"] > 0
  assert np.trace(evaluation.confusion) == evaluation.confusion.sum() == 20
  assert "no blessed model" in evaluation.verdict.results[1].reason


def test_who_finds_nothing_gets_nothing(run):
  evaluation = run(share=0.0)
  assert not evaluation.verdict.passed
  assert evaluation.verdict.results[0].value == evaluation.metrics()["AP"] == 0
  assert evaluation.confusion[:, -1].sum() == 20


def test_boxes_that_are_a_little_off_lose_at_the_strict_thresholds(run):
  metrics = run(shift_px=3).metrics()
  assert metrics["AP50"] > metrics["AP75"]
  assert 0 < metrics["AP"] < 1


def test_the_rival_is_measured_on_the_same_images(run):
  worse = run(gates=(BETTER,), share=0.5, rival={"share": 1.0})
  assert not worse.verdict.passed
  assert worse.verdict.results[0].baseline == pytest.approx(1)
  assert "worse" in worse.verdict.results[0].reason
  better = run(gates=(BETTER,), rival={"share": 0.5})
  assert better.verdict.passed
  assert better.metrics()["baseline_model"]["AP"] < better.metrics()["AP"]


@pytest.mark.parametrize("fault", ["load", "run", "boxes", "scores"])
def test_a_model_that_fails_is_not_blessed_and_the_verdict_says_why(
  fault, fakes, images, categories, tmp_path
):
  class Broken(fakes.Detector):
    def detect(self, image):
      if fault == "run":
        raise FloatingPointError("the network gave NaN")
      return Detections(
        boxes_yxyx_px=np.array([[9, 9, 5, 5 if fault == "boxes" else 20]], np.float32),
        scores=np.array([0.5 if fault == "boxes" else np.nan], np.float32),
        category_ids=np.array(categories.ids[:1]),
      )

  def load():
    if fault == "load":
      raise ValueError("Expected a folder with saved_model.pb")
    return Broken(images, categories)

  evaluation = evaluate(load, images, categories, gates=(BOUND,))
  assert not evaluation.verdict.passed
  why = {
    "load": "saved_model.pb",
    "run": "FloatingPointError: the network",
    "boxes": "widths and heights of 0 or more",
    "scores": "ValueError",
  }[fault]
  assert why in evaluation.verdict.results[0].reason
  write_evaluation(tmp_path, evaluation)
  assert why in (tmp_path / "verdict.json").read_text()
  assert why in (tmp_path / "report.html").read_text()
  assert "AP" not in json.loads((tmp_path / "metrics.json").read_text())
  assert json.loads((tmp_path / "detections.json").read_text()) == []


def test_a_comparison_does_not_pass_because_the_blessed_model_fails(
  fakes, images, categories
):
  def broken():
    raise RuntimeError("gone")

  def judged(gate):
    return evaluate(
      lambda: fakes.Detector(images, categories),
      images,
      categories,
      gates=(gate,),
      load_rival=broken,
    ).verdict

  with pytest.raises(RuntimeError, match="last blessed model could not be measured"):
    judged(BETTER)
  assert judged(BOUND).passed  # which asks nothing of the blessed model


def test_no_gate_blesses_nothing(run):
  assert not run(gates=()).verdict.passed


def test_what_could_not_be_measured_passes_no_gate(run, fakes, categories):
  empty = [fakes.image(index, categories, num=0) for index in range(3)]
  evaluation = run(gates=(Gate(metric="AP", bound=-1.0),), shown=empty)
  assert evaluation.metrics()["AP"] == -1
  assert not evaluation.verdict.passed
  assert "AP was not measured" in evaluation.verdict.results[0].reason


def test_a_split_without_images_is_an_error(categories):
  with pytest.raises(ValueError, match="num_images=0"):
    evaluate(lambda: None, [], categories, gates=())


def test_a_model_of_other_categories_is_refused(run, fakes, categories):
  renamed = fakes.categories(4, step=3).override([])
  renamed = type(renamed)(
    categories=(
      *renamed.categories[:3],
      type(renamed.categories[0])(id=12, name="sheep"),
    )
  )
  assert "category 12 to be 'kind 4'" in run(known=renamed).problems[0]
  foreign = type(renamed)(categories=(type(renamed.categories[0])(id=99, name="x"),))
  assert "at least one category" in run(known=foreign).problems[0]


def test_categories_that_only_the_model_has_are_left_out(fakes, images, categories):
  more = fakes.categories(5, step=3)
  data = AnnotatedSet.of(images, categories)
  detector = fakes.Detector(images, more, false=20)
  measured = measure_detector(detector, data, "it")
  assert 0 < measured.num_left_out < 8 * 20
  assert len(measured.detections.scores) == 20 + 8 * 20 - measured.num_left_out
  assert set(measured.detections.category_ids) <= set(categories.ids)


def test_truth_is_in_pixels_and_without_crowds(fakes, categories):
  image = fakes.image(3, categories, num=3, crowds=1)
  data = AnnotatedSet.of([image], categories)
  assert data.num_objects == 2
  np.testing.assert_array_equal(data.truth.is_crowd, [True, False, False])
  ymin, xmin, ymax, xmax = image.boxes_yxyx_norm[1].astype(np.float64)
  np.testing.assert_allclose(
    data.truth.boxes_xywh_px[1],
    [
      xmin * image.width_px,
      ymin * image.height_px,
      (xmax - xmin) * image.width_px,
      (ymax - ymin) * image.height_px,
    ],
    rtol=1e-12,
  )


def test_image_ids_are_the_data_sets_own_where_they_can_be(fakes, categories):
  def ids(*sources):
    images = [
      type(made)(**{**vars(made), "source_id": source})
      for index, source in enumerate(sources)
      for made in [fakes.image(index, categories, num=1)]
    ]
    return AnnotatedSet.of(images, categories).truth.image_ids.tolist()

  assert ids("139", "7") == [139, 7]
  assert ids("139", "raccoon-1") == [1, 2]
  assert ids("139", "139") == [1, 2]


def test_the_numbers_can_be_computed_again_from_the_files(run, tmp_path):
  evaluation = run(share=0.8, false=3, shift_px=2, mistaken=0.2)
  write_evaluation(tmp_path, evaluation)
  truth = read_ground_truth(tmp_path / "annotations.json")
  again = coco_map(truth, read_detections(tmp_path / "detections.json", truth))
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert 0 < metrics["AP"] < 1
  for name, value in again.summary.items():
    assert metrics[name] == value
  verdict = Verdict.from_json((tmp_path / "verdict.json").read_text())
  assert verdict == evaluation.verdict


def test_counts_by_image_add_up(run, images):
  evaluation = run(share=0.7, false=4, mistaken=0.3)
  counts = count_by_image(evaluation.data, evaluation.candidate, 0.3)
  objects = [int((image.is_crowd == 0).sum()) for image in images]
  np.testing.assert_array_equal(counts.found + counts.missed, objects)
  shown = (evaluation.candidate.detections.scores >= 0.3).sum()
  assert counts.found.sum() + counts.false.sum() == shown
  assert ((counts.f1 >= 0) & (counts.f1 <= 1)).all()
  perfect = run()
  assert (count_by_image(perfect.data, perfect.candidate, 0.3).f1 == 1).all()


def test_best_and_worst_images_are_different_ones(run, fakes, categories):
  evaluation = run(share=0.6, false=1)
  best, worst = evaluation.best, evaluation.worst
  assert len(best) == len(worst) == 2
  assert best[0].f1 >= best[1].f1 >= worst[1].f1 >= worst[0].f1
  assert not {one.name for one in best} & {one.name for one in worst}
  assert all((one.scores >= 0.3).all() for one in (*best, *worst))
  single = run(shown=[fakes.image(0, categories, num=1)])
  assert (len(single.best), len(single.worst)) == (0, 1)
  empty = run(shown=[fakes.image(0, categories, num=0)])
  assert best_and_worst(empty.data, empty.candidate, num_shown=3, min_score=0.3) == (
    (),
    (),
  )


def test_records_are_read_anew_by_every_loop(images, tmp_path):
  for shard in range(2):
    records = [serialize(image) for image in images[shard::2]]
    write_records(tmp_path / f"coco-0000{shard}-of-00002.gz", records)
  split = SplitRecords(tmp_path)
  names = [image.filename for image in split]
  assert sorted(names) == sorted(image.filename for image in images)
  assert [image.filename for image in split] == names
  assert [one.filename for one in SplitRecords(tmp_path, max_images=3)] == names[:3]
