"""The Associative LSTM of the papers: complex memory in the decoder, one-shot.

Toderici et al. 2016, Full Resolution Image Compression with Recurrent Neural
Networks (arXiv 1608.05148): the decoder's units are Associative LSTMs with one copy
of their memory, the encoder's are LSTMs.

    hardmine run codec_associative_lstm \\
      --set 'mining.images=["photos/*.jpg"]' --set 'evaluation.images=["kodak/*.png"]'

Needs a GPU and many photographs, as `codec_lstm_additive` does, whose settings these
are. Expected on Kodak: area under the MS-SSIM curve from 0.125 to 2 bpp of 1.7912
in the paper (1.7980 of the network that was trained on 32x32 images).
"""

from __future__ import annotations

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.associative_lstm import AssociativeLSTMCell


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_associative_lstm",
    mining=MiningConfig(images=("data/photos/*",), per_image=100),
    codec=CodecConfig(cell=AssociativeLSTMCell, reconstruction="one_shot"),
    training=CodecTrainingConfig(
      steps=1_000_000,
      batch_size=32,
      iterations=16,
      learning_rate=5e-4,
      schedule="exponential",
      decay_rate=0.5,
      decay_steps=100_000,
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
