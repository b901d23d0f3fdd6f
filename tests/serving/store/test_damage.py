"""A store whose parts are missing, or hold JSON that is not what was written."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from hardmine.pipelines.cli.main import main
from tests.serving.store.fake_models import add, by

NO_OBJECTS = ["1", "null", "[]", '"x"', "{}", "", "{", "[[1]]"]
NO_ENTRIES = ["[]", "1", "{}", '{"at": 1, "who": "a", "action": "add"}', "{"]


@pytest.fixture
def store(local_store, tmp_path):
  """Two versions; production is 1, staging 2."""
  for content in "ab":
    add(local_store, tmp_path, content)
  local_store.move("production", 1, reason=by("ann"))
  local_store.move("staging", 2, reason=by("ann"))
  return local_store


def models(store, *words):
  return main(["models", *words, "--store", store.url])


def read(capsys):
  return json.loads(capsys.readouterr().out)


def alias_path(store, name="production"):
  return store.local_dir(1).parents[1] / "aliases" / f"{name}.json"


def audit_path(store):
  return store.local_dir(1).parents[1] / "audit.jsonl"


def test_a_version_that_an_alias_names_and_is_gone_is_told(store, capsys):
  shutil.rmtree(store.local_dir(1))
  assert models(store, "list") == 0
  out, err = capsys.readouterr()
  assert out.splitlines()[-1].split() == ["1", "production", "missing"]
  assert "production names version 1, which is missing" in err
  assert models(store, "list", "--json") == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["versions"][-1] == {
    "number": 1,
    "missing": True,
    "aliases": ["production"],
  }
  for words in ([], ["1"], ["production"]):
    assert models(store, "verify", *words) == 1
    out, err = capsys.readouterr()
    assert "version 1: it is missing" in out
    assert "damaged or missing" in err
  assert models(store, "verify", "2") == 0


def test_a_version_of_the_log_that_no_gc_removed_is_missed(store, tmp_path, capsys):
  assert add(store, tmp_path, "c") == 3
  assert store.gc(1) == []
  store.move("staging", 3, reason=by("ann"))
  assert store.gc(1) == [2]
  assert models(store, "verify") == 0
  shutil.rmtree(store.local_dir(3))
  store.move("staging", 1, reason=by("ann"))
  capsys.readouterr()
  assert models(store, "verify", "--json") == 1
  faults = {one["number"]: one["fault"] for one in read(capsys)["versions"]}
  assert faults[1] is None
  assert "no gc removed it" in faults[3]
  assert models(store, "verify") == 1
  assert "version 3: it is missing: the log says" in capsys.readouterr().out


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_a_damaged_alias_is_one_line_that_names_it(store, capsys, text):
  alias_path(store).write_text(text)
  assert models(store, "list") == 0
  out, err = capsys.readouterr()
  assert "staging" in out
  assert err.startswith(f"hardmine: {alias_path(store)} is damaged: ")
  assert err.count("\n") == 1
  for words in (["verify"], ["show", "production"], ["promote", "2", "--to", "x"]):
    assert models(store, *words) == 1
    out, err = capsys.readouterr()
    assert f"{alias_path(store)} is damaged: " in out + err
    assert err.count("\n") == 1
  assert models(store, "show", "staging") == 0
  with pytest.raises(RuntimeError, match="is damaged"):
    store.gc(1)  # what nobody can read may hold any version
  assert store.versions() == [1, 2]


@pytest.mark.parametrize("version", ['"1"', "1.5", "true", "[1]"])
def test_an_alias_holds_a_number(store, capsys, version):
  text = alias_path(store).read_text()
  alias_path(store).write_text(text.replace('"version": 1', f'"version": {version}'))
  assert models(store, "verify") == 1
  assert "its version is" in capsys.readouterr().out


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_alias_of_somebody_else_hides_no_other(store, capsys):
  alias_path(store).chmod(0)
  assert models(store, "list") == 0
  out, err = capsys.readouterr()
  assert "staging" in out
  assert "production.json cannot be read: Permission denied" in err


def test_an_alias_that_cannot_be_opened_hides_no_other(store, capsys):
  alias_path(store).unlink()
  alias_path(store).mkdir()
  assert models(store, "list") == 0
  out, err = capsys.readouterr()
  assert "staging" in out
  assert "production.json cannot be read: Is a directory" in err


@pytest.mark.parametrize("line", NO_ENTRIES)
def test_a_damaged_line_of_the_log_is_named_with_its_number(store, capsys, line):
  first, rest = audit_path(store).read_text().split("\n", 1)
  audit_path(store).write_text(f"{first}\n{line}\n{rest}")
  for words in (["history"], ["verify"], ["list"], ["promote", "2", "--to", "x"]):
    status = models(store, *words)
    assert status == (0 if words == ["list"] else 1)
    out, err = capsys.readouterr()
    assert f"{audit_path(store)}, line 2, is damaged: " in out + err
    assert err.count("\n") <= 1


def test_blank_lines_of_the_log_are_none(store):
  before = store.audit()
  with audit_path(store).open("a") as file:
    file.write("\n \n")
  assert store.audit() == before
  store.move("x", 1, reason=by("ann"))
  assert len(store.audit()) == len(before) + 1


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_a_damaged_manifest_is_one_line_that_names_it(store, capsys, text):
  path = store.local_dir(1) / "assets.extra" / "manifest.json"
  path.write_text(text)
  assert models(store, "list") == 0
  assert "production" in capsys.readouterr().out
  assert models(store, "verify") == 1
  assert f"version 1: {path}" in capsys.readouterr().out
  assert models(store, "show", "1") == 1
  err = capsys.readouterr().err
  assert str(path) in err
  assert err.count("\n") == 1


@pytest.mark.parametrize("text", NO_OBJECTS)
@pytest.mark.parametrize("name", ["commits/1.json", "audit/0000000002.json"])
def test_damaged_objects_are_one_line_that_names_them(
  object_store, objects, tmp_path, capsys, name, text
):
  add(object_store, tmp_path, "a")
  object_store.move("production", 1, reason=by("ann"))
  (path,) = (path for path in objects.objects if path.endswith(name))
  objects.objects[path] = text.encode()
  for words in (["list"], ["verify"], ["history"], ["promote", "1", "--to", "x"]):
    if words in (["list"], ["history"]) and name.startswith("commits"):
      assert models(object_store, *words) == 0
      out, _ = capsys.readouterr()
      assert words == ["history"] or out.split()[-1] == "damaged"
      continue
    assert models(object_store, *words) == 1
    out, err = capsys.readouterr()
    assert name in out + err
    assert err.count("\n") <= 1


@pytest.mark.parametrize("text", NO_OBJECTS)
def test_a_damaged_commit_spoils_no_other_version(
  object_store, objects, tmp_path, text
):
  """As a damaged manifest in a folder spoils none."""
  for content in "ab":
    add(object_store, tmp_path, content)
  (path,) = (path for path in objects.objects if path.endswith("commits/1.json"))
  objects.objects[path] = text.encode()
  store = type(object_store)(object_store.url)  # which has read nothing yet
  assert store.versions() == [1, 2]
  assert store.version(2).passed
  store.verify(2)
  with pytest.raises(RuntimeError, match=r"commits/1\.json is damaged"):
    store.version(1)
  store.move("production", 2, reason=by("ann"))
  assert add(store, tmp_path, "c") == 3
  assert store.gc(keep=5) == []  # it is damaged, and not an upload that was given up
