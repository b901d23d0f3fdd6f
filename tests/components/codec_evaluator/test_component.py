"""The TFX node: what it records and writes, and what it calls an error."""

import json

import numpy as np
import pytest
from PIL import Image
from tfx import v1 as tfx
from tfx.types import standard_artifacts

from hardmine.components.codec_evaluator.component import CodecEvaluator, Executor
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.gates import Gate


def artifact(kind, folder, number):
  made = kind()
  folder.mkdir(parents=True, exist_ok=True)
  made.uri = str(folder)
  made.id = number
  return made


@pytest.fixture
def models(tmp_path):
  return [artifact(standard_artifacts.Model, tmp_path / f"m{n}", n) for n in (7, 8)]


def photographs_in(folder):
  folder.mkdir()
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (170, 180, 3), np.uint8)
  Image.fromarray(pixels).save(folder / "a.png")
  return CodecEvaluationConfig(
    images=(str(folder / "*.png"),),
    iterations=2,
    gates=(Gate(metric="ms_ssim_auc", bound=0.5),),
  )


def test_a_changed_folder_of_test_images_changes_the_nodes_parameters(tmp_path):
  config = photographs_in(tmp_path / "photos")
  model = tfx.dsl.Channel(type=standard_artifacts.Model)
  before = CodecEvaluator(model=model, config=config).exec_properties
  assert CodecEvaluator(model=model, config=config).exec_properties == before
  assert CodecEvaluationConfig.from_json(before["config"]) == config
  (tmp_path / "photos" / "b.png").write_bytes(
    (tmp_path / "photos" / "a.png").read_bytes()
  )
  assert CodecEvaluator(model=model, config=config).exec_properties != before


def test_a_folder_that_holds_no_model_is_not_blessed_and_raises_nothing(
  tmp_path, models
):
  config = photographs_in(tmp_path / "photos")
  outputs = {
    "evaluation": [artifact(standard_artifacts.ModelEvaluation, tmp_path / "e", 1)],
    "blessing": [artifact(standard_artifacts.ModelBlessing, tmp_path / "b", 2)],
  }
  Executor().Do(
    {"model": [models[0]], "baseline_model": []}, outputs, {"config": config.to_json()}
  )
  verdict = json.loads((tmp_path / "e" / "verdict.json").read_text())
  assert verdict["passed"] is False
  assert "saved_model.pb" in verdict["results"][0]["reason"]
  assert (tmp_path / "e" / "report.html").is_file()
  assert (tmp_path / "b" / "NOT_BLESSED").is_file()
  assert outputs["blessing"][0].get_int_custom_property("blessed") == 0


def test_missing_test_images_are_an_error_and_no_verdict(tmp_path, models):
  config = CodecEvaluationConfig(images=(str(tmp_path / "none" / "*.png"),))
  with pytest.raises(ValueError, match="none"):
    Executor().Do({"model": models[:1]}, {}, {"config": config.to_json()})
