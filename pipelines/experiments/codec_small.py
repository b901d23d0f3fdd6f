"""The small codec that ships, for thumbnails, demos and slow machines.

`codec_shipped` (Toderici et al. 2016, arXiv 1608.05148, by the recipe of
`docs/codec_recipe.md`) at 3/16 of the papers' width and with half its iterations:
at most 1 bit per pixel, in a quarter of the time. It is trained in an hour of two
cores, and is where `hardmine demo` begins.

    hardmine train codec_small --held-out 'data/held_out/*' \\
      --set 'mining.images=["data/photos/*", "data/coco/train2017/*.jpg"]'

It is ended by the pipeline as `codec_shipped` is, and takes the same photographs.
"""

from __future__ import annotations

import dataclasses

from hardmine.pipelines.experiments import codec_shipped
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.gates import Gate

ITERATIONS = 8


def experiment() -> CodecExperiment:
  """The experiment; see the module's docstring."""
  shipped = codec_shipped.experiment()
  return dataclasses.replace(
    shipped,
    name="codec_small",
    codec=dataclasses.replace(
      shipped.codec, width=0.1875, deep_width=None, clock=ITERATIONS
    ),
    training=dataclasses.replace(
      shipped.training,
      iterations=ITERATIONS,
      learning_rate=1e-3,  # learns faster for the few thousand steps that an hour has
    ),
    evaluation=dataclasses.replace(
      shipped.evaluation,
      iterations=ITERATIONS,
      # MS-SSIM after the last iteration counts up to 2 bits per pixel.
      gates=(Gate(metric="ms_ssim_auc", bound=1.7, min_improvement=0.0),),
    ),
  )
