"""Released Faster R-CNNs and R-FCNs: by their config and names, the same answers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  RFCNConfig,
)
from hardmine.trainers.detection.feature_extractors.released_inception_v2 import (
  ReleasedInceptionV2,
)
from hardmine.trainers.detection.feature_extractors.slim_resnet_101 import SlimResNet101
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.released_detectors.detectors import _completed
from hardmine.trainers.detection.released_detectors.pipeline_config import described
from hardmine.trainers.detection.tf1_checkpoints.backbones import backbone_places
from hardmine.trainers.detection.tf1_checkpoints.filling import fill
from hardmine.trainers.detection.tf1_checkpoints.names import family_of
from hardmine.trainers.detection.tf1_checkpoints.reading import opened
from tests.trainers.detection.tf1_checkpoints.writing import (
  backbone_values,
  layer_values,
  randomize,
  write,
)

NUM_CLASSES = 4
CONFIG = """
model {
  faster_rcnn {
    num_classes: 4
    image_resizer {
      keep_aspect_ratio_resizer { min_dimension: 600 max_dimension: 1024 }
    }
    feature_extractor { type: "TYPE" first_stage_features_stride: 16 }
    first_stage_anchor_generator {
      grid_anchor_generator {
        scales: [0.25, 0.5, 1.0, 2.0] aspect_ratios: [0.5, 1.0, 2.0]
        height_stride: 16 width_stride: 16
      }
    }
    first_stage_box_predictor_conv_hyperparams { op: CONV }
    first_stage_nms_score_threshold: 0.0
    first_stage_nms_iou_threshold: 0.7
    first_stage_max_proposals: 100
    first_stage_localization_loss_weight: 2.0
    PREDICTOR
    second_stage_post_processing {
      batch_non_max_suppression {
        score_threshold: 0.0 iou_threshold: 0.6
        max_detections_per_class: 100 max_total_detections: 300
      }
      score_converter: SOFTMAX
    }
  }
}
"""
FASTER = """
    initial_crop_size: 14 maxpool_kernel_size: 2 maxpool_stride: 2
    second_stage_box_predictor {
      mask_rcnn_box_predictor { use_dropout: false fc_hyperparams { op: FC } }
    }
"""
RFCN = """
    second_stage_box_predictor {
      rfcn_box_predictor {
        crop_height: 18 crop_width: 18 num_spatial_bins_height: 3
        num_spatial_bins_width: 3
      }
    }
