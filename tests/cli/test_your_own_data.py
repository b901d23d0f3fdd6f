"""Data of one's own, by the commands of the page that tells how."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from tests.e2e.node_processes import DETECTION, node_processes

PAGE = Path(__file__).resolve().parents[2] / "docs" / "your_own_data.md"
# What is set behind the words of the page: the same story, but small.
SMALL = {
  "ssd_small_set": (
    "detector.width=0.25",
    "detector.initial_weights=null",
    *("training.steps=2", "training.summary_steps=1", "training.batch_size=2"),
    *("training.batch_norm=train", "training.frozen_blocks=0"),
    "training.warmup_steps=0",
    "evaluation.gates.0.bound=0",
  ),
  "codec_cpu": (
    "mining.per_image=3",
    "codec.width=0.0625",
    *("training.steps=2", "training.summary_steps=1", "training.batch_size=2"),
    *("training.iterations=2", "evaluation.iterations=2"),
    "evaluation.gates.0.bound=0",
  ),
}


def commands():
  """The page's commands, word by word."""
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


def draw(folder, seed, num_images):
  """Noise with a rectangle, and the rectangles as COCO JSON beside the folder."""
  folder.mkdir()
  rng = np.random.default_rng(seed)
  images, annotations = [], []
  for index in range(num_images):
    image = Image.fromarray(rng.integers(0, 256, (176, 208, 3), np.uint8))
    x, y = rng.integers(10, 90, 2).tolist()
    ImageDraw.Draw(image).rectangle((x, y, x + 60, y + 50), fill="orange")
    image.save(folder / f"{index}.jpg")
    of_image = {"id": index + 1, "file_name": f"{index}.jpg"}
    images.append({**of_image, "width": 208, "height": 176})
    annotations.append(
      {"id": index + 1, "image_id": index + 1, "category_id": 1, "iscrowd": 0}
      | {"bbox": [x, y, 60, 50], "area": 3000}
    )
  images.append({"id": 99, "file_name": "lost.jpg", "width": 9, "height": 9})
  whole = {"images": images, "annotations": annotations}
  whole["categories"] = [{"id": 1, "name": "animal"}]
  folder.with_suffix(".json").write_text(json.dumps(whole))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("own")
  for seed, (name, num_images) in enumerate(
    {"animals": 30, "train": 12, "test": 12}.items()
  ):
    draw(path / name, seed, num_images)
  (path / "moved").symlink_to("animals")
  for name, ending, num_images in (("photos", "JPG", 3), ("held_out", "png", 1)):
    (path / name).mkdir()
    for index in range(num_images):
      pixels = np.random.default_rng(index).integers(0, 256, (192, 192, 3), np.uint8)
      Image.fromarray(pixels).save(path / name / f"{index}.{ending}")
  Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(path / "photo.png")
  return path


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
  with node_processes(tmp_path_factory.mktemp("logs"), DETECTION) as processes:
    yield processes


@pytest.mark.slow
@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_of_the_page_works(folder, processes, words):
  if words[0] == "run":
    # Once to the end; the graph behind the examples is the same for all of them.
    begun = (folder / "runs" / words[1] / "store").exists()
    settings = [part for one in SMALL[words[1]] for part in ("--set", one)]
    words = [*words, *settings, *(["--to", "CocoGen"] if begun else [])]
  done = processes.run(*words, cwd=folder)
  assert done.status == 0, (words, done.output)
  if "--eval-share" not in words and words[0] == "run":
    assert ("lost.jpg: no such file" in done.output) is (words[1] != "codec_cpu")
