"""The light form of a detector beside its SavedModel, and what it needs and refuses."""

from __future__ import annotations

import concurrent.futures
import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import PostprocessingConfig, SSDConfig
from hardmine.schemas.exported_model import (
  has_light_form,
  light_graph,
  read_facts,
  read_light_facts,
)
from hardmine.trainers import onnx_export
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.exports import light_export
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.running.light_network import LightNetwork
from hardmine.trainers.images import decode_rgb
from tests.trainers.detection.seeing import check_equal, pictures, seeing
from tests.trainers.detection.tiny_extractor import TinyExtractor

LIGHT_RUNTIMES = ["onnxruntime", "openvino"]
MORE_THAN_USUAL = PostprocessingConfig(max_detections=150, max_per_class=120)
AGNOSTIC = PostprocessingConfig(class_agnostic=True, iou_threshold=0.5)


SETTINGS = {
  "sigmoid": ("sigmoid", MORE_THAN_USUAL, 5),
  "one_category": ("softmax", AGNOSTIC, 1),
  "agnostic": ("softmax", AGNOSTIC, 4),
}


@pytest.fixture(scope="module")
def export(tmp_path_factory):
  """Gives an exported model's folder by the name of its settings."""

  @functools.cache
  def export(name):
    classification, postprocessing, num_categories = SETTINGS[name]
    config = SSDConfig(
      feature_extractor=TinyExtractor,
      resolution_px=96,
      classification=classification,
      postprocessing=postprocessing,
    )
    categories = [Category(id=7 * i + 2, name=str(i)) for i in range(num_categories)]
    folder = tmp_path_factory.mktemp(name) / "model"
    export_detector(
      seeing(SSD(config, num_categories)),
      Categories(categories=tuple(categories)),
      folder,
    )
    return folder

  return export


@pytest.fixture
def exported(export):
  return export("sigmoid")


@pytest.fixture(params=LIGHT_RUNTIMES)
def light(exported, request):
  pytest.importorskip(request.param)
  return LightNetwork(exported, request.param)


@pytest.mark.parametrize("runtime", LIGHT_RUNTIMES)
@pytest.mark.parametrize(
  "name",
  [
    "sigmoid",
    pytest.param("one_category", marks=pytest.mark.slow),
    pytest.param("agnostic", marks=pytest.mark.slow),
  ],
)
def test_it_answers_as_the_saved_model_does(export, name, runtime, data_dir):
  pytest.importorskip(runtime)
  exported = export(name)
  paths = sorted((data_dir / "raccoon" / "images").glob("*.jpg"))[:6]
  photographs = [decode_rgb(path.read_bytes()) for path in paths]
  light, whole = (Detector.load(exported, name) for name in (runtime, "tensorflow"))
  for image in [*photographs, *pictures([(31, 457), (96, 96), (203, 77), (1, 1)])]:
    check_equal(light.detect(image), whole.detect(image))


def test_one_setting_of_suppression_everywhere(exported):
  """Here more than the hundred that other exports stop at."""
  whole = read_facts(exported, "detector")["config"]["postprocessing"]
  assert read_light_facts(exported)["postprocessing"] == whole
  if whole["max_detections"] == MORE_THAN_USUAL.max_detections:
    assert (
      len(Detector.load(exported, "onnxruntime").detect(*pictures([(90, 80)]))) > 100
    )


def test_facts_say_what_goes_in_and_comes_out(exported):
  facts = read_light_facts(exported)
  graph = facts["graphs"]["network"]
  pixels = {"dtype": "float32", "shape": ["batch", 96, 96, 3]}
  assert graph["inputs"] == {"pixels": pixels}
  assert graph["outputs"]["boxes_yxyx_norm"]["shape"] == ["batch", 192, 4]
  assert graph["outputs"]["scores"]["shape"] == ["batch", 192, 5]
  assert facts["preparation"] == {"height_px": 96, "kind": "stretched", "width_px": 96}


