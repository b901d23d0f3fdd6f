"""An eighth of the papers' width: a codec that a machine without GPU can train.

The network, loss and data selection of Toderici et al. 2016 (arXiv 1608.05148)
with every depth divided by eight, so one step costs about a sixtieth.

    hardmine run codec_cpu \\
      --set 'mining.images=["photos/*.png", "coco/train2017/*.jpg"]' \\
      --set 'evaluation.images=["kodak/*.png"]'

The photographs default to `data/photos/*` and `data/kodak/*.png` below the
current folder. The paper has no figure for this width. Measured on the 24 Kodak
photographs after mining 9 large photographs and 343 of COCO's (31,460 patches to
train on): 6,000 steps in 38 processor minutes; area under MS-SSIM 1.7293, of
PSNR-HVS 44.97. MS-SSIM rises from 0.7684 after one iteration to 0.9458 after
thirteen and then stays (0.9448 after sixteen): so small a GRU has nothing left to
add. Rates of 4e-3 and more diverge after some 1,700 steps.

With `--set codec.reconstruction=residual_scaling --set training.learning_rate=1e-3
--set training.clip_norm=0.1` (2e-3 diverges) every iteration adds: 0.7268, 0.8068,
0.8500, ... 0.9325, 0.9332, 0.9338, an area of 1.6873 in the same 38 minutes.
"""

from __future__ import annotations

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_cpu",
    mining=MiningConfig(images=("data/photos/*",), max_side_px=512),
    codec=CodecConfig(cell=ConvGRUCell, reconstruction="additive", width=0.125),
    training=CodecTrainingConfig(
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
