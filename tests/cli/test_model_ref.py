"""`hardmine.pipelines.cli.model_ref`: what REF may be."""

from __future__ import annotations

import json

import pytest

from hardmine.pipelines.cli import model_ref
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add

ID = bytes.fromhex("0123456789abcdef")


def make_model(path, model_id=ID, kind="codec"):
  """The files by which a reference is resolved; nothing here loads the graph."""
  (path / "assets.extra").mkdir(parents=True)
  (path / "saved_model.pb").write_bytes(b"")
  facts = json.dumps({"model_id": model_id.hex()})
  (path / "assets.extra" / f"{kind}.json").write_text(facts)
  return path


@pytest.fixture(autouse=True)
def shipped_dir(tmp_path, monkeypatch):
  monkeypatch.setattr(model_ref, "SHIPPED_DIR", tmp_path / "pretrained")
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)
  return tmp_path / "pretrained"


def test_an_exported_folder_is_itself(tmp_path):
  path = make_model(tmp_path / "model")
  assert model_ref.resolve_model(str(path)) == path


def test_the_newest_version_counts_as_a_number(tmp_path):
  for version in ("9", "10", "2"):
    make_model(tmp_path / "pushed" / version)
  (tmp_path / "pushed" / "notes").mkdir()
  assert model_ref.resolve_model(str(tmp_path / "pushed")).name == "10"


def test_a_version_without_its_graph_is_skipped(tmp_path):
  make_model(tmp_path / "pushed" / "1")
  (tmp_path / "pushed" / "2" / "variables").mkdir(parents=True)
  assert model_ref.resolve_model(str(tmp_path / "pushed")).name == "1"


def test_a_shipped_model_is_known_by_name(shipped_dir):
  path = make_model(shipped_dir / "small")
  assert model_ref.resolve_model("small") == path


@pytest.mark.parametrize("content", [[], ["1"], ["x.txt"]])
def test_a_folder_without_a_model_is_refused(tmp_path, content):
  folder = tmp_path / "folder"
  folder.mkdir()
  for name in content:
    (folder / name).mkdir()
  with pytest.raises(ValueError, match=r"saved_model\.pb.*Received: model="):
    model_ref.resolve_model(str(folder))


def test_an_unknown_name_is_refused_with_the_known_ones(shipped_dir):
  make_model(shipped_dir / "small")
  with pytest.raises(ValueError, match=r"shipped one \(small\). Received: model='big'"):
    model_ref.resolve_model("big")


def test_an_alias_or_a_version_of_a_store_is_a_model(tmp_path):
  store = ModelStore(tmp_path / "store")
  for content in "ab":
    add(store, tmp_path, content)
  store.move("production", 1, reason=Reason(who="ann"))
  assert model_ref.resolve_model(f"{store.url}:production") == store.local_dir(1)
  assert model_ref.resolve_model(f"{store.url}:2") == store.local_dir(2)
  assert model_ref.resolve_model(store.url) == store.local_dir(2)
  assert model_ref.resolve_model(f"{store.url}/versions") == store.local_dir(2)
  with pytest.raises(ValueError, match=r"\(production\) or a version \(1, 2\)"):
    model_ref.resolve_model(f"{store.url}:staging")
  with pytest.raises(ValueError, match="an exported detector"):
    model_ref.resolve_model(f"{store.url}:production", "detector")
  with pytest.raises(ValueError, match=r"STORE:ALIAS.*there is none at"):
    model_ref.resolve_model(f"{tmp_path / 'none'}:production")


def test_a_version_of_an_object_store_is_copied_here(tmp_path, monkeypatch):
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  store = ModelStore("memory://bucket/store")
  add(store, tmp_path, "a")
  store.move("production", 1, reason=Reason(who="ann"))
  path = model_ref.resolve_model("memory://bucket/store:production")
  assert path.is_relative_to(tmp_path / "cache")
  assert (path / "saved_model.pb").read_text() == "graph a"


def test_what_was_passed_wins_over_the_environment(tmp_path, monkeypatch):
  first, second = make_model(tmp_path / "a"), make_model(tmp_path / "b")
  monkeypatch.setenv("HARDMINE_MODEL", str(first))
  assert model_ref.choose_model(None) == first
  assert model_ref.choose_model(str(second)) == second


def test_a_stream_finds_the_shipped_model_that_made_it(shipped_dir):
  make_model(shipped_dir / "a", bytes(8))
  path = make_model(shipped_dir / "b")
  assert model_ref.choose_model(None, ID) == path
  with pytest.raises(ValueError, match=f"model {'ff' * 8}: pass --model REF or set"):
    model_ref.choose_model(None, b"\xff" * 8)


def test_of_several_shipped_models_one_is_meant(shipped_dir):
  make_model(shipped_dir / "a_small_one", bytes(8))
  make_model(shipped_dir / "another")
  with pytest.raises(ValueError, match=r"\(a_small_one, another\) none is meant"):
    model_ref.choose_model(None)
  path = make_model(shipped_dir / model_ref.DEFAULTS["codec"])
  assert model_ref.choose_model(None) == path


def test_a_shipped_model_is_found_beside_one_that_was_named(
  tmp_path, shipped_dir, monkeypatch
):
  mine = make_model(tmp_path / "mine", bytes(8))
  shipped = make_model(shipped_dir / "a")
  assert model_ref.choose_model(str(mine), ID) == shipped
  monkeypatch.setenv("HARDMINE_MODEL", str(mine))
  assert model_ref.choose_model(None, ID) == shipped
  assert model_ref.choose_model(None, bytes(8)) == mine
  # of what nobody has, the named one says who it is
  assert model_ref.choose_model(None, b"\xff" * 8) == mine


def test_nothing_named_and_nothing_shipped_says_what_to_pass():
  with pytest.raises(ValueError, match="pass --model REF or set HARDMINE_MODEL"):
    model_ref.choose_model(None)


def test_another_kind_of_model_has_no_id(tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"")
  with pytest.raises(ValueError, match="an exported codec"):
    model_ref.read_model_id(tmp_path)


def test_the_wrong_kind_of_model_is_named(tmp_path, shipped_dir, monkeypatch):
  codec = str(make_model(tmp_path / "codec"))
  detector = str(make_model(tmp_path / "detector", kind="detector"))
  assert str(model_ref.resolve_model(detector, "detector")) == detector
  with pytest.raises(ValueError, match=r"an exported detector.*codec', a codec"):
    model_ref.resolve_model(codec, "detector")
  with pytest.raises(ValueError, match=r"an exported codec.*detector', a detector"):
    model_ref.resolve_model(detector)
  with pytest.raises(ValueError, match="an exported codec"):
    model_ref.read_model_id(tmp_path / "detector")
  monkeypatch.setenv("HARDMINE_MODEL", codec)
  with pytest.raises(ValueError, match="an exported detector"):
    model_ref.choose_model(None, kind="detector")


def test_a_model_of_no_kind_of_ours_is_refused(tmp_path):
  (tmp_path / "saved_model.pb").write_bytes(b"")
  with pytest.raises(ValueError, match=r"a model without assets.extra/detector\.json"):
    model_ref.resolve_model(str(tmp_path), "detector")


def test_shipped_models_are_of_the_wanted_kind(shipped_dir):
  make_model(shipped_dir / "a")
  make_model(shipped_dir / "b", kind="detector")
  assert list(model_ref.shipped_models()) == ["a"]
  assert model_ref.choose_model(None, kind="detector").name == "b"
  assert list(model_ref.shipped_models(None)) == ["a", "b"]
  assert model_ref.resolve_model("b", None).name == "b"
