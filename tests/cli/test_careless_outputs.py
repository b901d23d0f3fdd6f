"""Photographs survive whatever is given as an output; pipes are files, too."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.exported_model import LIGHT_FACTS
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.rate_control import Compressed
from hardmine.trainers.codec.streams.bitstream import Header, pack, unpack

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 33, 3), np.uint8)
GRAY = np.full_like(PHOTO, 128)


class GrayCodec:
  """Answers as a codec does, without a network: every picture comes back grey."""

  model_id = bytes(range(8))
  iterations, padding_px, sends_gains = 2, 16, False

  def compress_to(self, image, target, *, metadata=None, adaptive=False):
    height_px, width_px, _ = image.shape
    iterations = target.iterations or 2
    header = Header(
      model_id=self.model_id,
      height_px=height_px,
      width_px=width_px,
      padding_px=16,
      iterations=iterations,
    )
    codes = np.zeros((iterations, *header.grid, 32), np.uint8)
    return Compressed(data=pack(header, codes), iterations=iterations)

  def decode_stream(self, stream, beside=None):
    return np.full((stream.header.height_px, stream.header.width_px, 3), 128, np.uint8)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Holds the photographs a.png and b.jpg, links to both, and the folder `model`."""
  monkeypatch.setattr(
    Codec, "load", lambda path, runtime=None, num_threads=None: GrayCodec()
  )
  (tmp_path / "model" / "assets.extra" / "light").mkdir(parents=True)
  (tmp_path / "model" / "saved_model.pb").write_bytes(b"")
  facts = json.dumps({"model_id": GrayCodec.model_id.hex()})
  (tmp_path / "model" / "assets.extra" / "codec.json").write_text(facts)
  (tmp_path / "model" / LIGHT_FACTS).write_text("{}")
  monkeypatch.setenv("HARDMINE_MODEL", str(tmp_path / "model"))
  monkeypatch.chdir(tmp_path)
  for name in ("a.png", "b.jpg"):
    Image.fromarray(PHOTO).save(name)
  os.symlink("a.png", "link")
  os.link("b.jpg", "twin")
  (tmp_path / "inner").mkdir()
  return tmp_path


def listing(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
    for path in folder.rglob("*")
  }


@pytest.mark.parametrize("overwrite", [[], ["--overwrite"]])
@pytest.mark.parametrize(
  "words",
  [
    *(["encode", "a.png", name] for name in ("a.png", "b.jpg", "link", "twin", ".")),
    *(
      ["encode", "b.jpg", name] for name in ("link", "twin", "inner/../b.jpg", "inner")
    ),
    ["encode", "a.png", "new.jpg"],
    ["encode", "a.png", "model/saved_model.pb/x"],
    ["encode", "a.png", "model/assets.extra/codec.json"],
    ["decode", "a.png", "a.png"],
    ["decode", "a.png", "b.jpg"],
    ["decode", "a.png", "link"],
  ],
)
def test_nothing_is_lost_to_encode_and_decode(folder, capsys, words, overwrite):
  before = listing(folder)
  assert main([*words, *overwrite]) == 2
  assert capsys.readouterr().err.count("\n") == 1
  assert listing(folder) == before


def test_streams_and_images_are_replaced_only_when_asked_to(folder, capsys):
  assert main(["encode", "a.png", "a.hmc", "--iterations", "1"]) == 0
  assert main(["encode", "a.png", "a.hmc"]) == 2
  assert "a new name, or --overwrite" in capsys.readouterr().err
  assert main(["encode", "a.png", "a.hmc", "--overwrite"]) == 0
  assert unpack((folder / "a.hmc").read_bytes()).header.iterations == 2
  before = listing(folder)
  assert main(["decode", "a.hmc", "a.png"]) == 2
  assert listing(folder) == before
  assert main(["decode", "a.hmc", "a.png", "--overwrite"]) == 0
  np.testing.assert_array_equal(np.asarray(Image.open("a.png")), GRAY)
  assert main(["decode", "a.hmc", "a.hmc", "--overwrite"]) == 2
  assert main(["decode", "a.hmc", "link", "--overwrite"]) == 2


