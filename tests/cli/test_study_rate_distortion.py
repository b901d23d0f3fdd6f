"""`hardmine study rate-distortion`: the page that tells how, and what may go wrong."""

import csv
import json
import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.studies.rate_distortion import conventional_codec
from tests.components.inference.tiny_models import CODEC, export_apart
from tests.pipelines.studies.rate_distortion.toy_codecs import photograph

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compare_codecs.md"
TRAINED = ("runs/mine/store:production", "runs/other/model")
QUICK = ("--points", "3", "--pictures", "1")


def commands():
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


@pytest.fixture
def there(tmp_path, monkeypatch):
  """A folder with photographs, in which the command is given."""
  monkeypatch.chdir(tmp_path)
  Path("photos").mkdir()
  for number in (10, 20):
    photograph(number).save(f"photos/{number}.png")
  return tmp_path


def study(*words, codecs="jpeg_420", output="out"):
  own = ["--images", "photos", "--output", output, "--codecs", codecs, *QUICK]
  return main(["study", "rate-distortion", *own, *words])


def table(output="out"):
  return json.loads(Path(output, "table.json").read_text("utf-8"))


def measured(output="out"):
  """File to when it was written."""
  return {
    path.name: path.stat().st_mtime_ns for path in Path(output, "measured").iterdir()
  }


@pytest.mark.slow
def test_each_command_of_the_page_works(there, capsys):
  from hardmine.trainers.codec.codec import Codec

  export_apart(there)
  model = str(there / CODEC)
  for words in commands():
    words = [model if word in TRAINED else word for word in words]
    assert main([*words, *QUICK, "--iterations", "3"]) == 0, capsys.readouterr().err
    output = words[words.index("--output") + 1]
    found = table(output)
    assert all(row["ms_ssim_area"] > 0 for row in found["rows"])
    for name in ("table.csv", "table.md", "points.csv", "index.html", "ms_ssim.svg"):
      assert Path(output, name).stat().st_size > 0
    if model not in words:
      continue
    key = found["rows"][0]["key"]
    assert found["rows"][0]["is_model"]
    codec = Codec.load(model)
    pixels = np.asarray(Image.open("photos/10.png"))
    of_image = found["codecs"][key]["images"]["10.png"]
    pictures = codec.reconstructions(pixels, 3)
    for count in (1, 2, 3):
      data = codec.compress(pixels, iterations=count)
      assert of_image["file_bpp"][count - 1] == pytest.approx(
        8 * len(data) / (pixels.shape[0] * pixels.shape[1])
      )
      np.testing.assert_array_equal(codec.decompress(data), pictures[count - 1])
    seconds = found["codecs"][key]["seconds"]["10.png"]["encode"]
    assert all(one > 0 for one in seconds)  # 1, 2 and the last one are timed
    assert json.loads(Path(output, "compressai", f"{key}.json").read_text())


def test_it_writes_everything_and_goes_on_where_it_stopped(there, capsys):
  assert study("--json") == 0
  answer = json.loads(capsys.readouterr().out)
  assert all(Path(path).is_file() for path in answer["files"].values())
  assert [row["key"] for row in answer["rows"]] == ["jpeg_420", "jpeg_420_optimised"]
  assert (
    answer["rows"][1]["ms_ssim_bd_rate"] < 0 == answer["rows"][0]["ms_ssim_bd_rate"]
  )
  with open("out/points.csv", newline="") as file:
    assert len(list(csv.DictReader(file))) == 6
  before = measured()
  photograph(30).save("photos/30.png")
  assert study("--json") == 0
  after = measured()
  assert {name: after[name] for name in before} == before
  assert len(after) == len(before) + 3  # points of the new one; two are shown before it
  assert table()["num_images"] == 3


