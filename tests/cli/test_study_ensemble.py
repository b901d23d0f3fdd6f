"""`hardmine study ensemble`: the page that tells how, and what may go wrong."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hardmine.pipelines.cli.main import main

PAGE = Path(__file__).resolve().parents[2] / "docs" / "combine_detectors.md"
TRAINED = {
  "runs/ssd_small_set/store:candidate": "ssd",
  "runs/faster_rcnn_small_set/store:candidate": "faster_rcnn",
}
NUM_IMAGES = 6


def commands():
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  """Photographs, annotated images, and two small detectors that see something."""
  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import (
    FasterRCNNConfig,
    ProposalConfig,
    SSDConfig,
    Stretched,
  )
  from hardmine.trainers.detection.exports.export import export_detector
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
  from hardmine.trainers.detection.meta_architectures.faster_rcnn import FasterRCNN
  from hardmine.trainers.detection.meta_architectures.ssd import SSD
  from tests.trainers.detection.seeing import seeing

  home = tmp_path_factory.mktemp("together")
  shared = {"feature_extractor": MobileNetV1, "width": 1 / 16}
  size = Stretched(height_px=64, width_px=64)
  two_stages = FasterRCNNConfig(
    **shared, resizer=size, proposals=ProposalConfig(depth=16, max_proposals=8)
  )
  one_stage = SSDConfig(**shared, resolution_px=96)
  names = Categories(categories=(Category(id=1, name="animal"),))
  export_detector(seeing(FasterRCNN(two_stages, 1)), names, home / "faster_rcnn")
  export_detector(seeing(SSD(one_stage, 1)), names, home / "ssd")
  rng = np.random.default_rng(0)
  images, annotations = [], []
  for folder in ("photos", "animals"):
    (home / folder).mkdir()
    for index in range(2 if folder == "photos" else NUM_IMAGES):
      image = Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8))
      ImageDraw.Draw(image).rectangle((20, 20, 80, 70), fill="orange")
      image.save(home / folder / f"{index}.png")
  for index in range(NUM_IMAGES):
    name = {"id": index + 1, "file_name": f"{index}.png"}
    images.append({**name, "width": 120, "height": 90})
    annotations.append(
      {"id": index + 1, "image_id": index + 1, "category_id": 1, "iscrowd": 0}
      | {"bbox": [20, 20, 60, 50], "area": 3000}
    )
  whole = {"images": images, "annotations": annotations}
  whole["categories"] = [{"id": 1, "name": "animal"}]
  (home / "animals.json").write_text(json.dumps(whole))
  return home


@pytest.mark.slow
def test_the_page_is_true(home, monkeypatch, capsys):
  monkeypatch.chdir(home)
  for words in commands():
    assert main([TRAINED.get(word, word) for word in words]) == 0, words
  assert "over the best model alone" in capsys.readouterr().out
  table = json.loads(Path("together", "table.json").read_text("utf-8"))
  assert table["num_choosing"] + table["num_judging"] == NUM_IMAGES
  assert {row["name"] for row in table["rows"]} >= {"ssd", "faster_rcnn"}
  assert {row["passes"] for row in table["rows"]} >= {1, 2, 5, 10}
  assert all(row["seconds"] > 0 for row in table["rows"])
  for name in ("table.csv", "table.md", "index.html"):
    assert Path("together", name).stat().st_size > 0
  text = Path("together", "index.html").read_text("utf-8")
  assert not re.findall(r"<script|(?:src|href)=\"(?!#)|url\(|@import|https?://", text)
  assert len(list(Path("drawn_together").iterdir())) == 2
  measured = sorted(Path("together", "measured").iterdir())
  written = [path.stat().st_mtime_ns for path in measured]
  assert len(measured) == 2 * 2 * 4  # models, files, and kinds of views

  # The same study again runs nothing, and its file gives what it measured.
  words = ["study", "ensemble", "--model", "ssd", "--model", "./faster_rcnn"]
  words += ["--images", "animals", "--annotations", "animals.json"]
  assert main([*words, "--output", "together", "--json"]) == 0
  answer = json.loads(capsys.readouterr().out)
  assert [path.stat().st_mtime_ns for path in measured] == written
  (chosen,) = [row for row in answer["rows"] if row["chosen"]]
  detect = ["detect", "animals", "--ensemble", "together/ensemble.json"]
  detect += ["--coco", "found.json", "--annotations", "animals.json"]
  assert main([*detect, "--min-score", "0"]) == 0
  capsys.readouterr()
  evaluate = ["evaluate", "coco", "--annotations", "animals.json"]
  assert main([*evaluate, "--detections", "found.json", "--json"]) == 0
  summary = json.loads(capsys.readouterr().out)["summary"]
  parts = sorted([chosen["AP"], chosen["AP_choosing"]])
  assert summary["AR_100"] >= 0
  assert parts[0] - 0.2 <= summary["AP"] <= parts[1] + 0.2


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["--size", "0"], "size=0"),
    (["--similarity", "2"], "similarity=2.0"),
    (["--judging-share", "1"], "share=1.0"),
    (["--crops", "x"], "crops='x'"),
    (["--iou-threshold", "1"], "iou_threshold=1.0"),
    (["--images", "nowhere"], "images='nowhere'"),
    (["--only", "nowhere.txt"], "only='nowhere.txt'"),
    ([], "model='none'"),
    (["--output", "full"], "an earlier study's (ensemble)"),
  ],
  ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_one_line_and_leaves_nothing(
  words, said, tmp_path, monkeypatch, capsys
):
  monkeypatch.chdir(tmp_path)
  Path("full").mkdir()
  Path("full", "notes.txt").write_text("mine")
  given = ["--model", "none", "--images", ".", "--annotations", ".", "--output", "out"]
  assert main(["study", "ensemble", *given, *words]) in (1, 2)
  (line,) = capsys.readouterr().err.splitlines()
  assert said in line
  assert not Path("out").exists()
