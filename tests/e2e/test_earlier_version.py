"""What hardmine 0.1.0 wrote, read and used by the code of today.

`tests/fixtures/version_0_1/README.md` says how those files came about.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.experiments import find
from hardmine.schemas.class_names import import_class
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.exported_model import read_facts
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.promotion import promote, rollback
from hardmine.serving.store.signing import verify_signature
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.exports.export import export_codec
from hardmine.trainers.codec.network.model import build_codec, model_id

EARLIER = Path(__file__).parents[1] / "fixtures" / "version_0_1"
VERSIONS = (1, 2, 3)
MODEL_IDS = {
  1: "f3d9d1cecc4ba086",
  2: "b7625f6c7a04068f",
  3: "27d87bfa948dc1c8",
}
CODECS = json.loads((EARLIER / "codecs.json").read_text("utf-8"))
EXPERIMENTS = sorted(path.stem for path in (EARLIER / "experiments").glob("*.json"))


def unpack(folder: Path) -> ModelStore:
  shutil.unpack_archive(EARLIER / "store.tar.xz", folder)
  return ModelStore(folder / "store")


@pytest.fixture
def store(tmp_path):
  return unpack(tmp_path)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory):
  """The store for tests that only read it."""
  return unpack(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
  return request.param


@pytest.fixture(scope="module")
def codec(untouched, version):
  return Codec.load(untouched.local_dir(version))


def pixels(name: str) -> np.ndarray:
  return np.asarray(Image.open(EARLIER / name).convert("RGB"))


def stream(version: int) -> bytes:
  return (EARLIER / f"stream-{version}.hmc").read_bytes()


def facts(store: ModelStore, version: int) -> dict:
  return read_facts(store.local_dir(version), "codec")


def assert_same_picture(picture: np.ndarray, expected: np.ndarray) -> None:
  """Equal but for rounding.

  Float sums differ in their last bits between processors and versions of TensorFlow,
  here by 0.0001 of a grey level, so a value in the middle between two levels may become
  the other one. Of 6,720 values that is one or two.
  """
  apart = np.abs(picture.astype(int) - expected.astype(int))
  assert apart.max() <= 1
  assert np.mean(apart > 0) < 0.001


def test_an_earlier_store_is_listed(untouched, capsys):
  assert main(["models", "list", "--json", "--store", untouched.url]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["aliases"] == {"candidate": 3, "production": 2}
  assert [
    (one["number"], one["aliases"], one["model_id"], one["passed"])
    for one in answer["versions"]
  ] == [
    (3, ["candidate"], MODEL_IDS[3], True),
    (2, ["production"], MODEL_IDS[2], True),
    (1, [], MODEL_IDS[1], True),
  ]
  assert {one["kind"] for one in answer["versions"]} == {"codec"}


def test_an_earlier_log_is_read_whole(untouched):
  moves = [
    (entry.action, entry.alias, entry.from_version, entry.to_version)
    for entry in untouched.audit()
  ]
  assert moves == [
    ("add", None, None, 1),
    ("promote", "candidate", None, 1),
    ("promote", "production", None, 1),
    ("add", None, None, 2),
    ("promote", "candidate", 1, 2),
    ("sign", None, None, 2),
    ("promote", "production", 1, 2),
    ("add", None, None, 3),
    ("promote", "candidate", 2, 3),
  ]
  lines = Path(untouched.url, "audit.jsonl").read_text("utf-8").splitlines()
  assert [entry.to_plain() for entry in untouched.audit()] == list(
    map(json.loads, lines)
  )


def test_an_earlier_store_verifies(untouched, capsys):
  assert main(["models", "verify", "--store", untouched.url]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines == [f"version {number}: as it was added" for number in VERSIONS]


def test_an_earlier_signature_holds(untouched):
  key = verify_signature(untouched, 2, [EARLIER / "key.pub"])
  assert [key] == list(untouched.signatures(2))


def test_an_earlier_stream_decodes_to_its_picture(codec, version):
  picture = codec.decompress(stream(version))
  assert_same_picture(picture, pixels(f"decoded-{version}.png"))


def test_an_earlier_model_encodes_to_the_same_stream(codec, version):
  assert codec.compress(pixels("picture.png")) == stream(version)


@pytest.mark.slow
def test_earlier_weights_are_the_same_codec_in_the_network_of_today(
  untouched, version, tmp_path
):
  earlier = facts(untouched, version)
  config = CodecConfig.from_json(json.dumps(earlier["config"]))
  codec = build_codec(config, json.loads(earlier["training"])["iterations"])
  set_weights(codec, weights(untouched.local_dir(version)))
  assert model_id(codec).hex() == MODEL_IDS[version]
  export_codec(codec, tmp_path / "model", training=earlier["training"])
  again = Codec.load(tmp_path / "model")
  assert again.facts["config"] == earlier["config"]
  assert again.compress(pixels("picture.png")) == stream(version)
  picture = again.decompress(stream(version))
  assert_same_picture(picture, pixels(f"decoded-{version}.png"))


def weights(model_dir: Path) -> list[np.ndarray]:
  """Those of an earlier SavedModel, in the order that its id was made in."""
  module = tf.saved_model.load(str(model_dir))  # without it the variables are gone
  found = []
  for half in (module.codec.encoder, module.codec.decoder):
    found.append(half.stem._kernel)
    for cell in half.cells:
      found += [cell.input_kernel, cell.gates_kernel, cell.candidate_kernel]
    found.append(half.head._kernel)
  gain_layers = getattr(module.codec.reconstruction, "gain_layers", ())
  found += [layer._kernel for layer in gain_layers]
  return [kernel.numpy() for kernel in found]


def set_weights(codec, values: list[np.ndarray]) -> None:
  assert [tuple(w.shape) for w in codec.trainable_weights] == [v.shape for v in values]
  for weight, value in zip(codec.trainable_weights, values):
    weight.assign(value)


@pytest.mark.slow
def test_earlier_versions_are_promoted_and_rolled_back(store):
  """Each is asked in a sub-process, as a person's `promote` does."""
  back = rollback(store, "production", reason=Reason(who="ann"))
  assert (back.from_version, back.to_version, back.moved) == (2, 1, True)
  for reference, before in ((2, 1), ("candidate", 2)):
    done = promote(
      store, reference, "production", reason=Reason(who="ann"), if_current=before
    )
    assert done.moved
    assert [check.name for check in done.checks if check.passed] == [
      "files",
      "verdict",
      "newer",
      "numbers",
      "answers",
    ]
    (difference,) = done.differences
    assert difference.metric == "ms_ssim_auc"
    assert difference.gain > 0
  assert store.aliases() == {"candidate": 3, "production": 3}
  assert [entry.action for entry in store.audit()[9:]] == [
    "rollback",
    "promote",
    "promote",
  ]
  for number in VERSIONS:
    store.verify(number)


