"""Versions, aliases and the log, of stores in folders and in object stores."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import pytest

from hardmine.serving.store.contents import DOCUMENTS
from hardmine.serving.store.entries import Conflict
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by, facts, write_model
from tests.serving.store.object_store import PROTOCOL


def test_nothing_is_made_before_the_first_add(store, tmp_path):
  assert not store.exists()
  assert store.versions() == []
  assert store.aliases() == {}
  assert store.audit() == []
  assert store.gc(1) == []
  with pytest.raises(ValueError, match="Expected a model store that holds something"):
    store.resolve("production")
  assert not (tmp_path / "store").exists()


def test_a_version_is_what_was_added(store, tmp_path):
  assert add(store, tmp_path, "a") == 1
  assert add(store, tmp_path, "b", kind="detector") == 2
  one, two = store.version(1), store.version(2)
  given = facts("a")
  assert store.versions() == [1, 2]
  assert (one.kind, one.model_id) == ("codec", given["model_id"])
  assert two.kind == "detector"
  for name in ("experiment", "metrics", "verdict", "lineage"):
    assert getattr(one, name) == given[name]
  assert one.numbers == {"ms_ssim_auc": 1.5, "num_images": 3}
  assert one.created_at.startswith("20")
  assert len(one.digest) == 64
  assert one.digest != two.digest
  folder = store.local_dir(1)
  size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
  manifest = (folder / "assets.extra" / "manifest.json").stat().st_size
  assert one.num_bytes == size - manifest
  store.verify(1)


def test_serving_finds_integer_folders_and_nothing_else(local_store, tmp_path):
  add(local_store, tmp_path, "a")
  assert os.listdir(tmp_path / "store" / "versions") == ["1"]
  assert (tmp_path / "store" / "versions" / "1" / "saved_model.pb").is_file()
  assert os.listdir(tmp_path / "store" / ".staging") == []


def test_the_same_model_is_a_version_once(store, tmp_path):
  assert add(store, tmp_path, "a") == 1
  assert add(store, tmp_path, "b") == 2
  assert add(store, tmp_path, "a") == 1
  again = {**facts("a"), "lineage": {"run_id": "another"}}
  assert store.add(write_model(tmp_path / "again", "a"), **again) == 1
  assert len(store.audit()) == 2


def test_other_metrics_of_the_same_model_are_another_version(store, tmp_path):
  assert add(store, tmp_path, "a") == 1
  assert add(store, tmp_path, "a", area=1.6) == 2


def test_what_a_store_wrote_can_be_added_to_another(store, tmp_path):
  add(store, tmp_path, "a")
  other = ModelStore(tmp_path / "other")
  number = other.add(store.local_dir(1), **facts("a"))
  assert other.version(number).digest == store.version(1).digest


def test_aliases_move_and_the_log_says_so(store, tmp_path):
  add(store, tmp_path, "a")
  add(store, tmp_path, "b")
  first = store.move("production", 1, reason=by("ann", "first"))
  urgent = {"override": "it is urgent", "details": {}}
  second = store.move("production", 2, reason=by("bob"), **urgent)
  again = store.move("production", 2, reason=by("cid"))
  assert (first.from_version, first.to_version, first.already) == (None, 1, False)
  assert (second.from_version, second.to_version) == (1, 2)
  assert again.already
  assert again.entry is None
  assert store.aliases() == {"production": 2}
  log = store.audit()
  assert [entry.action for entry in log] == ["add", "add", "promote", "promote"]
  assert log[-1] == second.entry
  assert log[-1].override == "it is urgent"
  assert log[-1].digest == store.version(2).digest
  removed = store.move("production", None, reason=by("ann"))
  assert removed.entry is not None
  assert removed.entry.action == "remove"
  assert store.aliases() == {}


def test_references_are_aliases_or_numbers(store, tmp_path):
  add(store, tmp_path, "a")
  store.move("production", 1, reason=by("ann"))
  for reference in ("production", "1", 1):
    assert store.resolve(reference) == 1
  with pytest.raises(ValueError, match=r"\(production\) or a version \(1\)"):
    store.resolve("2")
  with pytest.raises(ValueError, match=r"Expected a version of .* \(1 to 1\)"):
    store.version(2)


def test_the_loser_of_a_race_learns_who_won(store, tmp_path):
  add(store, tmp_path, "a")
  add(store, tmp_path, "b")
  add(store, tmp_path, "c")
  store.move("production", 1, reason=by("ann"), if_current=None)
  store.move("production", 2, reason=by("bob"), if_current=1)
  with pytest.raises(Conflict, match="production is version 2, moved by bob at 20"):
    store.move("production", 3, reason=by("cid"), if_current=1)
  with pytest.raises(Conflict, match="and not nothing"):
    store.move("production", 3, reason=by("cid"), if_current=None)
  assert store.aliases() == {"production": 2}
  assert len(store.audit()) == 5


@pytest.mark.parametrize("alias", ["", "A", "../x", "a/b", ".x", "7", "a b", "ä"])
def test_names_that_are_no_aliases_are_refused(store, tmp_path, alias):
  add(store, tmp_path, "a")
  with pytest.raises(ValueError, match="an alias of a-z"):
    store.move(alias, 1, reason=by("ann"))


def test_gc_keeps_the_newest_and_what_aliases_hold(store, tmp_path):
  for content in "abcde":
    add(store, tmp_path, content)
  store.move("production", 2, reason=by("ann"))
  assert store.gc(2, dry_run=True) == [1, 3]
  assert store.versions() == [1, 2, 3, 4, 5]
  assert store.gc(2, reason=by("ann")) == [1, 3]
  assert store.versions() == [2, 4, 5]
  assert [entry.from_version for entry in store.audit() if entry.action == "gc"] == [
    1,
    3,
  ]
  assert add(store, tmp_path, "f") == 6
  with pytest.raises(ValueError, match="keep >= 1"):
    store.gc(0)


def test_copies_of_twins_from_two_runs_are_kept_apart(objects, tmp_path):
  """A digest leaves lineage out; a folder that somebody loads from may not."""
  folders = []
  for run in ("first", "second"):
    store = ModelStore(f"{PROTOCOL}://bucket/{run}")
    model = write_model(tmp_path / run)
    number = store.add(model, **{**facts(), "lineage": {"run_id": run}})
    folders.append(store.local_dir(number))
  lineages = [json.loads((f / DOCUMENTS["lineage"]).read_bytes()) for f in folders]
  assert lineages == [{"run_id": "first"}, {"run_id": "second"}]


def test_a_number_is_never_used_twice(local_store, tmp_path):
  import shutil

  add(local_store, tmp_path, "a")
  add(local_store, tmp_path, "b")
  shutil.rmtree(tmp_path / "store" / "versions" / "2")  # by hand
  assert add(local_store, tmp_path, "c") == 3


def test_export_gives_a_checked_copy_and_overwrites_nothing(local_store, tmp_path):
  add(local_store, tmp_path, "a")
  local_store.export(1, tmp_path / "out")
  assert (tmp_path / "out" / "saved_model.pb").read_text() == "graph a"
  with pytest.raises(ValueError, match="does not exist or is empty"):
    local_store.export(1, tmp_path / "out")
  (local_store.local_dir(1) / "saved_model.pb").write_text("graph b")
  with pytest.raises(RuntimeError, match=r"saved_model\.pb differs"):
    local_store.export(1, tmp_path / "damaged")
  assert not (tmp_path / "damaged").exists()


def test_a_model_without_a_graph_is_refused(store, tmp_path):
  (tmp_path / "empty").mkdir()
  with pytest.raises(ValueError, match=r"exported model, with saved_model\.pb"):
    store.add(tmp_path / "empty", **facts())
  with pytest.raises(ValueError, match="a kind among"):
    store.add(write_model(tmp_path / "m"), **{**facts(), "kind": "poem"})
  with pytest.raises(ValueError, match="Expected JSON values"):
    store.add(tmp_path / "m", **{**facts(), "metrics": {"x": float("nan")}})
  assert not store.exists()


def test_entries_survive_a_trip_through_json_and_later_fields(store, tmp_path):
  add(store, tmp_path, "a")
  (entry,) = store.audit()
  plain = json.loads(json.dumps(entry.to_plain()))
  assert type(entry).from_plain({**plain, "invented_later": 1}) == entry
  assert {field.name for field in dataclasses.fields(entry)} == plain.keys()


def test_a_server_needs_nothing_heavy_for_it():
  heavy = "{'tfx', 'apache_beam', 'tensorflow', 'keras', 'numpy', 'fsspec'}"
  code = (
    "import sys, hardmine.serving.store.store;"
    f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
  )
  subprocess.run([sys.executable, "-c", code], check=True)
