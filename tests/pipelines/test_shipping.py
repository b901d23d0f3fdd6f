"""The folder of a model that ships, made of weights by one command."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.experiments.codec_demo import photograph
from hardmine.pipelines.shipping import making
from hardmine.pipelines.shipping.card import CARD, render_card
from hardmine.serving.store.contents import DOCUMENTS
from hardmine.trainers.codec.codec import Codec
from tests.trainers.codec.entropy.small_models import small_model

EXPERIMENT = """
from hardmine.pipelines.experiments import codec_small

def experiment():
  return codec_small.experiment().override([
    "name=tiny", "codec.width=0.0625", "codec.clock=2", "training.iterations=2",
    "evaluation.iterations=2", "evaluation.gates.0.bound=0.1",
  ])
"""


@pytest.fixture
def words(tmp_path):
  """Of the command, with weights that need more than float16."""
  from hardmine.pipelines.experiments import find
  from hardmine.trainers.codec.network.model import build_codec
  from hardmine.trainers.codec.network.weights import save_weights

  (tmp_path / "tiny.py").write_text(EXPERIMENT)
  experiment = find(str(tmp_path / "tiny.py"))
  save_weights(tmp_path / "w.npz", build_codec(experiment.codec, seed=3), "float32")
  small_model().save(tmp_path / "e.npz")
  (tmp_path / "log.jsonl").write_text('{"step": 100, "loss": 1.0}\n')
  picture = Image.open(photograph("coffee.png")).convert("RGB")
  for number, name in enumerate(("held_out", "test")):
    box = (100 * number, 0, 100 * number + 176, 176)
    picture.crop(box).save(tmp_path / f"{name}.png")
  return [
    str(tmp_path / "tiny.py"),
    *("--weights", str(tmp_path / "w.npz"), "--entropy", str(tmp_path / "e.npz")),
    *("--log", str(tmp_path / "log.jsonl"), "--test-name", "a cup"),
    *("--held-out", str(tmp_path / "held_out.png")),
    *("--test", str(tmp_path / "test.png")),
    *("--data", "Nobody's.", "--trained", "Not at all."),
    *("--output", str(tmp_path / "tiny")),
  ]


@pytest.mark.slow
def test_a_folder_is_made_of_weights(tmp_path, words):
  assert making.main(words) == 0
  codec = Codec.load(tmp_path / "tiny")
  assert codec.entropy_id == small_model().entropy_id
  image = np.asarray(Image.open(tmp_path / "test.png"))
  assert codec.decompress(codec.compress(image)).shape == image.shape
  documents = {
    name: json.loads((tmp_path / "tiny" / path).read_text())
    for name, path in DOCUMENTS.items()
  }
  assert documents["experiment"]["name"] == "tiny"
  assert documents["metrics"]["num_images"] == 1
  assert documents["verdict"]["passed"]
  log = tmp_path / "tiny" / documents["lineage"]["log"]
  assert log.read_text() == (tmp_path / "log.jsonl").read_text()
  card = (tmp_path / "tiny" / CARD).read_text()
  assert card == render_card(tmp_path / "tiny")
  area = documents["metrics"]["candidate"]["ms_ssim_auc_files"]
  for text in (
    "Nobody's.",
    "Not at all.",
    "a cup",
    codec.model_id.hex(),
    f"{area:.4f}",
  ):
    assert text in card
  with pytest.raises(ValueError, match="does not exist or is empty"):
    making.main(words)
