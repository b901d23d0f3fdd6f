"""SSD MobileNet on a small set of one's own: fine-tuned from ImageNet weights.

The network of Huang et al. (arXiv 1611.10012) at 300 pixels with MobileNet v1 of
width 0.75. A few hundred images cannot train it from nothing, so it starts from
ImageNet weights and keeps their batch normalisation; what lies beyond the paper is
said in `training` below.

    hardmine run ssd_small_set \\
      --set 'conversion.sources=[
        {"images": "images", "annotations": "annotations_voc", "split": "train",
         "only": "train_labels.csv"},
        {"images": "images", "annotations": "annotations_voc", "split": "eval",
         "only": "test_labels.csv"}]'

A source is a folder of images with a COCO JSON file or a folder of Pascal VOC XML.
`detector.initial_weights` may also name an `.npz` file, or be null.

Measured on 200 photographs of raccoons (github.com/datitran/raccoon_dataset, its own
split: 160 to train on, 40 with 44 objects to test): AP50 0.793, AP 0.434 after 1,500
steps, 13 processor minutes on two cores.
"""

from __future__ import annotations

from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.experiment import DetectionExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1


def experiment() -> DetectionExperiment:
  """The experiment; see the module's docstring."""
  return DetectionExperiment(
    name="ssd_small_set",
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
    detector=SSDConfig(
      feature_extractor=MobileNetV1, width=0.75, initial_weights="imagenet"
    ),
    training=DetectorTrainingConfig(
      steps=1_500,
      batch_size=8,
      optimizer="adam",  # the study's RMSProp wants a hundred times the steps
      learning_rate=3e-4,
      warmup_steps=100,
      schedule="cosine",
      clip_norm=10.0,
      batch_norm="freeze",  # 1e-3 then destroys what ImageNet taught
      batch_norm_momentum=0.99,  # of the added maps
      frozen_blocks=6,
      checkpoint_steps=250,
      summary_steps=50,
      max_boxes=32,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP50", bound=0.5, min_improvement=0.0),),
    ),
  )
