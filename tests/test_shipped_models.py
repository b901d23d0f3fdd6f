"""The models in the package: whole, small, found by their streams, and as they say."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import model_ref
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import find
from hardmine.pipelines.experiments.codec_demo import photograph
from hardmine.pipelines.shipping.card import CARD, render_card
from hardmine.schemas.exported_model import read_facts
from hardmine.serving.store.contents import DOCUMENTS
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.metrics.ms_ssim import ms_ssim

# Name to MS-SSIM that a photograph nobody trained on keeps at least.
FLOORS = {"codec_shipped": 0.97, "codec_small": 0.93}
MOST_BYTES = 25_000_000
RUNTIMES = ("onnxruntime", "openvino", "tensorflow")


@pytest.fixture(scope="module")
def picture():
  return np.asarray(Image.open(photograph("coffee.png")).convert("RGB"))[:240, 120:360]


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch):
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)


def model_dir(name):
  return model_ref.resolve_model(name)


def document(name, what):
  return json.loads((model_dir(name) / DOCUMENTS[what]).read_text("utf-8"))


def test_these_ship_and_are_small():
  assert set(model_ref.shipped_models(None)) == set(FLOORS)
  files = [path for path in model_ref.SHIPPED_DIR.rglob("*") if path.is_file()]
  assert sum(path.stat().st_size for path in files) <= MOST_BYTES
  assert {path.relative_to(model_ref.SHIPPED_DIR).parts[0] for path in files} == set(
    FLOORS
  )


@pytest.mark.parametrize("name", FLOORS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_photograph_comes_back_on_every_runtime(name, runtime, picture):
  if runtime != "onnxruntime":
    pytest.importorskip(runtime)
  data = Codec.load(model_dir(name), "onnxruntime").compress(picture)
  codec = Codec.load(model_dir(name), runtime)
  assert ms_ssim(picture, codec.decompress(data)) >= FLOORS[name]
  # its own, too, and no larger: there is an entropy model
  own = codec.compress(picture)
  raw = codec.compress(picture, entropy=False)
  assert codec.entropy_id is not None
  assert len(own) < 0.98 * len(raw)
  np.testing.assert_array_equal(codec.decompress(own), codec.decompress(raw))


@pytest.mark.parametrize("name", FLOORS)
def test_the_card_says_what_the_files_say(name):
  assert (model_dir(name) / CARD).read_text("utf-8") == render_card(model_dir(name))
  facts, metrics = read_facts(model_dir(name), "codec"), document(name, "metrics")
  assert facts["model_id"] in metrics["candidate"]["detail"]
  assert metrics["num_images"] == 24
  assert document(name, "verdict")["passed"]


@pytest.mark.parametrize("name", FLOORS)
def test_it_is_the_codec_of_its_experiment(name):
  experiment = find(name)
  facts = read_facts(model_dir(name), "codec")
  assert facts["config"] == json.loads(experiment.codec.to_json())
  assert document(name, "experiment")["codec"] == facts["config"]


@pytest.mark.parametrize("name", FLOORS)
def test_no_file_names_a_folder_of_the_machine_that_made_it(name):
  rooted = re.compile(r"""["' (](/(?!\*)[\w.-]+){2,}""")
  for path in model_dir(name).rglob("*"):
    if path.suffix in (".json", ".jsonl", ".md"):
      assert not rooted.search(path.read_text("utf-8")), path.name


@pytest.mark.parametrize("name", FLOORS)
def test_a_training_may_begin_with_it(name):
  keras_model = pytest.importorskip("hardmine.trainers.codec.network.model")
  from hardmine.trainers.codec.network.weights import load_weights

  codec = keras_model.build_codec(find(name).codec, seed=1)
  load_weights(model_dir(name), codec)
  facts = read_facts(model_dir(name), "codec")
  assert keras_model.model_id(codec).hex() == facts["model_id"]
  assert document(name, "lineage")["num_weights"] == sum(
    weight.size for weight in keras_model.codec_weights(codec)
  )


def test_files_find_the_model_that_made_them(tmp_path, monkeypatch, capsys, picture):
  """Nothing is named, or another one is."""
  monkeypatch.chdir(tmp_path)
  Image.fromarray(picture[:64, :64]).save("photo.png")
  for name in FLOORS:
    words = ["encode", "photo.png", f"{name}.hmc", "--model", name]
    assert main([*words, "--iterations", "2"]) == 0
  assert main(["encode", "photo.png", "--json"]) == 0
  told = json.loads(capsys.readouterr().out.splitlines()[-1])
  assert Path(told["model_dir"]).name == model_ref.DEFAULTS["codec"]
  for number, (name, model) in enumerate(
    [*((name, []) for name in FLOORS)]
    + [(name, ["--model", other]) for name in FLOORS for other in FLOORS]
  ):
    words = ["decode", f"{name}.hmc", f"{number}.png", *model, "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert Path(told["model_dir"]).name == name
