"""`hardmine board`: from a store in a folder to its pages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardmine.pipelines.cli import main as cli
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore
from tests.serving.board.fake_store import codec
from tests.serving.board.pages import read


@pytest.fixture
def store(tmp_path) -> ModelStore:
  store = ModelStore(tmp_path / "store")
  (tmp_path / "model").mkdir()
  for number in range(2):
    (tmp_path / "model" / "saved_model.pb").write_text(f"graph {number}")
    store.add(
      tmp_path / "model",
      kind="codec",
      model_id=f"{number:016x}",
      reason=Reason(who="pipeline"),
      **codec(area=1.5 + number / 10),
    )
  store.move("production", 1, reason=Reason(who="anna", why="the first one"))
  return store


def test_prints_where_the_index_lies(store, tmp_path, capsys):
  words = ["board", "--store", store.url, "--output", str(tmp_path / "out")]
  assert cli.main([*words, "--title", "Our models"]) == 0
  (line,) = capsys.readouterr().out.splitlines()
  assert line == str(tmp_path / "out" / "index.html")
  pages = read(Path(line).parent)
  assert set(pages) == {"index.html", "version-1.html", "version-2.html"}
  assert "Our models" in pages["index.html"].headings
  assert "the first one" in pages["index.html"].text
  assert "saved_model.pb" in pages["version-2.html"].text
  assert "Beside production, version 1" in pages["version-2.html"].headings


def test_prints_one_json_object(store, tmp_path, capsys):
  words = ["board", "--store", store.url, "--output", str(tmp_path / "out"), "--json"]
  assert cli.main(words) == 0
  captured = capsys.readouterr()
  facts = json.loads(captured.out)
  assert facts["index"] == str(tmp_path / "out" / "index.html")
  assert facts["num_versions"] == 2
  assert facts["num_pages"] == 3
  assert facts["num_bytes"] > 10_000
  assert captured.err == ""


def test_takes_the_store_from_the_environment(store, tmp_path, capsys, monkeypatch):
  monkeypatch.setenv("HARDMINE_STORE", store.url)
  assert cli.main(["board", "--output", str(tmp_path / "out")]) == 0
  assert (tmp_path / "out" / "index.html").is_file()
  monkeypatch.delenv("HARDMINE_STORE")
  assert cli.main(["board", "--output", str(tmp_path / "out")]) == 2
  assert "--store URL" in capsys.readouterr().err


@pytest.mark.parametrize("there", [True, False])
def test_a_missing_store_is_one_line(tmp_path, there, capsys):
  if there:
    (tmp_path / "store").mkdir()
  words = ["--store", str(tmp_path / "store"), "--output", str(tmp_path / "out")]
  assert cli.main(["board", *words]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert line.startswith("hardmine: Expected a model store")
  assert str(tmp_path / "store") in line
  assert not (tmp_path / "out").exists()


def test_a_foreign_folder_is_one_line(store, tmp_path, capsys):
  (tmp_path / "out").mkdir()
  (tmp_path / "out" / "thesis.tex").write_text("x")
  words = ["--store", store.url, "--output", str(tmp_path / "out")]
  assert cli.main(["board", *words]) == 2
  (line,) = capsys.readouterr().err.splitlines()
  assert "a board that this command wrote" in line
  assert (tmp_path / "out" / "thesis.tex").read_text() == "x"