def test_an_earlier_model_is_not_added_twice(store, version):
  one = store.version(version)
  number = store.add(
    store.local_dir(version),
    kind=one.kind,
    model_id=one.model_id,
    experiment=one.experiment,
    metrics=one.metrics,
    verdict=one.verdict,
    lineage={"run_id": "a later one"},
    reason=Reason(who="ann"),
  )
  assert number == version
  assert store.versions() == list(VERSIONS)


def test_settings_of_an_earlier_version_keep_their_text(untouched, version):
  earlier = facts(untouched, version)
  for kind, text in (
    (CodecConfig, json.dumps(earlier["config"], sort_keys=True)),
    (CodecTrainingConfig, earlier["training"]),
    (
      CodecExperiment,
      json.dumps(untouched.version(version).experiment, sort_keys=True),
    ),
  ):
    assert kind.from_json(text).to_json() == text


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_a_shipped_experiment_keeps_its_text(name):
  """Byte for byte: caches and checkpoints are found by it."""
  text = (EARLIER / "experiments" / f"{name}.json").read_text("utf-8")
  experiment = find(name)
  assert type(experiment).from_json(text).to_json() == text
  if name != "codec_demo":  # which begins with a shipped model now
    assert experiment.to_json() == text


@pytest.mark.parametrize("earlier", CODECS, ids=lambda earlier: earlier["model_id"])
def test_a_codec_keeps_its_id(earlier):
  """Of weights that count, as draws from a seed may differ between Keras versions."""
  plain = json.loads(earlier["config"])
  config = CodecConfig(
    cell=import_class(plain["cell"]),
    reconstruction=plain["reconstruction"],
    width=1 / 16,
  )
  assert config.to_json() == earlier["config"]
  assert CodecConfig.from_json(earlier["config"]) == config
  codec = build_codec(config)
  shapes = [tuple(weight.shape) for weight in codec.trainable_weights]
  counting = [
    np.arange(start, start + np.prod(shape)).astype("float32").reshape(shape)
    for start, shape in enumerate(shapes)
  ]
  set_weights(codec, counting)
  assert model_id(codec).hex() == earlier["model_id"]
