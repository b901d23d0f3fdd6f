"""An experiment: everything that decides what a pipeline run produces."""

from __future__ import annotations

import dataclasses
import re

from schemas.codec_config import CodecConfig
from schemas.config import Config, require
from schemas.conversion_config import ConversionConfig
from schemas.detector_config import SSDConfig
from schemas.evaluation_config import CodecEvaluationConfig, DetectionEvaluationConfig
from schemas.mining_config import MiningConfig
from schemas.training_config import CodecTrainingConfig, DetectorTrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class Experiment(Config):
  """What all experiments share: a name, after which the pipeline is called."""

  name: str

  def __post_init__(self):
    require(
      re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name) is not None,
      "a name of a-z, 0-9, _ and -",
      name=self.name,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecExperiment(Experiment):
  """Mine, train, measure and push one recurrent codec."""

  mining: MiningConfig
  codec: CodecConfig
  training: CodecTrainingConfig
  evaluation: CodecEvaluationConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionExperiment(Experiment):
  """Convert, train, measure and push one detector."""

  conversion: ConversionConfig
  detector: SSDConfig
  training: DetectorTrainingConfig
  evaluation: DetectionEvaluationConfig
