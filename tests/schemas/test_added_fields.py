"""Fields that join a config later: absent from the JSON while they say nothing new."""

import dataclasses
import json

import pytest

from hardmine.pipelines.experiments import find
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.config import Config, added
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell


@dataclasses.dataclass(frozen=True, kw_only=True)
class First(Config):
  width: int = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Second(Config):
  width: int = 1
  depth: int = added(3)


def test_a_default_leaves_the_json_of_the_version_before():
  assert Second().to_json() == First().to_json()
  assert Second.from_json(First(width=2).to_json()) == Second(width=2)


def test_another_value_is_written_and_read_back():
  config = Second(depth=5)
  assert json.loads(config.to_json()) == {"width": 1, "depth": 5}
  assert Second.from_json(config.to_json()) == config


def test_an_added_field_can_be_overridden_from_its_default_and_back():
  assert Second().override(["depth=7"]) == Second(depth=7)
  assert Second(depth=7).override(["depth=3"]).to_json() == First().to_json()


@pytest.mark.parametrize(
  ("config", "known"),
  [
    (CodecConfig(cell=ConvGRUCell), 7),
    (CodecTrainingConfig(steps=100), 15),
  ],
)
def test_the_recipe_is_off_by_default(config, known):
  # the fields that these configs had when their first model ids were written
  assert len(json.loads(config.to_json())) == known


@pytest.mark.parametrize(
  "settings",
  [
    {"sent_gain": True},  # goes with a linear output
    {"sent_gain": True, "output_activation": "linear", "reconstruction": "one_shot"},
    {"clock": -1},
    {"deep_width": 0.0},
  ],
)
def test_settings_that_do_not_go_together_are_refused(settings):
  with pytest.raises(ValueError, match="Received: "):
    CodecConfig(cell=ConvGRUCell, **settings)


@pytest.mark.parametrize(
  "setting",
  [
    "training.iterations=17",  # the clock knows sixteen
    "evaluation.iterations=17",
    "training.mixed_precision=true",
    "mining.patch_px=48\ncodec.reconstruction=residual_scaling\ncodec.sent_gain=false",
  ],
)
def test_experiments_whose_parts_do_not_fit_are_refused(setting):
  with pytest.raises(ValueError, match="Received: "):
    find("codec_shipped").override(setting.splitlines())


@pytest.mark.parametrize(
  "settings",
  [
    {"schedule": "cosine", "cooldown_steps": 10},
    {"schedule": "stable", "cooldown_steps": 101},
    {"ms_ssim_weight": -1.0},
    {"ema_decay": 1.0},
    {"learning_rate": float("inf")},
    {"seed": -1},
    {"initial_weights": ""},
  ],
)
def test_trainings_that_make_no_sense_are_refused(settings):
  with pytest.raises(ValueError, match="Received: "):
    CodecTrainingConfig(steps=100, **settings)
