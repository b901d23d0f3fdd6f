"""References to a store where a training begins: the version, before anything runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from hardmine.pipelines.cli import model_ref
from hardmine.pipelines.cli.train import _local_weights
from hardmine.pipelines.experiments import find
from hardmine.pipelines.initial_weights import KEY, initial_weights_of, resolved
from hardmine.serving.store.store import ModelStore
from tests.serving.store import fake_models


@pytest.fixture(params=["disk", "bucket"])
def store(request, tmp_path, monkeypatch):
  """Codecs a and b as versions 1 and 2, a detector as 3; `production` is 1."""
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  place = tmp_path / "store"
  url = str(place) if request.param == "disk" else f"memory://bucket{place}"
  found = ModelStore(url)
  for content, kind in (("a", "codec"), ("b", "codec"), ("c", "detector")):
    model = fake_models.write_model(tmp_path / content, content, kind)
    facts = fake_models.facts(content, kind=kind)
    found.add(model, **facts)
  found.move("production", 1, reason=fake_models.by("ann"))
  found.move("detector", 3, reason=fake_models.by("ann"))
  return found


def codec(weights):
  return find("codec_cpu").override([f"training.initial_weights={weights}"])


def test_an_alias_becomes_the_version_that_it_means(store):
  experiment, told = resolved(codec(f"{store.url}:production"))
  assert initial_weights_of(experiment) == f"{store.url}/versions/1"
  assert json.loads(told[KEY]) == {
    "store": store.url,
    "version": 1,
    "digest": store.version(1).digest,
    "model_id": store.version(1).model_id,
  }
  # everything else is as it was
  again = dataclasses.replace(experiment.training, initial_weights=None)
  again = dataclasses.replace(experiment, training=again)
  assert again == find("codec_cpu")


def test_settings_change_when_the_alias_moves_and_not_otherwise(store):
  before = resolved(codec(f"{store.url}:production"))
  assert resolved(codec(f"{store.url}:1")) == before
  store.move("production", 2, reason=fake_models.by("ann"))
  after = resolved(codec(f"{store.url}:production"))
  assert before[0].training.to_json() != after[0].training.to_json()
  assert before[1] != after[1]


@pytest.mark.parametrize("store", ["disk"], indirect=True)
def test_a_store_is_one_however_it_is_spelled(store, tmp_path, monkeypatch):
  (tmp_path / "link").symlink_to(store.url)
  monkeypatch.chdir(tmp_path)
  whole = resolved(codec(f"{store.url}:production"))
  for name in ("store", "./store/", "link", f"{tmp_path}/link/../store"):
    assert resolved(codec(f"{name}:production")) == whole


def test_a_detector_begins_with_a_detector(store):
  experiment = find("ssd_small_set")
  (of_detector,) = [f"detector.initial_weights={store.url}:detector"]
  found, _ = resolved(experiment.override([of_detector]))
  assert found.detector.initial_weights == f"{store.url}/versions/3"


@pytest.mark.parametrize(
  ("name", "match"),
  [
    ("staging", r"alias of .*production.*Received: 'staging'"),
    ("9", r"or a version \(1, 2, 3\)"),
    ("3", "a codec to begin with.*detector"),
  ],
)
def test_what_is_not_there_is_told_in_a_line(store, name, match):
  with pytest.raises(ValueError, match=match) as error:
    resolved(codec(f"{store.url}:{name}"))
  assert "\n" not in str(error.value)


def test_a_version_that_was_removed_is_told(store):
  store.gc(1, reason=fake_models.by("gc"))
  with pytest.raises(ValueError, match="or a version"):
    resolved(codec(f"{store.url}:2"))
  with pytest.raises(ValueError, match=r"model store before the colon"):
    resolved(codec(f"{store.url}x:production"))


def test_a_shipped_model_is_meant_by_its_name(tmp_path, monkeypatch):
  monkeypatch.setattr(model_ref, "SHIPPED_DIR", tmp_path / "pretrained")
  monkeypatch.chdir(tmp_path)
  model = fake_models.write_model(tmp_path / "pretrained" / "small", "a", "codec")
  experiment, told = resolved(codec("small"))
  assert initial_weights_of(experiment) == str(model)
  assert json.loads(told[KEY])["model_id"] == fake_models.model_id("a")
  assert _local_weights("small") == str(model)
  (tmp_path / "small").write_bytes(b"")  # a file of one's own is meant first
  assert initial_weights_of(resolved(codec("small"))[0]) == "small"
  assert _local_weights("small") == "small"


def test_other_weights_stay_as_they_are(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  for weights in ("s3://bucket/model", "s3://bucket/a:b/c"):
    assert resolved(codec(weights)) == (codec(weights), {})
  assert resolved(find("codec_cpu")) == (find("codec_cpu"), {})
  assert resolved(find("ssd_small_set")) == (find("ssd_small_set"), {})
  with pytest.raises(ValueError, match="weights that exist"):
    resolved(codec("weights.npz"))


def test_other_content_in_the_same_place_is_told(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)

  def told(experiment, weights):
    part = "training" if experiment == "codec_cpu" else "detector"
    words = [f"{part}.initial_weights={weights}"]
    return resolved(find(experiment).override(words))[1]

  (tmp_path / "folder").mkdir()
  found = []
  for content in ("a", "b"):
    for name in ("odd:name", "folder/x", "m.ckpt.index", "m.ckpt.data-00000-of-00001"):
      (tmp_path / name).write_text(content)
    found.append(
      [
        told("codec_cpu", "odd:name"),
        told("codec_cpu", "folder"),
        told("ssd_small_set", "folder"),
        told("ssd_small_set", "m.ckpt"),
      ]
    )
  for before, after in zip(*found):
    assert before != after
    assert set(before) == {"initial_weights_sha256"}
  assert len(found[0][3]["initial_weights_sha256"].split()) == 2
  (tmp_path / "weights.npz").write_text("")
  for weights in ("weights.npz", "nothing.ckpt"):
    assert told("ssd_small_set", weights) == {}


def test_a_training_for_days_copies_what_the_alias_means(store):
  found = Path(str(_local_weights(f"{store.url}:production")))
  assert (found / "saved_model.pb").read_text() == "graph a"
  for weights in (None, "weights.npz", "runs/model"):
    assert _local_weights(weights) == weights
  with pytest.raises(ValueError, match="an exported codec"):
    _local_weights(f"{store.url}:detector")
