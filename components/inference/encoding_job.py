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
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.rate_control import Target
from hardmine.trainers.codec.side_chunks.carrying import Carrying
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
  keeps_alpha = True

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
    carrying = Carrying(
      alpha=config.alpha,
      keep_metadata=config.keep_metadata,
      keep_location=config.keep_location,
    )
    target = Target(
      iterations=config.iterations,
      bpp=config.bpp,
      max_bytes=config.max_bytes,
      ms_ssim=config.ms_ssim,
    )
    carried = carrying.of(photograph)
    with model.turn:
      found = model.model.compress_to(
        carried.image, target, metadata=carried.metadata, adaptive=config.adaptive
      )
    data = found.data
    place.shards.write(label, data)
    height_px, width_px, _ = photograph.pixels.shape
    line = {
      "image": source.id,
      "file": label,
      "bytes": len(data),
      "sha256": hashlib.sha256(data).hexdigest(),
      "width_px": width_px,
      "height_px": height_px,
      "iterations": found.iterations,
    }
    if found.ms_ssim is not None:
      line["ms_ssim"] = found.ms_ssim
    counts = {
      "stream_bytes": len(data),
      "transparent": int(carried.is_transparent),
      "metadata_left_out": int(bool(carried.left_out)),
      "target_missed": int(not found.is_met),
    }
    # Only what happened: the counts of jobs that it does not concern stay as they were.
    counts = {name: count for name, count in counts.items() if count}
    return Outcome(records=[json.dumps(line).encode()], counts=counts)

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
