"""The smallest codec experiment that is one, on crops of scikit-image's photographs."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from hardmine.pipelines.experiments.codec_demo import photograph
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.training_config import CodecTrainingConfig


def tiny_experiment(
  folder: Path, min_improvement: float | None = None
) -> CodecExperiment:
  """Trains a few steps; its gate takes any model that is.

  Args:
    folder: gets the photographs.
    min_improvement: over the model before; None takes any.
  """
  from hardmine.trainers.codec.cells.lstm import ConvLSTMCell

  photos = folder / "photos"
  photos.mkdir()
  for name in ("astronaut.png", "motorcycle_left.png"):
    crop(name, photos / name)
  crop("coffee.png", folder / "test.png")
  return CodecExperiment(
    name="tiny",
    mining=MiningConfig(
      images=(str(photos / "*.png"),), per_image=8, eval_share=0.5, num_shards=1
    ),
    codec=CodecConfig(cell=ConvLSTMCell, width=0.02),
    training=CodecTrainingConfig(
      steps=4, batch_size=4, iterations=2, summary_steps=2, checkpoint_steps=2
    ),
    evaluation=CodecEvaluationConfig(
      images=(str(folder / "test.png"),),
      iterations=2,
      gates=(Gate(metric="ms_ssim_auc", bound=0.0, min_improvement=min_improvement),),
    ),
  )


def crop(name: str, path: Path) -> None:
  """Saves a part of a photograph."""
  Image.open(photograph(name)).crop((100, 100, 264, 268)).save(path)
