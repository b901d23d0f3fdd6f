"""The fully connected LSTM of 2015.

Toderici et al. 2015, Variable Rate Image Compression with Recurrent Neural Networks
(arXiv 1511.06085), section 3.3: each 8x8 patch by itself, a layer of 512 and two LSTMs
of 512, 4 bits a pass; each pass gives the whole patch anew.

    hardmine run codec_2015_fc_lstm \\
      --set 'mining.images=["photos/*"]' --set 'evaluation.images=["kodak/*.png"]'

The paper's table gives SSIM of 32x32 images at 64 and 128 bytes, over blocks of 8x8:
0.69 and 0.81. This pipeline measures MS-SSIM of whole photographs instead, for which
the paper has no figure.

The paper trains on whole images shrunk to 32x32, which `mining.recipe=resize` makes, by
the mean square of the residual. It tries rates from 0.1 to 1, which presume Adam with
epsilon 1; 5e-4 goes with the usual epsilon. Every pass is 1/16 bit per pixel: 16 of
them are 1 bit. Kodak must not be among the photographs mined.
"""

from __future__ import annotations

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_2015_fc_lstm",
    mining=MiningConfig(images=("data/photos/*",), recipe="resize"),
    codec=CodecConfig(
      cell=ConvLSTMCell,
      network="fully_connected",
      reconstruction="one_shot",
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
