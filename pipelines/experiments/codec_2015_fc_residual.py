"""The fully connected residual network of 2015, with weights of each pass.

Toderici et al. 2015, Variable Rate Image Compression with Recurrent Neural Networks
(arXiv 1511.06085), section 3.2: each 8x8 patch by itself, three layers of 512 on either
side, 4 bits a pass; each pass codes what the ones before left over.

    hardmine run codec_2015_fc_residual \\
      --set 'mining.images=["photos/*"]' --set 'evaluation.images=["kodak/*.png"]'

The paper's table gives SSIM of 32x32 images at 64 and 128 bytes, over blocks of 8x8:
0.65 and 0.75 (0.46 and 0.48 with shared weights). This pipeline measures MS-SSIM of
whole photographs instead, for which the paper has no figure.

The paper trains on whole images shrunk to 32x32, which `mining.recipe=resize` makes, by
the mean square of the residual. It tries rates from 0.1 to 1, which presume Adam with
epsilon 1; 5e-4 goes with the usual epsilon. `--set codec.own_weights=0` shares one set
of weights among all passes, which the table has far below. Every pass is 1/16 bit per
pixel: 16 of them are 1 bit. Kodak must not be among the photographs mined.
"""

from __future__ import annotations

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.feedforward import FeedforwardCell


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_2015_fc_residual",
    mining=MiningConfig(images=("data/photos/*",), recipe="resize"),
    codec=CodecConfig(
      cell=FeedforwardCell,
      network="fully_connected",
      reconstruction="additive",
      own_weights=16,
      use_bias=True,
    ),
    training=CodecTrainingConfig(
      steps=1_000_000,
      batch_size=32,
      iterations=16,
      learning_rate=5e-4,
      schedule="exponential",
      decay_rate=0.5,
      decay_steps=100_000,
      pixel_loss="square",
      checkpoint_steps=5_000,
      summary_steps=1_000,
    ),
    evaluation=CodecEvaluationConfig(
      images=("data/kodak/*.png",),
      iterations=16,
      # Far below the paper's 2015 rows; what does not reach it has learned nothing.
      gates=(Gate(metric="ms_ssim_auc", bound=1.4, min_improvement=0.0),),
    ),
  )
