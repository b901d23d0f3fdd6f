"""`encode` and `decode` of many files in one process, without a network."""

from __future__ import annotations

import io
import json
import os
import sys

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import progress
from hardmine.pipelines.cli.main import main
from hardmine.trainers.codec import memory
from hardmine.trainers.codec.bitstream import unpack
from hardmine.trainers.codec.codec import Codec
from tests.cli.test_careless_outputs import GRAY, PHOTO, GrayCodec, listing


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds photographs, and `model`, which answers without a network."""
  (tmp_path / "model" / "assets.extra").mkdir(parents=True)
  (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
  facts = {"model_id": GrayCodec.model_id.hex(), "config": {"width": 0.125}}
  (tmp_path / "model" / "assets.extra" / "codec.json").write_text(json.dumps(facts))
  monkeypatch.setenv("HARDMINE_MODEL", str(tmp_path / "model"))
  monkeypatch.chdir(tmp_path)
  for name in ("a.png", "b.jpg", "sub/c.JPG", "sub/a.png"):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    Image.fromarray(PHOTO).save(name)
  return tmp_path


@pytest.fixture(autouse=True)
def loads(monkeypatch):
  """How often a model was loaded."""
  seen = []

  def load(path):
    seen.append(path)
    return GrayCodec()

  monkeypatch.setattr(Codec, "load", load)
  return seen


def test_many_files_load_one_model_and_lie_under_their_own_names(folder, loads):
  assert main(["encode", "a.png", "b.jpg", "--output", "out"]) == 0
  assert main(["encode", "sub", "--output", "out2"]) == 0
  assert len(loads) == 2
  made = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.hmc"))
  assert made == ["out/a.hmc", "out/b.hmc", "out2/a.hmc", "out2/c.hmc"]
  assert main(["decode", "out/*.hmc", "--output", "back"]) == 0
  assert len(loads) == 3
  for name in ("a", "b"):
    assert unpack((folder / f"out/{name}.hmc").read_bytes())
    np.testing.assert_array_equal(Image.open(folder / f"back/{name}.png"), GRAY)


def test_one_file_with_output_is_a_batch_of_one(folder):
  assert main(["encode", "a.png", "--output", "new/folder"]) == 0
  assert (folder / "new/folder/a.hmc").exists()


def test_names_that_meet_stay_apart(folder):
  Image.fromarray(PHOTO).save("a.webp", lossless=True)
  assert main(["encode", "*.{png,webp}", "sub/a.png", "--output", "out"]) == 0
  made = sorted(str(p.relative_to(folder / "out")) for p in folder.rglob("*.hmc"))
  base = folder.name
  assert made == sorted([f"{base}/a.png.hmc", f"{base}/a.webp.hmc", "sub/a.hmc"])


def test_a_bad_file_is_named_and_the_others_are_done(folder, capsys):
  (folder / "bad.png").write_text("no picture")
  words = ["encode", "*.png", "b.jpg", "--output", "out"]
  assert main([*words, "--json"]) == 2
  out, err = capsys.readouterr()
  found = json.loads(out)
  assert found["failed"] == 1
  by_name = {
    os.path.basename(one.get("image") or one["source"]): one for one in found["results"]
  }
  assert "Expected an image" in by_name["bad.png"]["error"]
  assert by_name["b.jpg"]["file_bytes"] == (folder / "out" / "b.hmc").stat().st_size
  assert err.count("\n") == 1
  assert "bad.png" in err
  assert main([*words, "--overwrite"]) == 2
  captured = capsys.readouterr()
  assert "1 of 3 photographs failed" in captured.err
  assert captured.out.count("bits per pixel") == 2


def test_a_failure_of_the_world_is_told_from_a_mistake(folder, monkeypatch, capsys):
  compress = GrayCodec.compress
  calls = []

  def failing(self, image, **options):
    calls.append(1)
    if len(calls) == 1:
      raise MemoryError
    return compress(self, image, **options)

  monkeypatch.setattr(GrayCodec, "compress", failing)
  assert main(["encode", "a.png", "b.jpg", "--output", "out"]) == 1
  assert "MemoryError" in capsys.readouterr().err
  assert [path.name for path in (folder / "out").iterdir()] == ["b.hmc"]


def test_what_was_made_before_is_replaced_only_when_asked_to(folder, capsys):
  words = ["encode", "a.png", "b.jpg", "--output", "out"]
  assert main(words[:2] + words[3:]) == 0
  before = listing(folder / "out")
  assert main(words) == 2
  assert "a new name, or --overwrite" in capsys.readouterr().err
  assert listing(folder / "out")["a.hmc"] == before["a.hmc"]
  assert (folder / "out" / "b.hmc").exists()
  assert main([*words, "--overwrite"]) == 0
  assert main([*words[:-1], "a.png"]) == 2  # a file in the folder's place


def test_streams_decode_beside_damaged_ones(folder, capsys):
  assert main(["encode", "*.*g", "--output", "out"]) == 0
  whole = (folder / "out" / "a.hmc").read_bytes()
  (folder / "out" / "damaged.hmc").write_bytes(whole[:-1] + b"\1")
  (folder / "out" / "cut.hmc").write_bytes(whole[:-1])
  assert main(["decode", "out", "--output", "back", "--json"]) == 2
  out, err = capsys.readouterr()
  found = json.loads(out[out.index("{") :])
  assert found["failed"] == 1
  assert "damaged.hmc: Expected an undamaged stream" in err
  assert "cut.hmc: the file is cut short" in err
  assert sorted(path.name for path in (folder / "back").iterdir()) == [
    "a.png",
    "b.png",
    "cut.png",
  ]


@pytest.mark.parametrize("command", ["encode", "decode"])
@pytest.mark.parametrize("paths", [["a.png"], ["a.png", "b.jpg", "c.hmc"]])
def test_one_name_or_three_say_what_is_missing(folder, capsys, command, paths):
  before = listing(folder)
  assert main([command, *paths]) == 2
  assert "or --output DIR" in capsys.readouterr().err
  assert listing(folder) == before


def test_two_photographs_are_not_taken_for_input_and_output(folder, capsys):
  before = listing(folder)
  assert main(["encode", "a.png", "b.jpg"]) == 2
  assert "--output" in capsys.readouterr().err
  assert listing(folder) == before


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null"])
def test_devices_are_refused_before_they_are_read(capsys, device):
  assert main(["encode", device, "x.hmc"]) == 2
  assert "no device" in capsys.readouterr().err
  assert main(["decode", device, "x.png"]) == 2


def test_nobody_waits_for_a_terminal(monkeypatch, capsys):
  class Terminal(io.StringIO):
    def isatty(self):
      return True

  monkeypatch.setattr(sys, "stdin", Terminal())
  assert main(["encode", "-", "x.hmc"]) == 2
  assert "before `-`" in capsys.readouterr().err


def test_a_picture_beyond_the_memory_is_refused_before_the_model_is_loaded(
  folder, loads, monkeypatch, capsys
):
  assert main(["encode", "a.png", "a.hmc"]) == 0
  monkeypatch.setattr(memory, "available_bytes", lambda: 1_150_000_000 + 542 * 500)
  assert main(["encode", "a.png", "b.hmc"]) == 2  # 660 pixels, and 500 fit
  err = capsys.readouterr().err
  assert "a.png: Expected at most 500 pixels. Received: 33x20" in err
  assert "--ignore-memory" in err
  assert "magick IN -resize" in err
  assert main(["decode", "a.hmc", "b.png"]) == 2
  assert "of memory for 33x20 pixels" in capsys.readouterr().err
  assert len(loads) == 1
  assert main(["encode", "a.png", "b.hmc", "--ignore-memory"]) == 0
  assert main(["decode", "a.hmc", "b.png", "--ignore-memory"]) == 0


def test_max_pixels_refuses_by_the_header(capsys):
  assert main(["encode", "a.png", "x.hmc", "--max-pixels", "659"]) == 2
  assert "the limit is of --max-pixels" in capsys.readouterr().err
  assert main(["encode", "a.png", "x.hmc", "--max-pixels", "660"]) == 0
  assert main(["encode", "a.png", "y.hmc", "--max-pixels", "0"]) == 2


def test_long_work_says_that_it_goes_on(monkeypatch, capsys):
  monkeypatch.setattr(progress, "_TELL_SECONDS", 0.01)
  with progress.waiting("encoding a.png"):
    while not (err := capsys.readouterr().err):
      pass
  assert "hardmine: encoding a.png: 0 s" in err


def test_progress_of_a_batch_is_told(capsys):
  assert main(["encode", "a.png", "b.jpg", "--output", "out"]) == 0
  assert "encoding: 2 of 2 photographs" in capsys.readouterr().err


def test_a_name_that_no_terminal_can_show_costs_nothing(folder, capsys):
  name = os.fsdecode(b"\xff.png")
  (folder / name).write_bytes((folder / "a.png").read_bytes())
  assert main(["encode", "*.png", "--output", "out", "--json"]) == 0
  facts = json.loads(capsys.readouterr().out)["results"]
  assert [os.path.basename(one["file"]) for one in facts] == ["\\xff.hmc", "a.hmc"]
  assert main(["encode", name, "x.hmc", "--json"]) == 0
