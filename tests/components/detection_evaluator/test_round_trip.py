"""`hardmine detect --coco`, `hardmine evaluate coco` and the evaluator agree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hardmine.components.detection_evaluator.annotated_set import AnnotatedSet
from hardmine.components.detection_evaluator.measurement import measure_detector
from hardmine.pipelines.cli.main import main
from hardmine.trainers.detection.detector import Detector


@pytest.fixture
def case(fakes, tmp_path, monkeypatch):
  """Images, their annotations in COCO's format, and a detector with many faults."""
  monkeypatch.chdir(tmp_path)
  categories = fakes.categories(4, step=3)
  images = [fakes.image(i, categories, num=2 + i % 4, crowds=i % 3) for i in range(6)]
  faults = {"share": 0.8, "mistaken": 0.2, "false": 5, "shift_px": 3}
  detector = fakes.Detector(images, categories, **faults)
  monkeypatch.setattr(Detector, "load", lambda *_: detector)
  Path("model/assets.extra").mkdir(parents=True)
  Path("model/saved_model.pb").touch()
  Path("model/assets.extra/detector.json").write_text("{}")
  data = AnnotatedSet.of(images, categories)
  Path("true.json").write_text(json.dumps(data.to_coco()))
  return images, data, detector


@pytest.mark.parametrize("named", ["by_annotations", "by_numbers"])
def test_a_file_of_detections_measures_as_the_evaluator_does(case, named, capsys):
  images, data, detector = case
  words = ["detect", "--model", "model", "--coco", "found.json"]
  if named == "by_annotations":
    words += ["--annotations", "true.json"]
  for image in images:
    number = image.source_id
    path = Path("pictures") / f"{number}.png"
    if named == "by_annotations":
      path = Path("elsewhere") / image.filename
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image.encoded)
    words.append(str(path))
  assert main([*words, "--min-score", "0.9"]) == 0  # of what is shown alone
  capsys.readouterr()
  files = ["--annotations", "true.json", "--detections", "found.json"]
  assert main(["evaluate", "coco", *files, "--json"]) == 0
  answer = json.loads(capsys.readouterr().out)
  measured = measure_detector(detector, data, "model")
  assert 0 < measured.coco.summary["AP"] < 1
  assert answer["summary"] == measured.coco.summary
  assert json.loads(Path("found.json").read_text()) == measured.to_results()
