"""GRU, one-shot, primed three times, with the loss weighted by SSIM.

Johnston et al. 2017, Improved Lossy Image Compression with Priming and Spatially
Adaptive Bit Rates for Recurrent Networks (arXiv 1703.10114), without its spatially
adaptive part: before the first iteration encoder and decoder run three times for their
states' sake, so that even the first bits know their surroundings; and a pixel counts as
much as the pictures are unlike around it.

    hardmine run codec_gru_primed \\
      --set 'mining.images=["photos/*.jpg"]' --set 'evaluation.images=["kodak/*.png"]'

Needs a GPU and many photographs, as `codec_lstm_additive` does. Expected on Kodak: no
area that is certainly of this network alone; the lecture's best of all is 1.8330. The
paper trains on larger crops than 32x32, hence 64. `--set codec.diffusion=3` repeats the
passes in every iteration, which decodes four times as slowly.
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
    name="codec_gru_primed",
    mining=MiningConfig(images=("data/photos/*",), patch_px=64, per_image=100),
    codec=CodecConfig(cell=ConvGRUCell, reconstruction="one_shot", priming=3),
    training=CodecTrainingConfig(
      steps=1_000_000,
      batch_size=32,
      iterations=16,
      learning_rate=5e-4,
      schedule="exponential",
      decay_rate=0.5,
      decay_steps=100_000,
      pixel_loss="ssim_weighted",
      checkpoint_steps=5_000,
      summary_steps=1_000,
    ),
    evaluation=CodecEvaluationConfig(
      images=("data/kodak/*.png",),
      iterations=16,
      # The worst network of the paper's table is a real codec; below it is a fault.
      gates=(Gate(metric="ms_ssim_auc", bound=1.7408, min_improvement=0.0),),
    ),
  )
