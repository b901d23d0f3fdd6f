"""What a mining job may be asked for, and how it is written down."""

import pytest

from hardmine.schemas.mining_config import MiningConfig

DEFAULT = (
  '{"eval_share": 0.1, "images": ["*"], "max_dead_share": 0.1, '
  '"max_pixels": 200000000, "max_side_px": null, "num_shards": 4, '
  '"per_image": 100, "recipe": "hard"}'
)


def test_a_config_without_the_later_settings_is_written_as_before_them():
  assert MiningConfig(images=("*",)).to_json() == DEFAULT
  assert MiningConfig.from_json(DEFAULT) == MiningConfig(images=("*",))


def test_side_and_reductions_survive_json_and_overrides():
  config = MiningConfig(images=("*",), patch_px=64, reductions=(1, 2, 4))
  assert MiningConfig.from_json(config.to_json()) == config
  words = ["patch_px=64", "reductions=[1, 2, 4]"]
  assert MiningConfig(images=("*",)).override(words) == config


@pytest.mark.parametrize("patch_px", [0, 8, 40, 272, -16])
def test_a_side_that_no_codec_could_use_is_refused(patch_px):
  with pytest.raises(ValueError, match=f"Received: patch_px={patch_px}"):
    MiningConfig(images=("*",), patch_px=patch_px)


@pytest.mark.parametrize("reductions", [(), (0,), (1, -2), (1, 2, 1)])
def test_reductions_that_make_no_sense_are_refused(reductions):
  with pytest.raises(ValueError, match="Received: reductions="):
    MiningConfig(images=("*",), reductions=reductions)


def test_whole_photographs_as_patches_have_no_reductions():
  with pytest.raises(ValueError, match=r"recipe 'resize'. Received: reductions="):
    MiningConfig(images=("*",), recipe="resize", reductions=(1, 2))


def test_the_largest_side_must_hold_a_patch():
  assert MiningConfig(images=("*",), patch_px=64, max_side_px=64).max_side_px == 64
  with pytest.raises(ValueError, match="max_side_px >= 64"):
    MiningConfig(images=("*",), patch_px=64, max_side_px=63)
