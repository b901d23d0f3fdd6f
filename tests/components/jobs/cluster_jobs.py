"""Pipelines of the shape of our jobs, for workers elsewhere, which import this by name.

A test hands their folder of results over; nothing else is shared.
"""

import functools
import json
import os
import time
import uuid
from pathlib import Path

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

NUM_KEYS = 13


class OddOne(Exception):
  """Of a class that says more than its message."""


class AtTheEnd(beam.DoFn):
  """Gives its elements when the bundle ends."""

  def start_bundle(self):
    self.kept = []

  def process(self, element):
    self.kept.append(element)
    yield from ()

  def finish_bundle(self):
    for element in self.kept:
      yield WindowedValue(element, 0, [GlobalWindow()])


def plan(num_parts):
  yield from range(num_parts)


def keyed(part):
  return f"ключ {part % NUM_KEYS}", part


def work(group):
  """A group's key, sum and worker, under one of three shards."""
  key, parts = group
  parts = sorted(parts)
  seen = [os.getpid(), hash("seed")]
  return f"shard {int(key.split()[1]) % 3}", (key, parts, seen)


def join(shard):
  name, groups = shard
  return {"shard": name, "groups": sorted(groups)}


def scaled(part, total, parts):
  return {"part": part, "total": total, "of": len(parts)}


def write(results, folder):
  """One file a call, so that a second one would be seen."""
  path = Path(folder, f"{uuid.uuid4().hex}.json")
  path.write_text(json.dumps(sorted(results, key=json.dumps)), "utf-8")


def build(pipeline, num_parts, folder, slow_seconds=0):
  """One element that grows, by string keys and by shards, sums, sides and nothings."""
  parts = pipeline | "One" >> beam.Create([num_parts]) | beam.FlatMap(plan)
  shards = (
    parts
    | beam.Map(keyed)
    | "Spread" >> beam.GroupByKey()
    | beam.Map(functools.partial(slowly, seconds=slow_seconds, folder=folder))
    | "Work" >> beam.Map(work)
    | "ByShard" >> beam.GroupByKey()
    | beam.Map(join)
  )
  total = parts | beam.CombineGlobally(sum)
  late = parts | beam.Filter(lambda part: part % 2) | beam.ParDo(AtTheEnd())
  sides = late | beam.Map(
    scaled, beam.pvalue.AsSingleton(total), parts=beam.pvalue.AsList(parts)
  )
  nothing = (
    parts
    | "Nothing" >> beam.Filter(lambda part: part < 0)
    | "NothingKeyed" >> beam.Map(keyed)
    | "NothingGrouped" >> beam.GroupByKey()
    | "NothingJoined" >> beam.Map(join)
  )
  _ = (
    (shards, sides, nothing, total)
    | beam.Flatten()
    | beam.Reshuffle()
    | beam.combiners.ToList()
    | "Write" >> beam.Map(write, folder)
  )
  # Another end, whose work is wanted though nothing comes of it.
  _ = total | "Touch" >> beam.Map(lambda _: Path(folder, "touched").touch())


def slowly(group, seconds, folder):
  if seconds:
    Path(folder, f"at-work-{os.getpid()}").touch()
    time.sleep(seconds)
  return group


def fail(part, how):
  if part == 2:
    raise {"value": ValueError, "odd": OddOne}[how](f"part {part} is\nno good")
  return part


def build_failing(pipeline, how):
  _ = (
    pipeline
    | beam.Create([4])
    | beam.FlatMap(plan)
    | beam.Reshuffle()
    | beam.Map(fail, how)
  )


def build_text(pipeline, folder):
  """Beam's own sink, which has a folder for what is not finished."""
  lines = pipeline | beam.Create([9]) | beam.FlatMap(plan) | beam.Map(str)
  _ = lines | beam.io.WriteToText(str(Path(folder, "lines")), num_shards=2)
