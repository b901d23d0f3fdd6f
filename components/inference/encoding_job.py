"""Photographs to compressed files: a stream each, and lines that list them."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hardmine.components.inference.inference_job import InferenceJob, Outcome
from hardmine.components.inference.outcome_names import is_below, outcome_names
from hardmine.components.inference.staged_model import LoadedModel, staged_model
from hardmine.components.jobs.dead_letters import DeadLetter
from hardmine.components.jobs.shard_job import Workplace
from hardmine.components.jobs.sources import Source
from hardmine.schemas.folders import read_lines
from hardmine.schemas.inference_config import EncodingJobConfig
from hardmine.schemas.outputs import STREAMS
from hardmine.trainers.codec import bitstream
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.images import Photograph

FOLDER = "streams"
ENDING = ".hmc"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncodingJob(InferenceJob):
  """Writes `streams/NAME.hmc`, and a line about each into the shards.

  A label is the stream's path below the output.
  """

  noun = "streams"
  kind = STREAMS
  config_class = EncodingJobConfig
  stem = "streams"

  def load(self, place: Workplace, runtime: str) -> LoadedModel:
    return staged_model(place.scratch, runtime, Codec.load)

  def label(self, ids: Sequence[str]) -> dict[str, Any]:
    below = [one for one in ids if is_below(one)]
    names = outcome_names(below, lambda _: ENDING)
    return {
      **{one: _no_name(one) for one in ids},
      **{one: f"{FOLDER}/{name}" for one, name in zip(below, names)},
    }

  def ask(
    self,
    model: LoadedModel,
    config: EncodingJobConfig,
    photograph: Photograph,
    source: Source,
    label: str,
    place: Workplace,
  ) -> Outcome:
    with model.turn:
      data = model.model.compress(
        photograph.pixels, iterations=config.iterations, bpp=config.bpp
      )
    place.shards.write(label, data)
    height_px, width_px, _ = photograph.pixels.shape
    line = {
      "image": source.id,
      "file": label,
      "bytes": len(data),
      "sha256": hashlib.sha256(data).hexdigest(),
      "width_px": width_px,
      "height_px": height_px,
      "iterations": bitstream.read_header(data).iterations,
    }
    return Outcome(
      records=[json.dumps(line).encode()], counts={"stream_bytes": len(data)}
    )

  def without(self, label: Any, place: Workplace) -> None:
    if not isinstance(label, DeadLetter):
      place.shards.remove(label)

  def finished(self, place: Workplace, done: Mapping[str, Any]) -> dict[str, Any]:
    """The streams are there already: their lines say what they hold."""
    every = (
      json.loads(text)
      for shard in done["files"]
      for text in read_lines(place.shards, shard)
    )
    return {
      one["file"]: {key: one[key] for key in ("sha256", "bytes")} for one in every
    }


def _no_name(source: str) -> DeadLetter:
  return DeadLetter(
    source=source,
    reason="unusable_name",
    detail="Expected a path without `..`, which a stream can be called by too",
  )
