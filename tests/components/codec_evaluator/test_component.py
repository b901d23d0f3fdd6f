"""The TFX node: what it records, and that TFX's own parts understand its blessing."""

import json

import numpy as np
import pytest
from PIL import Image
from tfx import v1 as tfx
from tfx.components.pusher import executor as pusher_executor
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
  LatestBlessedModelStrategy,
)
from tfx.types import standard_artifacts

from hardmine.components.codec_evaluator.component import CodecEvaluator
from hardmine.components.codec_evaluator.executor import Executor, bless
from hardmine.components.codec_evaluator.mined_patches import hardest
from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.gates import Gate
from hardmine.schemas.patch_example import Patch, to_example


def artifact(kind, folder, number):
  made = kind()
  folder.mkdir(parents=True, exist_ok=True)
  made.uri = str(folder)
  made.id = number
  return made


def blessing_of(tmp_path, model, passed, number=90):
  made = artifact(standard_artifacts.ModelBlessing, tmp_path / str(number), number)
  bless(made, passed=passed, model=model)
  return made


@pytest.fixture
def models(tmp_path):
  return [artifact(standard_artifacts.Model, tmp_path / f"m{n}", n) for n in (7, 8)]


def test_the_stock_resolver_finds_the_latest_blessed_model(tmp_path, models):
  blessings = [
    blessing_of(tmp_path, models[0], True, 90),
    blessing_of(tmp_path, models[1], False, 91),
  ]
  found = LatestBlessedModelStrategy().resolve_artifacts(
    None, {"model": list(models), "model_blessing": blessings}
  )
  assert found["model"] == [models[0]]
  assert found["model_blessing"] == [blessings[0]]


@pytest.mark.parametrize("passed", [True, False])
def test_the_stock_pusher_obeys_the_blessing(tmp_path, models, passed):
  made = blessing_of(tmp_path, models[0], passed)
  pusher = pusher_executor.Executor()
  assert pusher.CheckBlessing({"model_blessing": [made]}) is passed
  files = [path.name for path in (tmp_path / "90").iterdir()]
  assert files == ["BLESSED" if passed else "NOT_BLESSED"]


def test_the_blessing_names_the_rival(tmp_path, models):
  made = artifact(standard_artifacts.ModelBlessing, tmp_path / "b", 90)
  bless(made, passed=True, model=models[1], rival=models[0])
  assert made.get_int_custom_property("current_model_id") == 8
  assert made.get_string_custom_property("current_model") == models[1].uri
  assert made.get_int_custom_property("baseline_model_id") == 7
  assert made.get_string_custom_property("baseline_model") == models[0].uri


def photographs_in(folder):
  folder.mkdir()
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (40, 52, 3), np.uint8)
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


def test_the_contact_sheet_takes_the_hardest_patches_of_all_shards(tmp_path):
  scores = np.random.default_rng(0).permutation(30)
  for shard in range(3):
    records = [
      to_example(
        Patch(
          pixels=np.full((32, 32, 3), score, np.uint8),
          source="a",
          row_px=0,
          column_px=0,
          score=int(score),
        )
      ).SerializeToString()
      for score in scores[shard::3]
    ]
    write_records(tmp_path / f"data_tfrecord-0000{shard}-of-00003.gz", records)
  best = hardest(tmp_path, 5)
  assert [patch.score for patch in best] == [29, 28, 27, 26, 25]
  assert (best[0].pixels == 29).all()


def test_the_contact_sheet_takes_patches_of_any_side(tmp_path):
  patch = Patch(
    pixels=np.full((64, 64, 3), 7, np.uint8),
    source="a",
    row_px=64,
    column_px=0,
    score=9,
    reduction=2,
  )
  write_records(tmp_path / "patches.gz", [to_example(patch).SerializeToString()])
  (found,) = hardest(tmp_path)
  assert found.pixels.shape == (64, 64, 3)
  assert found.reduction == 2
