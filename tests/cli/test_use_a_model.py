"""Finished models at work, by the commands of the page that tells how."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.process import hardmine

PAGE = Path(__file__).resolve().parents[2] / "docs" / "use_a_model.md"


def blocks(wanted):
  text = PAGE.read_text("utf-8")
  found = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  return [block for kind, block in found if kind == wanted]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  """A codec, a detector and photographs, where the page has them."""
  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import SSDConfig
  from hardmine.trainers.detection.exports.export import export_detector
  from hardmine.trainers.detection.meta_architectures.ssd import SSD
  from tests.serving.server.tiny_models import export_tiny_codec
  from tests.trainers.detection.tiny_extractor import TinyExtractor

  home = tmp_path_factory.mktemp("use")
  export_tiny_codec(home / "codec", iterations=4)
  ssd = SSD(SSDConfig(feature_extractor=TinyExtractor, resolution_px=64), 2)
  names = ("cat", "dog")
  categories = tuple(Category(id=n, name=name) for n, name in enumerate(names, 1))
  export_detector(ssd, Categories(categories=categories), home / "detector")
  rng = np.random.default_rng(0)
  for name in ("photo.jpg", "photos/a.png", "photos/b.jpg", "more/c.png"):
    path = home / name
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(rng.integers(0, 256, (60, 81, 3), np.uint8)).save(path)
  return home


@pytest.mark.slow
def test_the_page_is_true(home, monkeypatch):
  lines = [line for block in blocks("") for line in block.splitlines()]
  for words in map(shlex.split, lines):
    assert words[0] == "hardmine"
    done = hardmine(home, words[1:])
    assert done.returncode == 0, done.stderr
  again = np.asarray(Image.open(home / "photo.png"))
  coarse = np.asarray(Image.open(home / "coarse.png"))
  assert again.shape == coarse.shape == (60, 81, 3)
  assert (again != coarse).any()
  for folder, ending in (("packed", ".hmc"), ("unpacked", ".png")):
    assert {path.name for path in (home / folder).rglob("*.*")} == {
      f"{name}{ending}" for name in "abc"
    }
  assert {path.name for path in (home / "shown").iterdir()} == {"a.png", "b.jpg"}
  (program,) = blocks("python")
  monkeypatch.chdir(home)
  found: dict = {}
  exec(program, found)
  np.testing.assert_array_equal(found["image"], again)
