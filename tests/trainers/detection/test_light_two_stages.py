"""Detectors of two stages as exported: the same answers on every runtime."""

from __future__ import annotations

import concurrent.futures
import functools
import io
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  PostprocessingConfig,
  ProposalConfig,
  RFCNConfig,
  Stretched,
)
from hardmine.schemas.exported_model import LIGHT, has_light_form, read_light_facts
from hardmine.serving.probe.ask_model import ask
from hardmine.serving.server.app import create_app
from hardmine.serving.store.store import ModelStore
from hardmine.trainers import onnx_export
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.detection.exports import light_export
from hardmine.trainers.detection.exports.conversion import convert_detector
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.running.light_two_stages import TwoStageNetwork
from hardmine.trainers.detection.running.saved_model_network import SavedModelNetwork
from tests.serving.server import tiny_models
from tests.serving.server.loopback import running
from tests.serving.store.fake_models import by
from tests.trainers.detection.seeing import check_equal, pictures, seeing
from tests.trainers.detection.tiny_extractor import TinyExtractor

LIGHT_RUNTIMES = ["onnxruntime", "openvino"]
SIZES = [(96, 96), (50, 130), (203, 77), (31, 457)]
PROPORTIONS = KeptProportions(min_side_px=96, max_side_px=160)
AGNOSTIC = PostprocessingConfig(class_agnostic=True, max_detections=120)
NUM_CATEGORIES = 3
CONFIGS = {
  "faster_rcnn": lambda: FasterRCNNConfig(
    feature_extractor=TinyExtractor, resizer=PROPORTIONS, proposals=proposals()
  ),
  "stretched": lambda: RFCNConfig(
    feature_extractor=TinyExtractor,
    resizer=Stretched(height_px=96, width_px=112),
    proposals=proposals(),
    bins=3,
    depth=24,
    postprocessing=AGNOSTIC,
  ),
}
slow = pytest.mark.slow
RUNTIMES = [*LIGHT_RUNTIMES, pytest.param("tensorflow", marks=slow)]
ALL = [
  "faster_rcnn",
  pytest.param("stretched", marks=slow),
]


def proposals():
  return ProposalConfig(base_px=64.0, depth=16)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
  """Gives an exported model's folder by the name of its config."""

  @functools.cache
  def export(name):
    config = CONFIGS[name]()
    categories = [Category(id=7 * i + 2, name=str(i)) for i in range(NUM_CATEGORIES)]
    folder = tmp_path_factory.mktemp(name) / "model"
    export_detector(
      seeing(meta_architecture(config)(config, NUM_CATEGORIES)),
      Categories(categories=tuple(categories)),
      folder,
    )
    return folder

  return export


@pytest.fixture(scope="module")
def exported(export):
  return export("faster_rcnn")


@functools.cache
def loaded(folder, runtime, max_proposals=None):
  return Detector.load(folder, runtime, max_proposals=max_proposals)


@pytest.mark.parametrize("max_proposals", [None, pytest.param(10, marks=slow)])
@pytest.mark.parametrize("runtime", LIGHT_RUNTIMES)
@pytest.mark.parametrize("name", ALL)
def test_it_answers_as_the_saved_model_does(export, name, runtime, max_proposals):
  pytest.importorskip(runtime)
  folder = export(name)
  light, whole = (loaded(folder, one, max_proposals) for one in (runtime, "tensorflow"))
  for image in pictures(SIZES):
    check_equal(light.detect(image), whole.detect(image))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_picture_of_one_pixel(exported, runtime):
  pytest.importorskip(runtime)
  found = loaded(exported, runtime).detect(np.full((1, 1, 3), 200, np.uint8))
  assert np.isfinite(found.boxes_yxyx_px).all()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_fewer_proposals_are_the_best_ones(exported, runtime):
  pytest.importorskip(runtime)
  (image,) = pictures([(120, 90)])
  (few, same, all_of_them) = (
    loaded(exported, runtime, num).detect(image) for num in (1, 300, None)
  )
  assert 0 < len(few) <= NUM_CATEGORIES  # of the one box, one a category
  assert len(all_of_them) > len(few)
  np.testing.assert_array_equal(all_of_them.boxes_yxyx_px, same.boxes_yxyx_px)