def test_a_batch_is_seen_as_one_by_one(light):
  pixels = np.random.default_rng(2).uniform(0, 255, (5, 96, 96, 3)).astype(np.float32)
  for batch in (1, 2, 5):
    together = light.raw(pixels[:batch])
    for index in range(batch):
      alone = light.raw(pixels[index : index + 1])
      for all_of_them, one in zip(together, alone):
        np.testing.assert_allclose(all_of_them[index], one[0], atol=1e-5)


@pytest.mark.parametrize(
  ("shape", "dtype"),
  [
    ((1, 97, 96, 3), "float32"),
    ((1, 96, 96, 4), "float32"),
    ((0, 96, 96, 3), "float32"),
    ((96, 96, 3), "float32"),
    ((1, 96, 96, 3), "float64"),
  ],
)
def test_what_the_network_does_not_take_is_refused(light, shape, dtype):
  with pytest.raises(
    ValueError, match=r"^Expected float32 pixels \['batch', 96, 96, 3"
  ):
    light.raw(np.zeros(shape, dtype))


def test_a_picture_without_pixels_is_refused(light):
  with pytest.raises(ValueError, match=r"with pixels\. Received: shape=\(0, 5, 3\)"):
    light.detect(np.zeros((0, 5, 3), np.uint8))


@pytest.mark.parametrize("runtime", ["onnxruntime", "tensorflow"])
def test_one_stage_makes_no_proposals(exported, runtime):
  with pytest.raises(ValueError, match=r"^Expected a model of two stages.*makes none"):
    Detector.load(exported, runtime, max_proposals=10)


def test_several_threads_may_ask(light):
  images = pictures([(60 + 7 * i, 80) for i in range(16)])
  expected = [light.detect(image) for image in images]
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for found, alone in zip(pool.map(light.detect, images), expected):
      for ours, theirs in zip(found, alone):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_a_graph_that_answers_otherwise_is_not_exported(
  exported, tmp_path, monkeypatch
):
  """As a layer that the converter gets wrong would: here it is of other weights."""
  import onnx

  graph = onnx.load(light_graph(exported, "network"))
  monkeypatch.setattr(onnx_export, "to_onnx", lambda *_, **__: graph)
  config = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
  with pytest.raises(RuntimeError, match=r"boxes_yxyx_norm .* up to .* apart"):
    light_export.write_light(SSD(config, 5), tmp_path)
  assert not has_light_form(tmp_path)


def test_a_graph_that_does_not_run_is_not_exported(tmp_path, monkeypatch):
  """As of a layer that the converter does not know."""
  from onnx import TensorProto, helper

  pixels, boxes = (
    helper.make_tensor_value_info(name, TensorProto.FLOAT, [1])
    for name in ("pixels", "boxes_yxyx_norm")
  )
  node = helper.make_node("Lgamma", ["pixels"], ["boxes_yxyx_norm"])
  graph = helper.make_model(helper.make_graph([node], "g", [pixels], [boxes]))
  monkeypatch.setattr(onnx_export, "to_onnx", lambda *_, **__: graph)
  config = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
  with pytest.raises(RuntimeError, match=r"Lgamma.*perhaps a layer .* tf2onnx"):
    light_export.write_light(SSD(config, 5), tmp_path)
  assert not has_light_form(tmp_path)


ALONE = """
import json, sys
import numpy as np
from hardmine.trainers.detection.results import coco_results, drawing, objects
from hardmine.trainers.detection.detector import Detector
detector = Detector.load(*sys.argv[1:])
found = detector.detect(np.full((50, 60, 3), 99, np.uint8))
objects.to_objects(found, detector.categories)
heavy = {"tensorflow", "keras", "tfx", "apache_beam", "jax", "torch"} & set(sys.modules)
print(json.dumps([len(found), sorted(heavy)]))
"""


@pytest.mark.parametrize("runtime", LIGHT_RUNTIMES)
def test_neither_tensorflow_nor_keras_is_imported(exported, runtime):
  pytest.importorskip(runtime)
  command = [sys.executable, "-c", ALONE, str(exported), runtime]
  answer = subprocess.run(command, check=True, capture_output=True, text=True)
  num, heavy = json.loads(answer.stdout.splitlines()[-1])
  assert num > 0
  assert heavy == []