def test_a_linked_output_is_written_through_the_link(folder):
  os.symlink("target.hmc", "link.hmc")
  assert main(["encode", "a.png", "link.hmc"]) == 0
  assert (folder / "link.hmc").is_symlink()
  assert unpack((folder / "target.hmc").read_bytes())


def test_a_photograph_comes_from_a_pipe(folder, capsys):
  reading, writing = os.pipe()
  photo = (folder / "a.png").read_bytes()

  def feed():
    with open(writing, "wb") as file:
      file.write(photo)

  thread = threading.Thread(target=feed)
  thread.start()
  assert main(["encode", f"/dev/fd/{reading}", "x.hmc", "--json"]) == 0
  thread.join()
  os.close(reading)
  facts = json.loads(capsys.readouterr().out)
  assert facts["image_bytes"] == len(photo)
  assert facts["file_bytes"] == (folder / "x.hmc").stat().st_size


class Standard:
  """A standard stream of bytes that is no terminal."""

  def __init__(self, content=b""):
    self.buffer = io.BytesIO(content)

  def isatty(self):
    return False

  def flush(self):
    pass

  def write(self, text):
    raise AssertionError(f"{text!r} among the bytes")


def test_a_dash_is_standard_input_and_output(folder, monkeypatch, capsys):
  def through(words, content):
    out = Standard()
    with monkeypatch.context() as patch:
      patch.setattr(sys, "stdin", Standard(content))
      patch.setattr(sys, "stdout", out)
      assert main(words) == 0
    return out.buffer.getvalue()

  stream = through(["encode", "-", "-"], (folder / "a.png").read_bytes())
  assert len(unpack(stream).codes) == 2
  assert "-: " in capsys.readouterr().err
  image = through(["decode", "-", "-", "--json"], stream)
  np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(image))), GRAY)
  assert json.loads(capsys.readouterr().err)["width_px"] == 33


@pytest.mark.parametrize(
  ("words", "message"),
  [
    (["encode", "a.png", "x.hmc", "--bpp", "0"], "bpp=0.0"),
    (["encode", "a.png", "x.hmc", "--bpp", "nan"], "bpp=nan"),
    (["encode", "a.png", "x.hmc", "--model", ""], "model=''"),
    (["encode", "a.png", "x.jpg"], "a name that no picture has"),
    (["mine", "--images", "*.png", "--output", "."], "nothing else"),
    (["mine", "--images", "*.png", "--output", "inner/.."], "nothing else"),
    (["mine", "--images", "photos/*", "--output", "photos"], "nothing else"),
    (["mine", "--images", "photos/*", "--output", "link_to_photos"], "nothing else"),
    (["mine", "--images", "photos/in/*", "--output", "photos"], "nothing else"),
    (
      ["coco", "--images", "photos", "--annotations", "x", "--output", "photos"],
      "else",
    ),
  ],
)
def test_careless_calls_end_before_anything_heavy_is_imported(folder, words, message):
  (folder / "photos" / "in").mkdir(parents=True)
  Image.fromarray(PHOTO).save("photos/c.png")
  Image.fromarray(PHOTO).save("photos/in/d.png")
  os.symlink("photos", "link_to_photos")
  before = listing(folder)
  program = (
    "import sys; from hardmine.pipelines.cli import main;"
    "status = main.main(sys.argv[1:]);"
    "assert not {'apache_beam', 'tensorflow'} & set(sys.modules);"
    "sys.exit(status)"
  )
  words = [*words, "--overwrite"]
  done = subprocess.run(
    [sys.executable, "-c", program, *words], capture_output=True, text=True
  )
  assert done.returncode == 2, done.stderr
  assert message in done.stderr
  assert done.stderr.count("\n") == 1
  assert listing(folder) == before
