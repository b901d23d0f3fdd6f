"""SSD MobileNet on a few hundred images of COCO: what two cores can train.

The network of `ssd_mobilenet_coco` with MobileNet v1 of width 0.75. Eighty
categories of 343 images are far too few to learn from, so the numbers are low; the
run shows that every part works on real COCO data, and its report where the mistakes
are.

    hardmine run ssd_coco_cpu \\
      --set 'conversion.sources=[
        {"images": "coco/train2017", "split": "train",
         "annotations": "coco/annotations/instances_train2017_subset.json"},
        {"images": "coco/val2017", "split": "eval",
         "annotations": "coco/annotations/instances_val2017_subset.json"}]'

Measured on 117 images of val2017 (1,033 objects) after training on 343 of train2017,
16 processor minutes on two cores: AP 0.025, AP50 0.066; small objects 0.003, medium
0.024, large 0.062. With frozen batch normalisation AP50 was 0.0004.
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
    name="ssd_coco_cpu",
    conversion=ConversionConfig(
      sources=tuple(
        AnnotatedFolder(
          images=f"data/coco/{folder}",
          annotations=f"data/coco/annotations/instances_{folder}.json",
          split=split,
        )
        for split, folder in (("train", "train2017"), ("eval", "val2017"))
      ),
    ),
    detector=SSDConfig(
      feature_extractor=MobileNetV1,
      width=0.75,
      initial_weights="imagenet",
      classification="softmax",  # eighty sigmoids take long to learn to say no
    ),
    training=DetectorTrainingConfig(
      steps=1_200,
      batch_size=8,
      optimizer="adam",
      learning_rate=1e-3,
      warmup_steps=100,
      schedule="cosine",
      clip_norm=10.0,
      batch_norm_momentum=0.99,
      frozen_blocks=6,
      max_boxes=64,
      checkpoint_steps=250,
      summary_steps=50,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP50", bound=0.01, min_improvement=0.0),),
    ),
  )
