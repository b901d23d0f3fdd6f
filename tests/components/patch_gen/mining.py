"""Drawing photographs, mining them, and looking at what a job left."""

import hashlib
import json

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions

from hardmine.components.jobs.tfrecords import read_records
from hardmine.components.patch_gen.job import run_job
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import from_example

PER_IMAGE = 5


def photograph(seed):
  generator = np.random.default_rng(seed)
  height, width = generator.integers(96, 160, 2)
  noise = generator.standard_normal((height, width, 3))
  strength = np.linspace(0, 60, width)[None, :, None]
  return np.clip(128 + strength * noise, 0, 255).astype(np.uint8)


def config(folder, **changes):
  base = MiningConfig(
    images=(f"{folder}/**/*.png",), per_image=PER_IMAGE, num_shards=2, eval_share=0.3
  )
  return base.override([f"{name}={json.dumps(v)}" for name, v in changes.items()])


def mine(settings, output, *, workers=1, **options):
  beam_args = direct(workers)
  return run_job(
    settings,
    output,
    make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
    **options,
  )


def patches(output):
  paths = sorted(output.rglob("*.gz"))
  return [from_example(r) for path in paths for r in read_records(path)]


def key(patch):
  digest = hashlib.sha256(patch.pixels.tobytes()).hexdigest()
  place = (patch.source, patch.reduction, patch.row_px, patch.column_px)
  return (*place, patch.score, digest)


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }
