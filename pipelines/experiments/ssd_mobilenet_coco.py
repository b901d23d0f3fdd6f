"""The study's fastest detector: SSD with MobileNet v1 at 300 pixels, on COCO.

Huang et al. 2017, Speed/accuracy trade-offs for modern convolutional object
detectors (arXiv 1611.10012): 19.3 mAP on their held-out 8,000 images, 18.8 on
test-dev. They trained on train2014 and val2014 but those images; on val2017, part
of which they trained on, users measured 26. Neither compares with a model trained
on train2017 and measured on val2017.

    hardmine run ssd_mobilenet_coco      with data/coco/{train2017,val2017,annotations}

Needs a GPU and the whole of COCO (118,287 images). RMSProp, decay 0.9, momentum 0.9,
epsilon 1, rate 0.004 times 0.95 every 800,000 steps, batch 24, weight decay 4e-5 and
averaged weights are the released configuration's; the paper says batch 32. How many
steps the study took is not published.
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
    name="ssd_mobilenet_coco",
    conversion=ConversionConfig(
      sources=tuple(
        AnnotatedFolder(
          images=f"data/coco/{folder}",
          annotations=f"data/coco/annotations/instances_{folder}.json",
          split=split,
        )
        for split, folder in (("train", "train2017"), ("eval", "val2017"))
      ),
      num_shards=100,
    ),
    detector=SSDConfig(feature_extractor=MobileNetV1, initial_weights="imagenet"),
    training=DetectorTrainingConfig(
      steps=400_000,
      batch_size=24,
      learning_rate=4e-3,
      warmup_steps=2_000,
      schedule="exponential",
      decay_rate=0.95,
      decay_steps=800_720,
      ema_decay=0.9999,
      checkpoint_steps=2_000,
      summary_steps=500,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP", bound=0.15, min_improvement=0.0),),
    ),
  )
