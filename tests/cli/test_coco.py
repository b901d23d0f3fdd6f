"""`hardmine coco` as people and programs call it."""

import json
import subprocess
import sys

import pytest

from hardmine.pipelines.cli import main as cli
from hardmine.schemas.manifest import read_manifest


def coco(data, output, *more):
  words = ["coco", "--images", str(data / "raccoon" / "images")]
  words += ["--annotations", str(data / "raccoon" / "raccoon_coco.json")]
  return cli.main([*words, "--output", str(output), *more])


def test_json_is_one_object_with_the_counts(data_dir, tmp_path, capsys):
  only = tmp_path / "only.txt"
  only.write_text("raccoon-1.jpg\nraccoon-12\n")
  output = tmp_path / "out"
  words = ("--only", str(only), "--split=eval", "--num-shards=2", "--json")
  assert coco(data_dir, output, *words) == 0
  (line,) = capsys.readouterr().out.splitlines()
  summary = json.loads(line)
  assert summary["images"] == summary["used"] == 2
  assert summary["categories"] == [{"id": 1, "name": "raccoon", "objects": 3}]
  assert summary["splits"] == {"eval": {"images": 2, "objects": 3}}
  assert summary["first_examples"] == {"dead": {}, "skipped": {}}
  assert summary["elapsed_seconds"] > 0
  assert read_manifest(output)["counts"]["objects"] == 3
  assert sorted(path.name for path in output.iterdir()) == [
    "categories.json",
    "dead_letters.jsonl",
    "eval-00000-of-00002.tfrecord.gz",
    "eval-00001-of-00002.tfrecord.gz",
    "manifest.json",
  ]


def test_table_names_kinds_and_reasons(data_dir, tmp_path, capsys):
  only = tmp_path / "only.csv"
  only.write_text("class,filename\nraccoon,raccoon-1.jpg\nraccoon,nowhere.jpg\n")
  output = tmp_path / "out"
  assert coco(data_dir, output, "--only", str(only), "--max-dead-share=0.5") == 0
  captured = capsys.readouterr()
  rows = dict(line.strip().split("  ", 1) for line in captured.out.splitlines())
  rows = {name: value.strip() for name, value in rows.items()}
  assert rows["images"] == "2"
  assert rows["used"] == "1 in 4 files"
  told = f"1, the first: nowhere.jpg: named in {only}: no image of the annotations"
  assert rows["not_annotated"].startswith(told)
  assert rows["all refusals"] == str(output / "dead_letters.jsonl")
  assert rows["raccoon"] == "1"
  assert rows["output"] == str(output)
  assert "converting: 1 of 1 images" in captured.err


def test_too_many_dead_letters_exit_with_1_and_one_line(data_dir, tmp_path, capsys):
  only = tmp_path / "only.txt"
  only.write_text("raccoon-1.jpg\nnowhere.jpg\n")
  assert coco(data_dir, tmp_path / "out", "--only", str(only), "--json") == 1
  error = capsys.readouterr().err
  assert error.startswith("hardmine: 1 of 2 images cannot be used (not_annotated 1)")
  assert error.count("\n") == 1
  assert str(tmp_path / "out.dead_letters.jsonl") in error
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  "more",
  [["--workers=0"], ["--num-shards=0"], ["--max-dead-share=2"], ["--split=a b"]],
)
def test_wrong_arguments_exit_with_2_before_beam_is_imported(tmp_path, more):
  program = (
    "import sys; from hardmine.pipelines.cli import main;"
    "status = main.main(sys.argv[1:]);"
    "assert not {'apache_beam', 'tensorflow'} & set(sys.modules);"
    "sys.exit(status)"
  )
  words = ["coco", "--images", str(tmp_path), "--annotations", str(tmp_path / "a.json")]
  done = subprocess.run(
    [sys.executable, "-c", program, *words, "--output", str(tmp_path / "out"), *more],
    capture_output=True,
    text=True,
  )
  assert done.returncode == 2, done.stderr
  assert "Received:" in done.stderr
  assert done.stderr.count("\n") == 1


def test_a_path_without_files_exits_with_2_and_is_named(data_dir, tmp_path, capsys):
  nowhere = str(tmp_path / "nowhere.json")
  assert coco(data_dir, tmp_path / "out", "--annotations", nowhere) == 2
  assert nowhere in capsys.readouterr().err
  assert not any(tmp_path.iterdir())
