"""`hardmine mine` as people and programs call it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import main as cli
from hardmine.schemas.manifest import read_manifest


@pytest.fixture
def photographs(tmp_path):
  folder = tmp_path / "photographs"
  folder.mkdir()
  for seed in range(3):
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 64, 3), np.uint8)
    Image.fromarray(pixels).save(folder / f"{seed}.png")
  return folder


def mine(folder, output, *more):
  words = ["mine", "--images", f"{folder}/*.png", "--output", str(output), *more]
  return cli.main(words)


def test_json_is_one_object_with_the_counts(photographs, tmp_path, capsys):
  output = tmp_path / "out"
  assert mine(photographs, output, "--per-image", "4", "--num-shards=2", "--json") == 0
  (line,) = capsys.readouterr().out.splitlines()
  summary = json.loads(line)
  assert summary["patches"] == 12
  assert summary["photographs"] == summary["used"] == 3
  assert summary["output"] == str(output)
  assert summary["elapsed_seconds"] > 0
  assert read_manifest(output)["counts"]["patches"] == 12
  assert sorted(path.name for path in output.glob("*.gz")) == [
    "patches-00000-of-00002.tfrecord.gz",
    "patches-00001-of-00002.tfrecord.gz",
  ]


def test_table_names_what_was_refused_and_where_the_patches_lie(
  photographs, tmp_path, capsys
):
  (photographs / "text.png").write_text("not a photograph")
  output = tmp_path / "out"
  status = mine(photographs, output, "--recipe=resize", "--max-dead-share=0.5")
  assert status == 0
  captured = capsys.readouterr()
  counts = dict(line.split()[:2] for line in captured.out.splitlines()[:-3])
  assert counts == {
    "photographs": "4",
    "used": "3",
    "refused": "1",
    "not_an_image": "1",
  }
  assert "3 in 4 files" in captured.out
  assert str(output) in captured.out
  assert "mining: 4 of 4 photographs" in captured.err


def test_a_folder_is_mined_and_what_is_not_needed_is_counted(
  photographs, tmp_path, capsys
):
  (photographs / "sub").mkdir()
  Image.open(photographs / "0.png").save(photographs / "sub" / "copy.BMP")
  (photographs / "._0.png").write_bytes(b"\0\5\x16\7 of a Mac")
  (photographs / "notes.txt").write_text("x")
  words = ["mine", "--images", str(photographs), "--output", str(tmp_path / "out")]
  assert cli.main(words) == 0
  out = capsys.readouterr().out
  counts = dict(line.split() for line in out.splitlines()[:6] if len(line.split()) > 1)
  assert counts == {
    "photographs": "4",
    "used": "3",
    "refused": "0",
    "duplicate": "1",
    "other_file": "1",
  }
  assert "system_file" in out


def test_table_counts_the_patches_of_each_reduction_and_what_was_too_small(
  photographs, tmp_path, capsys
):
  words = ("--patch-px", "48", "--reductions", "1", "2", "--per-image", "100")
  Image.effect_noise((200, 96), 50).save(photographs / "wide.png")
  assert mine(photographs, tmp_path / "out", *words) == 0
  lines = [line.rsplit(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
  shown = {name.strip(): value for name, value in lines}
  assert shown["too_small_at_2"] == "3"
  assert (shown["whole"], shown["at 1/2"]) == (str(3 * 2 + 8), "2")
  assert read_manifest(tmp_path / "out")["config"]["patch_px"] == 48


def test_too_many_dead_letters_exit_with_1_and_one_line(photographs, tmp_path, capsys):
  (photographs / "text.png").write_text("not a photograph")
  assert mine(photographs, tmp_path / "out", "--json") == 1
  error = capsys.readouterr().err
  assert error.startswith("hardmine: 1 of 4 files cannot be used (not_an_image 1)")
  assert error.count("\n") == 1
  assert str(tmp_path / "out.dead_letters.jsonl") in error
  assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
  "more",
  [
    ["--per-image=0"],
    ["--workers=0"],
    ["--max-side=31"],
    ["--num-shards=0"],
    ["--patch-px=33"],
    ["--reductions", "2", "2"],
  ],
)
def test_wrong_numbers_exit_with_2_before_beam_is_imported(tmp_path, more):
  program = (
    "import sys; from hardmine.pipelines.cli import main;"
    "status = main.main(sys.argv[1:]);"
    "assert not {'apache_beam', 'tensorflow'} & set(sys.modules);"
    "sys.exit(status)"
  )
  words = ["mine", "--images", str(tmp_path / "*"), "--output", str(tmp_path / "o")]
  done = subprocess.run(
    [sys.executable, "-c", program, *words, *more], capture_output=True, text=True
  )
  assert done.returncode == 2, done.stderr
  assert "Received:" in done.stderr
  assert done.stderr.count("\n") == 1


def test_no_match_exits_with_2_and_names_the_glob(tmp_path, capsys):
  assert mine(tmp_path / "nowhere", tmp_path / "out") == 2
  assert f"{tmp_path}/nowhere/*.png" in capsys.readouterr().err
