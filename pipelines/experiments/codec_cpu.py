"""A quarter of the papers' width: a codec that a machine without GPU can train.

The network, loss and data selection of Toderici et al. 2016 (arXiv 1608.05148)
with every depth divided by four, so one step costs about a sixteenth.

    hardmine run codec_cpu \\
      --set 'mining.images=["photos/*.jpg"]' --set 'evaluation.images=["kodak/*.png"]'

The photographs default to `data/photos/*` and `data/kodak/*.png` below the
current folder. The paper has no figure for this width.
"""

from __future__ import annotations

from schemas.codec_config import CodecConfig
from schemas.evaluation_config import CodecEvaluationConfig
from schemas.experiment import CodecExperiment
from schemas.gates import Gate
from schemas.mining_config import MiningConfig
from schemas.training_config import TrainingConfig
from trainers.codec.cells.gru import ConvGRUCell


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_cpu",
    mining=MiningConfig(images=("data/photos/*",), max_side_px=512),
    codec=CodecConfig(cell=ConvGRUCell, reconstruction="additive", width=0.125),
    training=TrainingConfig(
      steps=6_000,
      batch_size=8,
      iterations=16,
      learning_rate=2e-3,
      schedule="cosine",
      clip_norm=0.5,
      checkpoint_steps=500,
      summary_steps=100,
    ),
    evaluation=CodecEvaluationConfig(
      images=("data/kodak/*.png",),
      iterations=16,
      gates=(Gate(metric="ms_ssim_auc", bound=1.5, min_improvement=0.0),),
    ),
  )
