"""Whole detectors of the Object Detection API: what they answered, they answer."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import SSDConfig
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2Relu6,
)
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from hardmine.trainers.detection.released_detectors.detectors import import_detector
from hardmine.trainers.detection.released_detectors.pipeline_config import described
from hardmine.trainers.detection.tf1_checkpoints.backbones import backbone_places
from hardmine.trainers.detection.tf1_checkpoints.filling import fill
from hardmine.trainers.detection.tf1_checkpoints.names import family_of
from hardmine.trainers.detection.tf1_checkpoints.reading import opened
from tests.trainers.detection.tf1_checkpoints.released import (
  CONFIG,
  NUM_CLASSES,
  SIDE,
  answers,
  release,
  variables,
)
from tests.trainers.detection.tf1_checkpoints.writing import (
  backbone_values,
  layer_values,
  randomize,
  write,
)

SPARSE = Categories(
  categories=tuple(Category(id=i, name=f"c{i}") for i in (1, 2, 4, 5))
)


def image(seed=0):
  return np.random.default_rng(seed).integers(0, 256, (1, SIDE, SIDE, 3), np.uint8)


def raw(model):
  boxes, scores = model.raw_detections(model.prepared(model.config, image()))
  return np.asarray(boxes[0]), np.asarray(scores[0])


@pytest.mark.parametrize("anchor_order", ["later", "2017"])
def test_an_ssd_answers_what_it_answered(tmp_path, anchor_order):
  values = release(tmp_path / "ssd")
  done = import_detector(str(tmp_path / "ssd"), SPARSE, anchor_order=anchor_order)
  boxes, scores = raw(done.model)
  wanted_boxes, wanted_scores = answers(values, image(), anchor_order)
  if anchor_order == "2017":  # ours lists them otherwise
    order = np.lexsort(boxes.T)
    wanted_order = np.lexsort(wanted_boxes.T)
    assert not np.allclose(boxes, wanted_boxes, atol=1e-2)
    boxes, scores = boxes[order], scores[order]
    wanted_boxes, wanted_scores = (
      wanted_boxes[wanted_order],
      wanted_scores[wanted_order],
    )
  np.testing.assert_allclose(boxes, wanted_boxes, atol=1e-4)
  columns = [number - 1 for number in SPARSE.ids]
  np.testing.assert_allclose(scores, wanted_scores[:, columns], atol=1e-5)
  assert np.ptp(scores) > 0.5
  assert sorted(done.report.matched) == sorted(values)
  assert done.report.fits
  assert not done.report.unused
  assert "1 classes without a category" in done.notes[-1]
  config = done.model.config
  assert (config.width, config.resolution_px) == (0.25, SIDE)
  assert config.postprocessing.score_threshold == 1e-8
  assert set(done.sha256) == {
    "model.ckpt.data-00000-of-00001",
    "model.ckpt.index",
    "pipeline.config",
  }


@pytest.mark.slow
def test_an_ssd_on_inception_v2_comes_back(tmp_path):
  """From our network under the API's names, through its config, into another."""
  text = CONFIG.replace("ssd_mobilenet_v1", "ssd_inception_v2")
  text = text.replace(
    "min_depth: 8", "override_base_feature_extractor_hyperparams: true"
  )
  text = text.replace("kernel_size: 1", "kernel_size: 3")
  found = described(text, "pipeline.config")
  assert isinstance(found.config, SSDConfig)
  assert found.config.feature_extractor is ReleasedInceptionV2Relu6
  theirs, ours = (SSD(found.config, n) for n in (NUM_CLASSES, NUM_CLASSES))
  randomize(theirs, 1)
  layers = theirs.leaf_layers
  values = backbone_values(layers, ReleasedInceptionV2Relu6, "FeatureExtractor/")
  root = "FeatureExtractor/InceptionV2/Mixed_5c"
  for number, half, whole in ((2, 64, 128), (3, 32, 64), (4, 32, 64), (5, 16, 32)):
    for name, scope in (
      ("1x1", f"{root}_1_Conv2d_{number}_1x1_{half}"),
      ("3x3", f"{root}_2_Conv2d_{number}_3x3_s2_{whole}"),
    ):
      values |= layer_values(layers, f"extra_{number}_{name}", scope)
  for number in range(6):
    for kind, name in (("box_codes", "BoxEncoding"), ("class_logits", "Class")):
      scope = f"BoxPredictor_{number}/{name}Predictor"
      values |= layer_values(layers, f"predictor_{number}_{kind}", scope)
  assert "FeatureExtractor/InceptionV2/Conv2d_1a_7x7/BatchNorm/gamma" in values
  write(tmp_path / "m", values)
  with opened(str(tmp_path / "m")) as checkpoint:
    report = fill(
      ours.leaf_layers,
      {
        **backbone_places(ours.leaf_layers, ReleasedInceptionV2Relu6),
        **found.places(ours, range(1, NUM_CLASSES + 1), "later"),
      },
      checkpoint,
      found.epsilon,
      family_of(ReleasedInceptionV2Relu6).first_layer,
    )
  report.require("it", whole=True)
  for one, other in zip(raw(ours), raw(theirs)):
    np.testing.assert_allclose(one, other, atol=1e-6)


