"""R-FCN MobileNet on a small set of one's own: fine-tuned from ImageNet weights.

The network of Huang et al. (arXiv 1611.10012) in their low resolution, the shorter side
at 300 pixels, with MobileNet v1 of width 0.75. A few hundred images cannot train it
from nothing, so it starts from ImageNet weights and keeps their batch normalisation.
As the study does with R-FCN, it learns from the 128 worst proposals of an image; what
lies beyond the paper is said below.

    hardmine run rfcn_small_set \
      --set 'conversion.sources=[
        {"images": "images", "annotations": "annotations_voc", "split": "train",
         "only": "train_labels.csv"},
        {"images": "images", "annotations": "annotations_voc", "split": "eval",
         "only": "test_labels.csv"}]'

A source is a folder of images with a COCO JSON file or a folder of Pascal VOC XML.
`detector.initial_weights` may also name an `.npz` file, or be null.

Measured on 200 photographs of raccoons (github.com/datitran/raccoon_dataset, its own
split: 160 to train on, 40 with 44 objects to test): AP50 0.887, AP 0.383 after 3,000
steps, 20 processor minutes.
"""

from __future__ import annotations

from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.detector_config import (
  KeptProportions,
  ProposalConfig,
  RFCNConfig,
)
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.experiment import DetectionExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1


def experiment() -> DetectionExperiment:
  """The experiment; see the module's docstring."""
  return DetectionExperiment(
    name="rfcn_small_set",
    conversion=ConversionConfig(
      sources=tuple(
        AnnotatedFolder(
          images="data/images",
          annotations="data/annotations_voc",
          split=split,
          only=f"data/{listed}_labels.csv",
        )
        for split, listed in (("train", "train"), ("eval", "test"))
      ),
      num_shards=2,
    ),
    detector=RFCNConfig(
      feature_extractor=MobileNetV1,
      width=0.75,
      initial_weights="imagenet",
      resizer=KeptProportions(min_side_px=300, max_side_px=512),
      # half the study's sizes, as its pictures are twice as large; and less depth
      proposals=ProposalConfig(base_px=128.0, depth=256),
      depth=512,
      hard_examples=128,
    ),
    training=DetectorTrainingConfig(
      steps=3_000,
      batch_size=2,
      optimizer="adam",  # the study's momentum wants a hundred times the steps
      learning_rate=3e-4,
      warmup_steps=100,
      schedule="cosine",
      clip_norm=10.0,
      batch_norm="freeze",
      frozen_blocks=6,
      checkpoint_steps=250,
      summary_steps=50,
      max_boxes=32,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP50", bound=0.5, min_improvement=0.0),),
    ),
  )