@pytest.mark.parametrize("runtime", [*LIGHT_RUNTIMES, "tensorflow"])
@pytest.mark.parametrize("max_proposals", [0, 301, -1])
def test_more_proposals_than_there_are(exported, runtime, max_proposals):
  pytest.importorskip(runtime)
  with pytest.raises(
    ValueError, match=rf"^Expected 1 to 300 proposals.*max_proposals={max_proposals}$"
  ):
    Detector.load(exported, runtime, max_proposals=max_proposals)


def test_facts_say_what_goes_in_and_comes_out(exported):
  facts = read_light_facts(exported)
  first, second = (facts["graphs"][name] for name in ("first_stage", "second_stage"))
  assert first["inputs"]["pixels"]["shape"] == [1, "rows", "columns", 3]
  features = [1, "map_rows", "map_columns", 48]
  assert first["outputs"]["features"]["shape"] == features
  assert first["outputs"]["candidates_yxyx_norm"]["shape"] == ["candidates", 4]
  assert first["outputs"]["objectness"]["shape"] == ["candidates"]
  assert second["inputs"]["features"]["shape"] == features
  assert second["inputs"]["proposals_yxyx_norm"]["shape"] == ["proposals", 4]
  assert second["outputs"]["boxes_yxyx_norm"]["shape"] == ["proposals", 3, 4]
  assert second["outputs"]["scores"]["shape"] == ["proposals", 3]
  assert facts["proposals"]["max_detections"] == 300
  assert facts["proposals"]["iou_threshold"] == 0.7
  assert facts["preparation"]["kind"] == "kept_proportions"


@slow
def test_pictures_of_several_sizes_are_seen_as_each_alone(exported):
  """A batch of encoded ones, which become different sizes."""
  network = SavedModelNetwork(exported)
  encoded = []
  for image in pictures(SIZES):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    encoded.append(file.getvalue())
  together = network._module.signatures["detect_encoded"](
    images=np.array(encoded, object)
  )
  for index, data in enumerate(encoded):
    alone = network.detect_encoded(data)
    num = int(together["num_detections"][index])
    assert num == len(alone[1]) > 0
    for name, expected in zip(("boxes_yxyx_px", "scores", "category_ids"), alone):
      np.testing.assert_allclose(together[name][index, :num], expected, atol=1e-5)


@pytest.mark.parametrize("runtime", LIGHT_RUNTIMES)
@pytest.mark.parametrize(
  ("shape", "dtype"),
  [
    ((1, 96, 96, 4), "float32"),
    ((2, 96, 96, 3), "float32"),
    ((1, 0, 96, 3), "float32"),
    ((1, 96, 96, 3), "uint8"),
  ],
)
def test_what_the_network_does_not_take_is_refused(exported, runtime, shape, dtype):
  pytest.importorskip(runtime)
  with pytest.raises(ValueError, match=r"^Expected float32 pixels \[1, 'rows', 'col"):
    TwoStageNetwork(exported, runtime).raw(np.zeros(shape, dtype))


def test_several_threads_may_ask(exported):
  light = loaded(exported, "onnxruntime")
  images = pictures([(60 + 17 * i, 80) for i in range(12)])
  expected = [light.detect(image) for image in images]
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    for found, alone in zip(pool.map(light.detect, images), expected):
      check_equal(found, alone)


def test_where_nothing_is_proposed_nothing_is_found(exported, monkeypatch):
  """As where all that the first stage gives is no number."""
  network = TwoStageNetwork(exported, "onnxruntime")
  first = network._first

  class Blind:
    def run(self, inputs):
      seen = first.run(inputs)
      nothing = np.full_like(seen["objectness"].numpy(), np.nan)
      return {
        **seen,
        "objectness": type(seen["objectness"]).ortvalue_from_numpy(nothing),
      }

  monkeypatch.setattr(network, "_first", Blind())
  boxes, scores, category_ids = network.detect(*pictures([(50, 60)]))
  assert (boxes.shape, scores.shape, category_ids.shape) == ((0, 4), (0,), (0,))


