"""Running a conversion, and looking at what it left."""

import json

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from hardmine.components.coco_gen.job import run_job
from hardmine.components.jobs.tfrecords import read_records
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.coco_example import from_example
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig


def convert(config, output, *, workers=1, **options):
  beam_args = direct(workers)
  return run_job(
    config,
    output,
    make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
    **options,
  )


def records(output, key="source_id", shards="*.gz"):
  """{source_id, or `key`: record} of all shards, or of those with such names."""
  found = [from_example(r) for p in output.rglob(shards) for r in read_records(p)]
  assert len({getattr(image, key) for image in found}) == len(found)
  return {getattr(image, key): image for image in found}


def letters(path):
  return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }


def config_of(annotated_set, **fields):
  source = AnnotatedFolder(
    images=str(annotated_set.images), annotations=str(annotated_set.json)
  )
  return ConversionConfig(sources=(source,), num_shards=2, **fields)