def test_the_same_pictures_spelled_otherwise_are_not_measured_again(there, monkeypatch):
  assert study() == 0
  before = measured()
  (there / "elsewhere").mkdir()
  monkeypatch.chdir(there / "elsewhere")
  shutil.copytree("../photos", "copied")
  words = ["--images", "./copied/*.png", "--output", "../out", "--codecs", "jpeg_420"]
  assert main(["study", "rate-distortion", *words, *QUICK]) == 0
  assert measured("../out") == before


def test_a_picture_that_is_none_is_told_and_the_others_are_measured(there, capsys):
  (there / "photos" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
  Image.new("RGB", (20, 20)).save("photos/small.png")
  assert study() == 1
  assert "torn.png (unreadable)" in capsys.readouterr().err
  assert table()["num_images"] == 2
  assert {one["image"] for one in table()["left_out"]} == {"torn.png", "small.png"}
  assert "torn.png" in Path("out/index.html").read_text("utf-8")
  Path("photos/torn.png").unlink()
  assert study() == 0  # a small one is left out, and nothing has failed


def test_a_codec_that_fails_is_told_and_the_others_are_measured(
  there, capsys, monkeypatch
):
  original = conventional_codec.encode

  def broken(image, family, variant, quality):
    if family.format == "WEBP":
      raise OSError("encoder error -2")
    return original(image, family, variant, quality)

  monkeypatch.setattr(conventional_codec, "encode", broken)
  assert study(codecs="jpeg_420,webp") == 1
  assert "WebP is left out: it failed on 2 of 2 pictures" in capsys.readouterr().err
  assert [row["key"] for row in table()["rows"]] == ["jpeg_420", "jpeg_420_optimised"]
  assert table()["problems"]


@pytest.mark.parametrize(
  ("words", "line"),
  [
    (["--codecs", "gif"], "jpeg_420, jpeg_444, webp"),
    (["--codecs", "none"], "--model beside --codecs none"),
    (["--points", "1"], "--points of 2 or more"),
    (["--max-images", "0"], "--max-images of 1 or more"),
    (["--reference", "png"], "one of jpeg_420, jpeg_420_optimised"),
    (["--images", "nothing/*"], "nothing/*"),
    (["--output", "photos"], "an output folder that is new"),
    (["--output", "other"], "an earlier study's"),
  ],
)
def test_a_mistake_is_one_line(there, capsys, words, line):
  Path("other").mkdir()
  Path("other/study.json").write_text('{"kind": "tradeoff"}')
  given = {"--images": "photos", "--output": "out", "--codecs": "jpeg_420"}
  given |= dict(zip(words[::2], words[1::2]))
  if words[0] != "--points":
    given["--points"] = "3"
  flat = [word for pair in given.items() for word in pair]
  assert main(["study", "rate-distortion", *flat]) == 2
  (told,) = capsys.readouterr().err.splitlines()
  assert line in told
  assert not Path("out").exists()


@pytest.mark.slow
def test_height_maps_are_drawn_over_their_pictures(there, monkeypatch):
  """Heights are made up, since nothing helps an untrained codec."""
  from hardmine.trainers.codec.running import adaptive

  def by_column(errors, level):
    iterations, rows, columns = errors.shape
    heights = 1 + np.arange(columns) % (iterations if level else 1)
    return np.tile(heights, (rows, 1)).astype(np.uint8)

  monkeypatch.setattr(adaptive, "heights_at", by_column)
  export_apart(there)
  model = ["--model", str(there / CODEC), "--iterations", "3", "--adaptive"]
  assert study(*model, codecs="none") == 0
  plain, adaptive = table()["rows"]
  assert adaptive["title"] == f"{plain['title']}, adaptive"
  assert adaptive["is_model"]
  points = table()["codecs"][adaptive["key"]]["points"]
  assert points == list(range(5, 41, 5))
  page = Path("out/index.html").read_text("utf-8")
  assert "Where the bits go" in page
  assert page.count("iterations on average") == page.count("data:image/jpeg") > 0
  before = measured()
  assert study(*model, codecs="none") == 0
  assert measured() == before
