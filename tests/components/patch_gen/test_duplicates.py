"""One photograph under several names gives its patches once."""

import json

import numpy as np
import pytest
from PIL import Image

from hardmine.components.jobs.sources import list_sources
from hardmine.components.patch_gen.patch_job import tfx_layout
from tests.components.patch_gen.mining import config, mine, patches, photograph


@pytest.fixture
def folder(tmp_path):
  """Five photographs, of which 1 and 3 lie there under more names."""
  folder = tmp_path / "photos"
  folder.mkdir()
  for seed in range(5):
    Image.fromarray(photograph(seed)).save(folder / f"{seed}.png")
  return folder


def add_copies(folder):
  exif = Image.Exif()
  exif[0x0110] = "a camera"
  (folder / "z.png").write_bytes((folder / "1.png").read_bytes())
  Image.open(folder / "1.png").save(folder / "y.png", exif=exif, compress_level=0)
  Image.open(folder / "3.png").save(folder / "0.copy.png", "TIFF")


def test_shards_are_those_of_each_photograph_alone(folder, tmp_path):
  alone = mine(config(folder), tmp_path / "alone")
  add_copies(folder)
  mixed = mine(config(folder), tmp_path / "mixed")
  assert mixed["counts"]["photographs"] == 8
  assert mixed["counts"]["duplicates"] == 3
  assert mixed["counts"]["used"] == alone["counts"]["used"] == 5
  assert mixed["counts"]["dead"] == 0
  assert {p.source for p in patches(tmp_path / "mixed")} == {
    *("0.copy.png", "0.png", "1.png", "2.png", "4.png")
  }
  first, second = (
    sorted(p.pixels.tobytes() for p in patches(tmp_path / name))
    for name in ("alone", "mixed")
  )
  assert first == second
  lines = (tmp_path / "mixed" / "dead_letters.jsonl").read_text().splitlines()
  assert [json.loads(line) for line in lines] == [
    {"source": name, "reason": "duplicate", "detail": f"the pixels of {of}"}
    for name, of in (("3.png", "0.copy.png"), ("y.png", "1.png"), ("z.png", "1.png"))
  ]


@pytest.mark.parametrize("copies", range(1, 6))
def test_no_photograph_is_in_both_splits(folder, tmp_path, copies):
  """Whichever side a name falls on, and when all of a side are copies."""
  for number in range(copies):
    for seed in range(5):
      path = folder / f"copy{number}-{seed}.png"
      path.write_bytes((folder / f"{seed}.png").read_bytes())
  settings = config(folder, eval_share=0.3)
  layout = tfx_layout(settings)
  manifest = mine(settings, tmp_path / "out", layout=layout)
  train, evals = (
    {p.pixels.tobytes() for p in patches(tmp_path / "out" / f"Split-{split}")}
    for split in ("train", "eval")
  )
  assert train
  assert evals
  assert not train & evals
  counts = manifest["counts"]
  assert counts["duplicates"] == 5 * copies
  assert sum(split["photographs"] for split in counts["splits"].values()) == 5


def test_a_split_of_copies_alone_is_filled_with_others(folder, tmp_path):
  settings = config(folder, eval_share=0.01)
  layout = tfx_layout(settings)
  (only,) = layout.assign(list_sources(settings.images)[0])["eval"]
  (folder / "+.png").write_bytes(
    (folder / only.id).read_bytes()
  )  # kept, as it is first
  (same,) = layout.assign(list_sources(settings.images)[0])["eval"]
  assert same.id == only.id
  manifest = mine(settings, tmp_path / "out", layout=layout)
  assert manifest["counts"]["duplicates"] == 1
  assert manifest["counts"]["splits"]["eval"]["photographs"] == 1
  assert manifest["counts"]["splits"]["train"]["photographs"] == 4
  assert only.id not in {patch.source for patch in patches(tmp_path / "out")}


def test_copies_are_no_reason_to_fail(folder, tmp_path):
  for number in range(20):
    (folder / f"{number}c.png").write_bytes((folder / "1.png").read_bytes())
  manifest = mine(config(folder, max_dead_share=0.0), tmp_path / "out")
  assert manifest["counts"]["duplicates"] == 20


def test_mirrored_or_cut_photographs_are_others(folder, tmp_path):
  pixels = photograph(1)
  Image.fromarray(np.ascontiguousarray(pixels[:, ::-1])).save(folder / "mirrored.png")
  Image.fromarray(pixels[:-1]).save(folder / "cut.png")
  flat = np.full((96, 128, 3), 7, np.uint8)
  Image.fromarray(flat).save(folder / "flat.png")
  Image.fromarray(flat.reshape(128, 96, 3)).save(folder / "flat-turned.png")
  assert mine(config(folder), tmp_path / "out")["counts"]["duplicates"] == 0
