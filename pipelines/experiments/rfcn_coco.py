"""The study's R-FCN of the frontier's middle: ResNet-101 at 600 pixels, on COCO.

Huang et al. 2017, Speed/accuracy trade-offs for modern convolutional object
detectors (arXiv 1611.10012): 30.4 mAP on their held-out 8,000 images and 30.3 on
test-dev, with
300 proposals. They trained on train2014 and val2014 but those images, so
neither compares with a model trained on train2017 and measured on val2017.

    hardmine run rfcn_coco      with data/coco/{train2017,val2017,annotations}

Needs a GPU and the whole of COCO (118,287 images). Momentum 0.9, one image a step on
each of nine machines (here on one), batch normalisation frozen, gradients clipped at 10
and flips alone are the paper's and the released configuration's. So is the rate, 3e-4,
divided by ten after 1,000,000 steps and again after 1,200,000, where this one ends.
"""

from __future__ import annotations

from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.detector_config import RFCNConfig
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.experiment import DetectionExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101


def experiment() -> DetectionExperiment:
  """The experiment; see the module's docstring."""
  return DetectionExperiment(
    name="rfcn_coco",
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
    detector=RFCNConfig(
      feature_extractor=ResNet101,
      initial_weights="imagenet",
      hard_examples=128,
    ),
    training=DetectorTrainingConfig(
      steps=1_200_000,
      batch_size=1,
      optimizer="momentum",
      learning_rate=3e-4,
      schedule="exponential",
      decay_rate=0.1,
      decay_steps=1_000_000,
      clip_norm=10.0,
      weight_decay=0.0,
      batch_norm="freeze",
      checkpoint_steps=2_000,
      summary_steps=500,
    ),
    evaluation=DetectionEvaluationConfig(
      gates=(Gate(metric="AP", bound=0.25, min_improvement=0.0),),
    ),
  )
