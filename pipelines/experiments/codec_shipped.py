"""The codec that ships: the recipe that learned most for a minute of two cores.

The network is that of Toderici et al. 2016 (arXiv 1608.05148) with GRU cells and
additive reconstruction, and what the paper does not have: a sent gain, a clock, a loss
of MS-SSIM beside the absolute residual in logarithms, patches of 64 pixels, and the
average of the weights. `docs/codec_recipe.md` tells what each is worth.

    hardmine train codec_shipped --held-out 'data/held_out/*' \\
      --set 'mining.images=["data/photos/*", "data/coco/train2017/*.jpg"]'

trains for as long as it is let, with idle processor time, and can be stopped at any
time. The pipeline mines, trains, measures and pushes; started from what the training
above has reached, it lets the rate fall over the last steps and keeps that:

    hardmine run codec_shipped \\
      --set training.initial_weights=runs/trainings/codec_shipped/weights.npz \\
      --set training.steps=2000 --set training.cooldown_steps=2000 \\
      --set 'evaluation.images=["kodak/*.png"]'

The photographs default to `data/photos/*`, `data/coco/train2017/*.jpg` and, only to
measure on, `data/kodak/*.png` below the current folder. Any few hundred photographs
do, the more the better.
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
    name="codec_shipped",
    mining=MiningConfig(
      images=("data/photos/*", "data/coco/train2017/*.jpg"),
      patch_px=64,
      reductions=(1, 2, 4),
      per_image=40,
      eval_share=0.02,
    ),
    codec=CodecConfig(
      cell=ConvGRUCell,
      reconstruction="additive",
      width=0.5,
      deep_width=0.375,  # the coarse layers hold most weights
      use_bias=True,
      output_activation="linear",
      sent_gain=True,
      clock=16,
    ),
    training=CodecTrainingConfig(
      steps=1_000_000,
      batch_size=4,
      iterations=16,
      learning_rate=5e-4,  # at 1e-3 the loss rises again after 4,000 steps
      schedule="stable",
      warmup_steps=500,
      clip_norm=0.5,
      ms_ssim_weight=1.0,
      log_loss=True,
      early_weight=0.35,
      ema_decay=0.998,
      augment=True,
      product_dtype="bfloat16",
      checkpoint_steps=500,
      summary_steps=100,
    ),
    evaluation=CodecEvaluationConfig(
      images=("data/kodak/*.png",),
      iterations=16,
      gates=(Gate(metric="ms_ssim_auc", bound=1.75, min_improvement=0.0),),
    ),
  )