@slow
def test_graphs_that_answer_otherwise_are_not_exported(tmp_path, monkeypatch):
  """As a layer that the converter gets wrong would."""
  to_onnx = onnx_export.to_onnx

  def wrong(function, *arguments, **options):
    def otherwise(features, proposals):
      found = function(features, proposals)
      return {**found, "scores": found["scores"] * 0.9}

    is_second = len(arguments[0]) == 2
    return to_onnx(otherwise if is_second else function, *arguments, **options)

  monkeypatch.setattr(onnx_export, "to_onnx", wrong)
  config = CONFIGS["faster_rcnn"]()
  model = meta_architecture(config)(config, NUM_CATEGORIES)
  with pytest.raises(RuntimeError, match=r"second_stage.*scores .* up to .* apart"):
    light_export.write_light(model, tmp_path)
  assert not has_light_form(tmp_path)


def test_the_command_takes_a_number_of_proposals(exported, tmp_path, capsys):
  Image.fromarray(pictures([(70, 90)])[0]).save(tmp_path / "a.png")
  words = ["detect", str(tmp_path / "a.png"), "--model", str(exported), "--json"]
  found = []
  for more in ([], ["--proposals", "2"]):
    assert main([*words, "--min-score", "0", *more]) == 0
    found.append(json.loads(capsys.readouterr().out)["images"][0]["objects"])
  assert 0 < len(found[1]) <= 2 * NUM_CATEGORIES < len(found[0])
  assert main([*words, "--proposals", "301"]) == 2
  assert "Expected 1 to 300 proposals" in capsys.readouterr().err
  job = ["detect", "--images", str(tmp_path), "--output", str(tmp_path / "made")]
  assert main([*job, *words[2:], "--proposals", "2"]) == 2
  assert "no --proposals with --images" in capsys.readouterr().err


def test_the_probe_finds_it_sound(exported):
  outcome = ask(exported)
  assert outcome.passed, outcome.reason
  assert json.loads(outcome.last_line)["runtime"] == "onnxruntime"


def test_a_server_answers_with_what_it_finds(exported, tmp_path):
  store = ModelStore(tmp_path / "store")
  tiny_models.add(store, exported)
  store.move("production", 1, reason=by("tester"))
  sent = io.BytesIO()
  (image,) = pictures([(120, 90)])
  Image.fromarray(image).save(sent, "PNG")
  with running(create_app(store, "production", poll_seconds=0.05)) as client:
    client.until(1)
    answer = client.post("/v1/detect", sent.getvalue()).json
    about = client.get("/v1/model").json
  found = loaded(exported, "onnxruntime").detect(image)
  assert len(answer["objects"]) == len(found) > 0
  for name, expected in (
    ("box_yxyx_px", found.boxes_yxyx_px),
    ("score", found.scores),
    ("category_id", found.category_ids),
  ):
    np.testing.assert_allclose(
      [one[name] for one in answer["objects"]], expected, atol=1e-3
    )
  assert (about["kind"], about["problem"]) == ("detector", None)
  assert [one["id"] for one in about["categories"]] == [2, 9, 16]


@slow
def test_an_export_of_before_gets_a_light_form(exported, tmp_path):
  (image,) = pictures([(120, 90)])
  shutil.copytree(exported, tmp_path / "before")
  shutil.rmtree(tmp_path / "before" / LIGHT)
  convert_detector(tmp_path / "before", tmp_path / "after")
  after = Detector.load(tmp_path / "after", "onnxruntime")
  check_equal(after.detect(image), loaded(exported, "onnxruntime").detect(image))


ALONE = """
import json, sys
import numpy as np
from hardmine.trainers.detection.detector import Detector
found = Detector.load(*sys.argv[1:]).detect(np.full((50, 60, 3), 99, np.uint8))
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
