"""The whole story in minutes: a very small codec on photographs of scikit-image.

Those files ship inside scikit-image's wheel, so nothing is downloaded. Patches
come from six of them; the model is measured on two others. The network is
that of Toderici et al. 2016 (arXiv 1608.05148) at an eighth of its width and 8
iterations, so its pictures are no match for the paper's.

    hardmine demo            or            hardmine run codec_demo
"""

from __future__ import annotations

import importlib.util
import os

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.gru import ConvGRUCell

# Colour photographs; the second motorcycle is the first one from the side.
TRAIN = (
  "astronaut.png",
  "hubble_deep_field.jpg",
  "ihc.png",
  "motorcycle_left.png",
  "retina.jpg",
  "rocket.jpg",
)
TEST = ("chelsea.png", "coffee.png")


def photograph(name: str) -> str:
  """Where scikit-image keeps one of its photographs, found without importing it."""
  spec = importlib.util.find_spec("skimage")
  assert spec is not None
  assert spec.submodule_search_locations is not None
  return os.path.join(spec.submodule_search_locations[0], "data", name)


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  return CodecExperiment(
    name="codec_demo",
    # Six photographs are few: nearly all their tiles are taken, easy ones too.
    mining=MiningConfig(
      images=tuple(photograph(name) for name in TRAIN),
      per_image=400,
      max_side_px=768,
      eval_share=0.1,
    ),
    codec=CodecConfig(cell=ConvGRUCell, reconstruction="additive", width=0.125),
    training=CodecTrainingConfig(
      steps=800,
      batch_size=8,
      iterations=8,
      learning_rate=3e-3,
      schedule="cosine",
      clip_norm=0.5,
      checkpoint_steps=200,
      summary_steps=50,
    ),
    evaluation=CodecEvaluationConfig(
      images=tuple(photograph(name) for name in TEST),
      iterations=8,
      gates=(Gate(metric="ms_ssim_auc", bound=1.2, min_improvement=0.0),),
    ),
  )
