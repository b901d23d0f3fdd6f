"""An experiment: everything that decides what a pipeline run produces."""

from __future__ import annotations

import dataclasses
import re

from schemas.codec_config import CodecConfig
from schemas.config import Config, require
from schemas.evaluation_config import CodecEvaluationConfig
from schemas.mining_config import MiningConfig
from schemas.training_config import CodecTrainingConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodecExperiment(Config):
  """Mine, train, measure and push one recurrent codec."""

  name: str
  mining: MiningConfig
  codec: CodecConfig
  training: CodecTrainingConfig
  evaluation: CodecEvaluationConfig

  def __post_init__(self):
    require(
      re.fullmatch(r"[a-z0-9][a-z0-9_-]*", self.name) is not None,
      "a name of a-z, 0-9, _ and -",
      name=self.name,
    )
