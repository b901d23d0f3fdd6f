"""`hardmine study tradeoff`: the page that tells how, and what may go wrong."""

import json
import re
import shlex
import signal
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from hardmine.pipelines.cli.main import main
from tests.cli.process import start
from tests.e2e import browser

PAGE = Path(__file__).resolve().parents[2] / "docs" / "choose_a_detector.md"
TRAINED = "runs/ssd_small_set/store:candidate"
ONE_RUNTIME = ("--runtime", "onnxruntime", "--repeats", "1")
BROKEN = """
import dataclasses
from hardmine.pipelines.experiments import ssd_small_set
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1

class Broken(MobileNetV1):
  @staticmethod
  def feature_maps(images, width, batch_norm_momentum):
    raise RuntimeError("no such layer")

def experiment():
  made = ssd_small_set.experiment()
  detector = dataclasses.replace(made.detector, feature_extractor=Broken)
  return dataclasses.replace(made, name="broken", detector=detector)
"""


def commands():
  text = PAGE.read_text("utf-8").replace("\\\n", " ")
  blocks = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)
  lines = [line for kind, block in blocks if not kind for line in block.splitlines()]
  return [shlex.split(line)[1:] for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
  """Photographs, annotated images, and a small detector of two stages."""
  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import (
    FasterRCNNConfig,
    KeptProportions,
    ProposalConfig,
  )
  from hardmine.trainers.detection.exports.export import export_detector
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
  from hardmine.trainers.detection.meta_architectures.faster_rcnn import FasterRCNN

  home = tmp_path_factory.mktemp("study")
  config = FasterRCNNConfig(
    feature_extractor=MobileNetV1,
    width=1 / 16,
    resizer=KeptProportions(min_side_px=64, max_side_px=96),
    proposals=ProposalConfig(depth=16, max_proposals=8),
  )
  categories = Categories(categories=(Category(id=1, name="animal"),))
  export_detector(FasterRCNN(config, 1), categories, home / "model")
  rng = np.random.default_rng(0)
  images, annotations = [], []
  for folder in ("photos", "animals"):
    (home / folder).mkdir()
    for index in range(3):
      image = Image.fromarray(rng.integers(0, 256, (90, 120, 3), np.uint8))
      ImageDraw.Draw(image).rectangle((20, 20, 80, 70), fill="orange")
      image.save(home / folder / f"{index}.png")
  for index in range(3):
    name = {"id": index + 1, "file_name": f"{index}.png"}
    images.append({**name, "width": 120, "height": 90})
    annotations.append(
      {"id": index + 1, "image_id": index + 1, "category_id": 1, "iscrowd": 0}
      | {"bbox": [20, 20, 60, 50], "area": 3000}
    )
  whole = {"images": images, "annotations": annotations}
  whole["categories"] = [{"id": 1, "name": "animal"}]
  (home / "animals.json").write_text(json.dumps(whole))
  (home / "broken.py").write_text(BROKEN)
  return home


@pytest.fixture(autouse=True)
def there(request, monkeypatch):
  if "home" in request.fixturenames:
    monkeypatch.chdir(request.getfixturevalue("home"))


def study(*words):
  own = ["--only", "none", "--model", "model", *ONE_RUNTIME]
  return main(["study", "tradeoff", *own, *words])


def rows(output):
  return {row["name"]: row for row in json.loads(table(output))["rows"]}


def table(output):
  return Path(output, "table.json").read_text("utf-8")


def measured(output):
  """File to when it was written."""
  return {
    path.name: path.stat().st_mtime_ns for path in Path(output, "measured").iterdir()
  }


@pytest.mark.slow
@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_each_command_of_the_page_works(home, words):
  if words[0] == "run":
    return  # trains; `test_your_own_data` does
  words = ["model" if word == TRAINED else word for word in words]
  small = ["--width", "0.0625", "--categories", "2"]
  if "--only" not in words:
    small += ["--only", "ssd-mobilenet*"]
  if "--predict" not in words:
    small += ONE_RUNTIME
  assert main([*words, *small]) == 0
  output = words[words.index("--output") + 1]
  found = rows(output)
  assert found
  assert all(row["ms"] > 0 and row["problem"] is None for row in found.values())
  for name in ("table.csv", "table.md", "index.html"):
    assert Path(output, name).stat().st_size > 0


@pytest.mark.slow
def test_it_goes_on_where_it_stopped_and_mixes_no_settings(home):
  data = ("--images", "animals", "--annotations", "animals.json")
  words = ("--proposals", "1,8", "--resolutions", "96", *data, "--output", "out")
  assert study(*words) == 0
  found, files = rows("out"), measured("out")
  assert list(found) == ["model-96-proposals_1", "model-96-proposals_8"]
  for row in found.values():
    assert 0 <= row["AP"] <= 1
    assert row["evaluated_images"] == 3
    assert row["ms"] >= row["onnxruntime__network_ms"] > 0
    assert row["onnxruntime__peak_mib"] > row["onnxruntime__idle_mib"] > 0
    parts = ("preparation", "first_stage", "proposals", "second_stage")
    assert all(row[f"onnxruntime__{part}_ms"] >= 0 for part in parts)
  fewer, more = (row["multiply_adds"] for row in found.values())
  assert fewer < more
  assert len(files) == 2 * 2  # a time and a precision of each
  assert study(*words) == 0
  assert measured("out") == files
  for name, row in rows("out").items():  # estimates are made anew
    assert {**row, "estimated_ms": 0} == {**found[name], "estimated_ms": 0}
  assert study(*words, "--repeats", "2") == 0
  assert len(measured("out")) == 6
  assert files.items() < measured("out").items()


@pytest.mark.slow
def test_one_that_fails_is_a_row_and_no_end(home, capsys):
  assert study("--experiment", "broken.py", "--output", "broken") == 1
  found = rows("broken")
  assert found["broken"]["problem"] == "cannot be built: no such layer"
  assert found["broken"]["parameters"] is None
  assert found["model"]["problem"] is None
  assert found["model"]["ms"] > 0
  assert "1 of 2 detectors could not be measured" in capsys.readouterr().err
  page = Path("broken", "index.html").read_text("utf-8")
  assert "Broken: cannot be built: no such layer" in page
  lines = Path("broken", "table.csv").read_text("utf-8").splitlines()
  assert len(lines) == 3


@pytest.mark.slow
def test_a_measurement_that_takes_too_long_is_a_row(home):
  assert study("--limit-seconds", "0.01", "--output", "hasty") == 1
  assert "took more than 0.01 s" in rows("hasty")["model"]["problem"]
  assert measured("hasty") == {}
  assert study("--output", "hasty") == 0  # failures are tried again
  assert rows("hasty")["model"]["problem"] is None


@pytest.mark.slow
def test_an_interrupt_leaves_whole_tables_and_nobody_behind(home):
  mark = uuid.uuid4().hex
  words = ["study", "tradeoff", "--only", "none", "--model", "model", "--output", "cut"]
  words += ["--runtime", "onnxruntime", "--repeats", "1000000", "--seconds", "600"]
  process = start(home, words, HARDMINE_TEST=mark)
  for line in process.stderr:
    if line.startswith("measuring"):
      break
  time.sleep(1)
  process.send_signal(signal.SIGINT)
  _, said = process.communicate(timeout=60)
  assert process.returncode == 130, said
  assert rows("cut")["model"]["parameters"] > 0
  assert not [one for one in Path("/proc").glob("[0-9]*/environ") if holds(one, mark)]
  assert study("--output", "cut") == 0


def holds(path, mark):
  try:
    return mark.encode() in path.read_bytes()
  except OSError:
    return False


@pytest.mark.slow
def test_the_page_opens_and_fetches_nothing(home, tmp_path):
  assert study("--output", "opened") == 0
  text = Path("opened", "index.html").read_text("utf-8")
  assert "<script" not in text
  assert not re.findall(r"(?:src|href)=\"(?!#)|url\(|@import|https?://", text)
  if browser.executable() is None:
    pytest.skip("no browser")
  with browser.open_page(tmp_path) as page:
    for size in ((1280, 800), (390, 844)):
      page.open(Path("opened", "index.html").resolve().as_uri(), *size)
      page.wait_for("document.querySelector('#tradeoff svg')")
      assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
      assert "1 detector side by side" in page.text("h1")
    assert page.complaints == []


@pytest.mark.parametrize(
  ("words", "said"),
  [
    (["--only", "yolo*"], "only='yolo*'"),
    (["--only", "none"], "--experiment or --model beside --only none"),
    (["--proposals", "ten"], "proposals='ten'"),
    (["--repeats", "0"], "repeats=0"),
    (["--width", "0"], "width=0.0"),
    (["--images", "."], "--images and --annotations together"),
    (["--images", ".", "--annotations", "."], "--model REF"),
    (["--model", "nowhere"], "model='nowhere'"),
    (["--photographs", "nowhere.jpg"], "nowhere.jpg"),
    (["--experiment", "codec_cpu"], "experiment='codec_cpu'"),
  ],
  ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_word_is_one_line_and_leaves_nothing(words, said, tmp_path, capsys):
  output = tmp_path / "out"
  assert main(["study", "tradeoff", "--output", str(output), *words]) in (1, 2)
  (line,) = capsys.readouterr().err.splitlines()
  assert said in line
  assert not output.exists()
