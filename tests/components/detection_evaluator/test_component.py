"""The TFX node: its files and blessing, whatever the model is like."""

import json

import pytest
from tfx import v1 as tfx
from tfx.types import artifact_utils, standard_artifacts

from hardmine.components.detection_evaluator.component import (
  DetectionEvaluator,
  Detector,
  Executor,
)
from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.categories import CATEGORIES_NAME
from hardmine.schemas.coco_example import serialize
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.gates import Gate

CONFIG = DetectionEvaluationConfig(gates=(Gate(metric="AP50", bound=0.9),))


def artifact(kind, folder, number):
  made = kind()
  folder.mkdir(parents=True, exist_ok=True)
  made.uri = str(folder)
  made.id = number
  return made


@pytest.fixture
def detector(fakes):
  """Knows three annotated images."""
  categories = fakes.categories(2)
  images = [fakes.image(index, categories, num=2) for index in range(3)]
  return fakes.Detector(images, categories)


@pytest.fixture
def examples(detector, tmp_path):
  """Its images in the split `eval`, as CocoGen lays them out."""
  made = artifact(standard_artifacts.Examples, tmp_path / "examples", 4)
  made.split_names = artifact_utils.encode_split_names(["eval", "train"])
  (tmp_path / "examples" / CATEGORIES_NAME).write_text(detector.categories.to_file())
  write_records(
    tmp_path / "examples" / "Split-eval" / "data-00000-of-00001.gz",
    [serialize(image) for image in detector.known.values()],
  )
  return made


@pytest.fixture
def do(tmp_path, examples):
  """Runs the executor; returns the two output artifacts."""

  def do(config=CONFIG, rival=False):
    model = artifact(standard_artifacts.Model, tmp_path / "model", 7)
    rivals = [artifact(standard_artifacts.Model, tmp_path / "rival", 6)] * rival
    outputs = {
      "evaluation": [artifact(standard_artifacts.ModelEvaluation, tmp_path / "e", 1)],
      "blessing": [artifact(standard_artifacts.ModelBlessing, tmp_path / "b", 2)],
    }
    Executor().Do(
      {"model": [model], "examples": [examples], "baseline_model": rivals},
      outputs,
      {"config": config.to_json()},
    )
    return outputs["evaluation"][0], outputs["blessing"][0]

  return do


def test_a_good_model_is_blessed_with_all_files(do, detector, tmp_path, monkeypatch):
  monkeypatch.setattr(Detector, "load", lambda *_: detector)
  _, blessing = do()
  assert sorted(path.name for path in (tmp_path / "e").iterdir()) == [
    "annotations.json",
    "detections.json",
    "metrics.json",
    "report.html",
    "verdict.json",
  ]
  assert json.loads((tmp_path / "e" / "metrics.json").read_text())["AP50"] == 1
  assert (tmp_path / "b" / "BLESSED").is_file()
  assert blessing.get_int_custom_property("current_model_id") == 7
  assert "artifact 4" in (tmp_path / "e" / "report.html").read_text()


def test_a_folder_that_holds_no_model_is_not_blessed_and_raises_nothing(do, tmp_path):
  _, blessing = do(rival=True)
  verdict = json.loads((tmp_path / "e" / "verdict.json").read_text())
  assert verdict["passed"] is False
  assert "saved_model.pb" in verdict["results"][0]["reason"]
  assert (tmp_path / "b" / "NOT_BLESSED").is_file()
  assert blessing.get_int_custom_property("blessed") == 0
  assert blessing.get_int_custom_property("baseline_model_id") == 6


def test_a_split_that_is_missing_is_an_error_and_no_verdict(do):
  with pytest.raises(ValueError, match="test"):
    do(DetectionEvaluationConfig(split="test"))


def test_examples_without_categories_are_an_error(do, tmp_path):
  (tmp_path / "examples" / CATEGORIES_NAME).unlink()
  with pytest.raises(RuntimeError, match="convert the images again"):
    do()


def test_the_node_records_its_whole_config():
  model = tfx.dsl.Channel(type=standard_artifacts.Model)
  examples = tfx.dsl.Channel(type=standard_artifacts.Examples)
  node = DetectionEvaluator(model=model, examples=examples, config=CONFIG)
  recorded = node.exec_properties["config"]
  assert DetectionEvaluationConfig.from_json(recorded) == CONFIG
  assert set(node.outputs) == {"evaluation", "blessing"}
