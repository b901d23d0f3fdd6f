"""An experiment: everything that decides what a pipeline run produces."""

from __future__ import annotations

import dataclasses
import re

from hardmine.schemas.codec_config import CODE_DEPTH, CodecConfig
from hardmine.schemas.config import Config, require
from hardmine.schemas.conversion_config import EVAL, TRAIN, ConversionConfig
from hardmine.schemas.detector_config import DetectorConfig
from hardmine.schemas.evaluation_config import (
  CodecEvaluationConfig,
  DetectionEvaluationConfig,
)
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig, DetectorTrainingConfig


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

  def __post_init__(self):
    super().__post_init__()
    require(
      self.mining.patch_px % self.codec.padding_px == 0,
      f"mining.patch_px as a multiple of the codec's {self.codec.padding_px}",
      patch_px=self.mining.patch_px,
    )
    most, told_apart_by = self.codec.max_iterations, "clock"
    if self.codec.own_weights:
      told_apart_by = "own_weights"
    require(
      most is None or max(self.training.iterations, self.evaluation.iterations) <= most,
      f"training.iterations and evaluation.iterations up to codec.{told_apart_by}",
      training_iterations=self.training.iterations,
      evaluation_iterations=self.evaluation.iterations,
      **{told_apart_by: most},
    )
    require(
      not (self.codec.sent_gain and self.training.mixed_precision),
      "mixed_precision off with sent_gain, whose factors exceed float16",
      mixed_precision=self.training.mixed_precision,
    )
    require(
      self.training.entropy is None or self.codec.code_depth == CODE_DEPTH,
      f"training.entropy null with the {self.codec.network} network: entropy models "
      f"are of codes of {CODE_DEPTH} bits a position",
      entropy=self.training.entropy,
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectionExperiment(Experiment):
  """Convert, train, measure and push one detector."""

  conversion: ConversionConfig
  detector: DetectorConfig
  training: DetectorTrainingConfig
  evaluation: DetectionEvaluationConfig

  def __post_init__(self):
    super().__post_init__()
    splits = {source.split for source in self.conversion.sources}
    if self.conversion.eval_share:
      splits.add(EVAL)
    for needed in (TRAIN, EVAL, self.evaluation.split):  # the first two for training
      share = ", or a share of the others (conversion.eval_share)" * (needed == EVAL)
      require(
        needed in splits,
        f"a source of the split {needed}: annotated images of its own{share}",
        splits=sorted(splits),
      )
