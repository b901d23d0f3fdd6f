"""What the Trainer calls, with the recipe on, outside of TFX."""

import json
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.entropy_config import EntropyConfig
from hardmine.schemas.patch_example import Patch, serialize
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.run_fn import run_fn

CODEC = CodecConfig(
  cell=ConvGRUCell, width=1 / 16, sent_gain=True, output_activation="linear", clock=2
)


def write_patches(path, count, seed):
  rng = np.random.default_rng(seed)
  path.parent.mkdir(parents=True)
  options = tf.io.TFRecordOptions(compression_type="GZIP")
  with tf.io.TFRecordWriter(str(path), options) as writer:
    for number in range(count):
      pixels = rng.integers(0, 256, (4, 4, 3), np.uint8).repeat(16, 0).repeat(16, 1)
      writer.write(
        serialize(
          Patch(pixels=pixels, source=str(number), row_px=0, column_px=0, score=100)
        )
      )


def train(tmp_path, name, **settings):
  config = CodecTrainingConfig(
    **{
      "steps": 4,
      "batch_size": 2,
      "iterations": 2,
      "summary_steps": 2,
      "augment": True,
      "ema_decay": 0.5,
      "learning_rate": 1e-2,
      "product_dtype": "bfloat16",
      "ms_ssim_weight": 1.0,
      "log_loss": True,
      **settings,
    }
  )
  run_fn(
    types.SimpleNamespace(
      custom_config={
        "codec": CODEC.to_json(),
        "training": config.to_json(),
        "checkpoint_dir": str(tmp_path / "checkpoints"),
        "entropy_images": [str(tmp_path / "photograph.png")],
      },
      train_files=[str(tmp_path / "train" / "*.gz")],
      eval_files=[str(tmp_path / "eval" / "*.gz")],
      model_run_dir=str(tmp_path / "logs"),
      serving_model_dir=str(tmp_path / name),
    )
  )
  return Codec.load(tmp_path / name)


@pytest.mark.slow
def test_the_recipe_trains_exports_its_average_and_says_where_to_stop(tmp_path):
  write_patches(tmp_path / "train" / "0.gz", 8, seed=0)
  write_patches(tmp_path / "eval" / "0.gz", 3, seed=1)
  pixels = np.linspace(0, 255, 80).astype(np.uint8)[:, None, None]
  Image.fromarray(pixels.repeat(96, 1).repeat(3, 2)).save(tmp_path / "photograph.png")
  entropy = EntropyConfig(steps=4, hidden=4, stages=(), held_out_share=0.0)
  codec = train(tmp_path, "first", entropy=entropy)
  assert codec.entropy_id is not None
  assert codec.facts["num_patches"] == 8
  assert len(codec.facts["held_out_ms_ssim"]) == 2
  assert codec.iterations in (1, 2)
  # finds itself finished, and exports the same average from its checkpoint
  again = train(tmp_path, "again")
  assert again.entropy_id is None
  assert again.model_id == codec.model_id
  # begins where the first one ended: with no step of any size, the same weights
  onwards = train(
    tmp_path, "onwards", initial_weights=str(tmp_path / "first"), learning_rate=1e-30
  )
  assert onwards.model_id == codec.model_id
  assert onwards.entropy_id == codec.entropy_id  # which went along
  training = json.loads(onwards.facts["training"])
  assert training["initial_weights"] == str(tmp_path / "first")
