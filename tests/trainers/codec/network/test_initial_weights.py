"""A codec that begins with an exported one, on a disk or in a bucket."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.folders import folder
from hardmine.trainers import saved_model
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.network.weights import load_weights

CONFIG = CodecConfig(cell=ConvGRUCell, width=1 / 16)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
  """A codec, without the graphs that serve it; and its network."""
  codec = build_codec(CONFIG, seed=3)
  module = tf.Module()
  module.codec = codec
  place = tmp_path_factory.mktemp("store") / "versions" / "2"
  facts = {"config": json.loads(CONFIG.to_json()), "model_id": "0" * 16}
  saved_model.save(module, {}, place, "codec", facts)
  return place, codec


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_a_version_of_a_store_gives_all_weights(exported, kind):
  place, theirs = exported
  source = str(place)
  if kind == "bucket":
    bucket = folder(f"memory://bucket{place}")
    for path in filter(Path.is_file, Path(place).rglob("*")):
      bucket.write(str(path.relative_to(place)), path.read_bytes())
    source = bucket.url
  ours = build_codec(CONFIG, seed=4)
  load_weights(source, ours)
  for one, other in zip(ours.trainable_variables, theirs.trainable_variables):
    np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


def test_another_width_is_refused_in_one_line(exported):
  place, _ = exported
  ours = build_codec(CodecConfig(cell=ConvGRUCell, width=1 / 8))
  with pytest.raises(ValueError, match=r"differing=\['width'\]") as error:
    load_weights(str(place), ours)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize("source", ["/gone/versions/3", "memory://gone/versions/3"])
def test_a_version_that_is_gone_is_told(source):
  with pytest.raises(
    ValueError, match=r"weights that exist|an exported codec"
  ) as error:
    load_weights(source, build_codec(CONFIG))
  assert source in str(error.value)