"""


def text(kind, predictor):
  return CONFIG.replace("TYPE", kind).replace("PREDICTOR", predictor)


def test_configs_are_read():
  found = described(text("faster_rcnn_inception_v2", FASTER), "it").config
  assert type(found) is FasterRCNNConfig
  assert found.feature_extractor is ReleasedInceptionV2
  assert found.resizer == KeptProportions(min_side_px=600, max_side_px=1024)
  assert (found.crop_px, found.output_stride) == (14, 16)
  assert found.proposals.max_proposals == 100
  assert found.proposals.scales == (0.25, 0.5, 1.0, 2.0)
  assert found.postprocessing.max_detections == 300
  found = described(text("faster_rcnn_resnet101", RFCN), "it")
  assert type(found.config) is RFCNConfig
  assert (found.config.bins, found.config.crop_px, found.config.depth) == (3, 18, 1024)
  assert found.config.feature_extractor is SlimResNet101
  assert found.epsilon == 1e-5


@pytest.mark.parametrize(
  ("old", "new", "match"),
  [
    ("maxpool_stride: 2", "maxpool_stride: 1", "maxpool_stride of 2"),
    ("height_stride: 16", "height_stride: 8", "height_stride of 16"),
    ("faster_rcnn_inception_v2", "faster_rcnn_nas", "extractor among faster_rcnn_res"),
    ("use_dropout", "predict_instance_masks: true use_dropout", "predict_instance"),
    ("SOFTMAX", "SIGMOID", "score_converter of SOFTMAX"),
    ("initial_crop", "first_stage_atrous_rate: 2 initial_crop", "atrous_rate of 1"),
  ],
)
def test_what_would_answer_otherwise_is_refused(old, new, match):
  whole = text("faster_rcnn_inception_v2", FASTER)
  assert old in whole
  with pytest.raises(ValueError, match=match):
    described(whole.replace(old, new, 1), "it")


def test_classes_that_compete_are_all_kept():
  """Without those that have no name, the others would score otherwise."""
  found = described(text("faster_rcnn_inception_v2", FASTER), "it")
  given = Categories(categories=(Category(id=3, name="cup"),))
  whole, (note,) = _completed(given, found)
  assert whole.names == ("unnamed 1", "unnamed 2", "cup", "unnamed 4")
  assert note.startswith("3 classes without a category compete")


SECOND = "SecondStageBoxPredictor"
HEADS = {
  "proposals_3x3": "Conv",
  "proposals_objectness_logits": "FirstStageBoxPredictor/ClassPredictor",
  "proposals_box_codes": "FirstStageBoxPredictor/BoxEncodingPredictor",
}
FASTER_HEADS = {
  "second_stage_class_logits": f"{SECOND}/ClassPredictor",
  "second_stage_box_codes": f"{SECOND}/BoxEncodingPredictor",
}
RFCN_HEADS = {
  "reduced_depth": f"{SECOND}/reduce_depth",
  "second_stage_class_logits": f"{SECOND}/class_predictions",
  "second_stage_box_codes": f"{SECOND}/refined_locations",
}


@pytest.mark.slow
@pytest.mark.parametrize(
  ("kind", "predictor", "heads"),
  [
    ("faster_rcnn_inception_v2", FASTER, FASTER_HEADS),
    ("faster_rcnn_resnet101", RFCN, RFCN_HEADS),
  ],
  ids=["faster_rcnn", "rfcn"],
)
def test_a_two_stage_detector_comes_back(tmp_path, kind, predictor, heads):
  found = described(text(kind, predictor), "it")
  config = dataclasses.replace(
    found.config, width=1 / 16, resizer=KeptProportions(min_side_px=64, max_side_px=96)
  )
  extractor = config.feature_extractor
  theirs, ours = (meta_architecture(config)(config, NUM_CLASSES) for _ in range(2))
  randomize(theirs, 8)
  layers = theirs.leaf_layers
  values = {}
  for stage, prefix in (("first", "First"), ("second", "Second")):
    own = [one for one in getattr(theirs, f"{stage}_stage").layers if one.weights]
    values |= backbone_values(own, extractor, f"{prefix}StageFeatureExtractor/")
  in_vain = {}
  if extractor is SlimResNet101:
    scope = "FirstStageFeatureExtractor/resnet_v1_101/conv1/weights"
    values[scope] = values[scope][:, :, ::-1]
    in_vain = {
      name.replace("Second", "First"): np.zeros_like(value)
      for name, value in values.items()
      if name.startswith("Second")
    }
  for name, scope in {**HEADS, **heads}.items():
    values |= layer_values(layers, name, scope)
  write(tmp_path / "m", {**values, **in_vain})
  places = {
    **backbone_places(ours.leaf_layers, extractor),
    **found.places(ours, range(1, NUM_CLASSES + 1), "later"),
  }
  with opened(str(tmp_path / "m")) as checkpoint:
    first = family_of(extractor).first_layer
    report = fill(ours.leaf_layers, places, checkpoint, found.epsilon, first)
  report = report.without(found.left_over)
  report.require("it", whole=True)
  assert report.ignored.get("made in vain", 0) == len(in_vain)
  pixels = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype("float32")
  for one, other in zip(ours.raw_detections(pixels), theirs.raw_detections(pixels)):
    np.testing.assert_allclose(np.asarray(one), np.asarray(other), atol=1e-5)
  # of two of the classes the columns of these
  few = found.places(ours, (2, 4), "later")["second_stage_class_logits"].change
  assert few is not None
  groups = 9 if heads is RFCN_HEADS else 1
  numbers = np.arange(groups * (NUM_CLASSES + 1))
  wanted = numbers.reshape(groups, -1)[:, [0, 2, 4]].ravel()
  np.testing.assert_array_equal(few(numbers), wanted)
