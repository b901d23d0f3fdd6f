"""The whole story in minutes: the small codec that ships learns a few photographs.

Those files ship inside scikit-image's wheel, so nothing is downloaded. Patches come
from six of them, on which `codec_small` is trained a little further; the model is
measured on two others, which no shipped model has seen.

    hardmine demo            or            hardmine run codec_demo

The network is that of Toderici et al. 2016 (arXiv 1608.05148), narrow and with 8
iterations, which make at most 1 bit per pixel.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import os

from hardmine.pipelines.experiments import codec_small
from hardmine.schemas.experiment import CodecExperiment

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
  small = codec_small.experiment()
  return dataclasses.replace(
    small,
    name="codec_demo",
    # Six photographs are few: nearly all their tiles are taken, easy ones too.
    mining=dataclasses.replace(
      small.mining,
      images=tuple(photograph(name) for name in TRAIN),
      per_image=100,
      max_side_px=768,
      eval_share=0.1,
    ),
    training=dataclasses.replace(
      small.training,
      initial_weights="codec_small",
      steps=300,
      batch_size=8,
      learning_rate=2e-4,  # more, and it forgets what other photographs taught it
      schedule="cosine",
      warmup_steps=30,
      ema_decay=0.98,
      checkpoint_steps=100,
      summary_steps=50,
    ),
    evaluation=dataclasses.replace(
      small.evaluation, images=tuple(photograph(name) for name in TEST)
    ),
  )