def refused(tmp_path, match, categories=SPARSE, source="ssd", **options):
  with pytest.raises(ValueError, match=match) as error:
    import_detector(str(tmp_path / source), categories, **options)
  assert "\n" not in str(error.value)


@pytest.mark.parametrize(
  ("old", "new", "match"),
  [
    ("ssd_mobilenet_v1", "ssd_mobilenet_v2", r"extractor among ssd_mobilenet_v1"),
    ("RELU_6\n        batch", "RELU\n        batch", "activation of RELU_6"),
    ("height: 96", "height: 90", "a square"),
    ("y_scale: 10.0", "y_scale: 1.0", "y_scale of 10"),
    ("min_depth: 8", "use_depthwise: true", "use_depthwise of False"),
    ("kernel_size: 1", "kernel_size: 3", "kernel_size of 1"),
    ("epsilon: 0.001", "epsilon: 0.01", r"epsilon of 0\.001"),
    ("num_layers: 6", "num_layers: 5", "num_layers of 6"),
    ("SIGMOID", "IDENTITY", "score_converter of SIGMOID"),
    ("  ssd {", "  faster_rcnn {", "extractor among faster_rcnn_resnet101"),
    ("  ssd {", "  center_net {", "kind ssd or faster_rcnn .* center_net"),
    ("depth_multiplier: 0.25", "depth_multiplier: 0.5", "mismatched .*conv1"),
    ("num_classes: 5", "num_classes: 6", "mismatched .*predictor_0_class_logits"),
    ("model {", "model [", r"a field or .* in line|VALUE or model"),
  ],
)
def test_what_would_answer_otherwise_is_refused(tmp_path, old, new, match):
  assert old in CONFIG
  release(tmp_path / "ssd", config=CONFIG.replace(old, new, 1))
  refused(tmp_path, match)


def test_categories_that_it_has_no_class_for_are_refused(tmp_path):
  release(tmp_path / "ssd")
  beyond = Categories(categories=(Category(id=6, name="six"),))
  refused(tmp_path, r"ids from 1 to 5.*ids=\[6\]", beyond)


def test_less_and_more_than_the_detector_are_refused(tmp_path):
  values = variables()
  del values["BoxPredictor_5/ClassPredictor/biases"]
  release(tmp_path / "ssd", values)
  refused(tmp_path, "1 missing .*BoxPredictor_5/ClassPredictor/biases")
  values = {
    **variables(),
    "FeatureExtractor/MobilenetV1/Conv2d_14/weights": np.zeros(3),
  }
  release(tmp_path / "more", values)
  refused(tmp_path, "1 unused .*Conv2d_14", source="more")


def pack(folder, path, names):
  with tarfile.open(path, "w:gz") as archive:
    for name, inside in names.items():
      archive.add(folder / name, inside)
    unsafe = tarfile.TarInfo("../../outside.ckpt.index")
    unsafe.type, unsafe.linkname = tarfile.SYMTYPE, "/etc/passwd"
    archive.addfile(unsafe)
    other = tarfile.TarInfo("ssd/frozen_inference_graph.pb")
    other.size = 4
    archive.addfile(other, io.BytesIO(b"evil"))


def test_an_archive_is_read_as_it_was_downloaded(tmp_path):
  release(tmp_path / "ssd")
  names = [path.name for path in (tmp_path / "ssd").iterdir()]
  pack(
    tmp_path / "ssd",
    tmp_path / "ssd.tar.gz",
    {name: f"../../{name}" for name in names},
  )
  before = sorted(path.name for path in tmp_path.iterdir())
  done = import_detector(str(tmp_path / "ssd.tar.gz"), SPARSE)
  assert done.report.fits
  assert done.report.source == str(tmp_path / "ssd.tar.gz")
  assert sorted(path.name for path in tmp_path.iterdir()) == before
  assert not (tmp_path.parents[1] / "outside.ckpt.index").is_symlink()


def test_archives_that_are_damaged_or_hold_two_are_refused(tmp_path):
  release(tmp_path / "ssd")
  names = {path.name: f"a/{path.name}" for path in (tmp_path / "ssd").iterdir()}
  pack(tmp_path / "ssd", tmp_path / "cut.tar.gz", names)
  content = (tmp_path / "cut.tar.gz").read_bytes()
  (tmp_path / "cut.tar.gz").write_bytes(content[: len(content) // 2])
  refused(tmp_path, r"a whole \.tar\.gz", source="cut.tar.gz")
  with tarfile.open(tmp_path / "two.tar.gz", "w:gz") as archive:
    for folder in "ab":
      archive.add(tmp_path / "ssd" / "model.ckpt.index", f"{folder}/model.ckpt.index")
  refused(tmp_path, "one checkpoint", source="two.tar.gz")


def test_what_is_not_there_is_told(tmp_path):
  refused(tmp_path, r"the path before \.index, a folder", source="nothing")
  release(tmp_path / "ssd")
  (tmp_path / "ssd" / "pipeline.config").unlink()
  refused(tmp_path, r"pipeline\.config beside")
