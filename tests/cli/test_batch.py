"""`encode` and `decode` of many files in one process, without a network."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import progress
from hardmine.pipelines.cli.main import main
from hardmine.schemas.exported_model import LIGHT_FACTS
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running import memory
from hardmine.trainers.codec.streams.bitstream import unpack
from tests.cli.test_careless_outputs import GRAY, PHOTO, GrayCodec, listing


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds photographs, and `model`, which answers without a network."""
  (tmp_path / "model" / "assets.extra" / "light").mkdir(parents=True)
  (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
  facts = {"model_id": GrayCodec.model_id.hex(), "config": {"width": 0.125}}
  (tmp_path / "model" / "assets.extra" / "codec.json").write_text(json.dumps(facts))
  (tmp_path / "model" / LIGHT_FACTS).write_text("{}")
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

  def load(path, runtime=None, num_threads=None):
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
    np.testing.assert_array_equal(
      np.asarray(Image.open(folder / f"back/{name}.png")), GRAY
    )


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
  compress = GrayCodec.compress_to

  def failing(self, *given, **options):
    if (given[0] == PHOTO).all():
      raise MemoryError
    return compress(self, *given, **options)

  monkeypatch.setattr(GrayCodec, "compress_to", failing)
  assert main(["encode", "a.png", "b.jpg", "--output", "out"]) == 1
  assert "MemoryError" in capsys.readouterr().err
  assert [path.name for path in (folder / "out").iterdir()] == ["b.hmc"]


def test_names_that_cannot_be_are_bad_files_too(folder, capsys):
  os.mkfifo(folder / "pipe.png")
  (folder / "empty").mkdir()
  words = ["encode", "none.png", "a.png", "*.tif", "empty", "pipe.png", "./a.png"]
  assert main([*words, "--output", "out", "--json"]) == 1
  out, err = capsys.readouterr()
  answer = json.loads(out)
  assert [bool("error" in one) for one in answer["results"]] == [
    *(True, False, True, True, True)
  ]
  assert answer["failed"] == 4
  assert answer["skipped"] == {"repeated": {"count": 1, "example": "./a.png"}}
  assert "none.png: No such file" in err
  assert "1 skipped (repeated): ./a.png" in err
  assert [path.name for path in (folder / "out").iterdir()] == ["a.hmc"]


def test_what_is_no_picture_of_a_folder_is_counted(folder, capsys):
  for name in ("sub/x.txt", "sub/y.txt", "sub/Thumbs.db"):
    (folder / name).write_text("")
  assert main(["encode", "sub", "--output", "out", "--json"]) == 0
  out, err = capsys.readouterr()
  skipped = json.loads(out)["skipped"]
  assert {why: one["count"] for why, one in skipped.items()} == {
    "other_file": 2,
    "system_file": 1,
  }
  assert "hardmine: 2 skipped (other_file), such as sub/" in err


def test_names_of_names_stay_apart(folder):
  for name in ("a.webp", "a.png.webp"):
    Image.fromarray(PHOTO).save(name, lossless=True)
  assert main(["encode", "a.png", "a.webp", "a.png.webp", "--output", "out"]) == 0
  assert {path.name for path in (folder / "out").iterdir()} == {
    *("a.png.hmc", "a.webp.hmc", "a.png.webp.hmc")
  }


def test_as_many_at_once_as_processors_and_told_in_order(folder, monkeypatch, capsys):
  monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
  names = [f"{number:02}.png" for number in range(20)]
  for name in names:
    Image.fromarray(PHOTO).save(name)
  compress, running, most = GrayCodec.compress_to, [], []
  first = threading.Event()

  def slow(self, *given, **options):
    running.append(1)
    most.append(len(running))
    if not first.is_set():  # the first one waits until all others are done
      first.set()
      while len(most) < 12:
        time.sleep(0.001)
    running.pop()
    return compress(self, *given, **options)

  monkeypatch.setattr(GrayCodec, "compress_to", slow)
  assert main(["encode", *names, "--output", "out"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert [line.split(":")[0] for line in lines] == [
    f"out/{name[:2]}.hmc" for name in names
  ]
  assert 2 <= max(most) <= 3


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
@pytest.mark.parametrize(
  "paths", [["a.png", "b.jpg", "c.hmc"], ["sub"], ["*.png"], ["@a.txt"], ["s3://b/a"]]
)
def test_many_names_need_a_folder_for_what_becomes_of_them(
  folder, capsys, command, paths
):
  before = listing(folder)
  assert main([command, *paths]) == 2
  assert "or --output DIR" in capsys.readouterr().err
  assert listing(folder) == before


def test_one_name_gives_a_file_beside_it(folder, capsys):
  assert main(["encode", "sub/c.JPG"]) == 0
  assert unpack((folder / "sub" / "c.hmc").read_bytes())
  assert capsys.readouterr().out.startswith("sub/c.hmc: ")
  assert main(["decode", "sub/c.hmc"]) == 0
  np.testing.assert_array_equal(np.asarray(Image.open(folder / "sub/c.png")), GRAY)
  before = listing(folder)
  for words in (["encode", "sub/c.JPG"], ["decode", "sub/c.hmc"]):
    assert main(words) == 2
    assert "a new name, or --overwrite" in capsys.readouterr().err
  assert listing(folder) == before
  assert main(["encode", "sub/c.JPG", "--overwrite"]) == 0


def test_a_photograph_with_the_ending_of_streams_is_not_replaced(folder, capsys):
  (folder / "a.png").rename(folder / "a.hmc")
  before = listing(folder)
  assert main(["encode", "a.hmc", "--overwrite"]) == 2
  assert "another file than the one that is read" in capsys.readouterr().err
  assert listing(folder) == before


def test_a_pipe_goes_into_a_folder_or_through(folder, monkeypatch, capsysbinary):
  def pipe(path):
    data = io.BytesIO((folder / path).read_bytes())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(data))

  pipe("a.png")
  assert main(["encode", "-", "b.jpg", "--output", "out"]) == 0
  assert {path.name for path in (folder / "out").iterdir()} == {"stdin.hmc", "b.hmc"}
  capsysbinary.readouterr()
  pipe("out/stdin.hmc")
  assert main(["decode", "-"]) == 0
  picture = Image.open(io.BytesIO(capsysbinary.readouterr().out))
  np.testing.assert_array_equal(np.asarray(picture), GRAY)
  assert main(["encode", "-", "-", "--output", "out"]) == 2


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
  needs = memory.Needs.of("model")
  available = needs.fixed_bytes
  while needs.max_pixels(available) < 500:
    available += 1
  monkeypatch.setattr(memory, "available_bytes", lambda: available)
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


@pytest.mark.parametrize("ignored", [False, True])
def test_pictures_wait_for_memory_that_others_have(folder, monkeypatch, ignored):
  needs = memory.Needs.of("model")
  one = needs.encoding(20, 33)
  monkeypatch.setattr(memory, "available_bytes", lambda: one)
  monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2})
  compress, running, most = GrayCodec.compress_to, [], []

  def slow(self, *given, **options):
    running.append(1)
    most.append(len(running))
    time.sleep(0.02)
    running.pop()
    return compress(self, *given, **options)

  monkeypatch.setattr(GrayCodec, "compress_to", slow)
  words = ["encode", "*.*g", "sub", "--output", "out"]
  assert main([*words, *["--ignore-memory"] * ignored]) == 0
  assert len(most) == 4
  assert (max(most) == 1) != ignored
  assert main(["decode", "out", "--output", "back"]) == 0


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
  assert [os.path.basename(one["file"]) for one in facts] == ["a.hmc", "\\xff.hmc"]
  assert main(["encode", name, "x.hmc", "--json"]) == 0
  os.rename(name, os.fsdecode(b"a\x1b[31m\xff.png"))
  capsys.readouterr()
  assert main(["encode", "*.png", "b.jpg", "--output", "out2"]) == 0
  told = capsys.readouterr().out
  assert "\x1b" not in told
  told.encode("ascii")
