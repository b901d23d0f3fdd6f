"""What the serving check asks of a detector, and what it refuses."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.exported_model import FACTS_PATHS, GRAPH, LIGHT_FACTS
from hardmine.serving.probe import infra_probe, questions
from hardmine.trainers.detection.detector import Detections, Detector


class SoundDetector:
  """Finds two boxes; what it finds can be replaced."""

  model_id = bytes(8)
  categories = Categories(categories=(Category(id=3, name="a"),))

  def __init__(self, found=None):
    self.found = {
      "boxes_yxyx_px": [[0, 0, 41, 50], [1, 2, 3, 4]],
      "scores": [0.9, 0.2],
      "category_ids": [3, 3],
      **(found or {}),
    }

  def detect(self, image):
    assert image.shape == (questions.HEIGHT_PX, questions.WIDTH_PX, 3)
    return self._detections(self.found)

  def _detections(self, columns):
    return Detections(
      boxes_yxyx_px=np.array(columns["boxes_yxyx_px"], np.float32).reshape(-1, 4),
      scores=np.array(columns["scores"], np.float32),
      category_ids=np.array(columns["category_ids"], np.int64),
    )


@pytest.fixture
def ask(tmp_path, monkeypatch):
  """Probes a detector; all counts as absent whatever other tests have imported."""
  for name in ("tfx", "apache_beam", "tensorflow", "keras"):
    monkeypatch.delitem(sys.modules, name, raising=False)
  (tmp_path / GRAPH).touch()
  (tmp_path / FACTS_PATHS["detector"]).parent.mkdir()
  (tmp_path / FACTS_PATHS["detector"]).write_text("{}")
  (tmp_path / LIGHT_FACTS).parent.mkdir()
  (tmp_path / LIGHT_FACTS).write_text("{}")

  def ask(**columns):
    monkeypatch.setattr(
      Detector, "load", lambda path, runtime: SoundDetector(**columns)
    )
    return infra_probe.probe(str(tmp_path))

  return ask


NOTHING = {"boxes_yxyx_px": [], "scores": [], "category_ids": []}


def test_a_sound_detector_answers(ask):
  answer = ask()
  assert (answer["kind"], answer["num_detections"]) == ("detector", 2)
  assert answer["runtime"] in ("onnxruntime", "openvino")
  assert answer["model_id"] == bytes(8).hex()
  assert answer["load_seconds"] >= 0
  assert answer["answer_seconds"] >= 0
  assert ask(found=NOTHING)["num_detections"] == 0


@pytest.mark.parametrize(
  ("found", "message"),
  [
    ({"boxes_yxyx_px": [[0, 0, 9, 9]]}, "shapes"),
    ({"scores": [0.9, np.nan]}, "not finite"),
    ({"boxes_yxyx_px": [[0, 0, 9, 9], [0, 0, np.inf, 9]]}, "not finite"),
    ({"boxes_yxyx_px": [[0, 0, 9, 9], [-1, 0, 9, 9]]}, "not inside the picture"),
    ({"boxes_yxyx_px": [[0, 0, 9, 9], [0, 0, 50, 41]]}, "not inside the picture"),
    ({"boxes_yxyx_px": [[0, 0, 9, 9], [9, 9, 5, 20]]}, "not inside the picture"),
    ({"scores": [1.5, 0.2]}, "between 0 and 1"),
    ({"scores": [0.2, 0.9]}, "do not come first"),
    ({"category_ids": [3, 0]}, "category 0 is none"),
  ],
)
def test_an_unsound_detector_is_refused(ask, found, message):
  with pytest.raises(RuntimeError, match=message):
    ask(found=found)


@pytest.mark.parametrize("name", ["tfx", "apache_beam", "tensorflow", "keras"])
def test_importing_what_the_runtime_does_not_need_is_refused(ask, monkeypatch, name):
  monkeypatch.setitem(sys.modules, name, infra_probe)
  with pytest.raises(RuntimeError, match=f"imported {name}"):
    ask()


def test_a_model_of_before_may_import_tensorflow(ask, monkeypatch, tmp_path):
  monkeypatch.setitem(sys.modules, "tensorflow", infra_probe)
  (tmp_path / LIGHT_FACTS).unlink()
  assert ask()["runtime"] == "tensorflow"
  monkeypatch.setitem(sys.modules, "tfx", infra_probe)
  with pytest.raises(RuntimeError, match="imported tfx"):
    ask()


def test_a_folder_of_neither_kind_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"codec\.json.*detector\.json.*model_dir="):
    infra_probe.probe(str(tmp_path))
