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
"""

from __future__ import annotations

from schemas.conversion_config import AnnotatedFolder, ConversionConfig
from schemas.detector_config import SSDConfig
from schemas.evaluation_config import DetectionEvaluationConfig
from schemas.experiment import DetectionExperiment
from schemas.gates import Gate
from schemas.training_config import DetectorTrainingConfig
from trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1


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
      feature_extractor=MobileNetV1, width=0.75, initial_weights="imagenet"
    ),
    training=DetectorTrainingConfig(
      steps=1_500,
      batch_size=8,
      optimizer="adam",
      learning_rate=3e-4,
      warmup_steps=100,
      schedule="cosine",
      clip_norm=10.0,
      batch_norm="freeze",  # 1e-3 then destroys what ImageNet taught
      batch_norm_momentum=0.99,
      frozen_blocks=6,
      checkpoint_steps=250,
      summary_steps=50,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP50", bound=0.01, min_improvement=0.0),),
    ),
  )
