"""A model over photographs as a job of parts and shards, by Beam's RunInference.

A part is a batch: RunInference is handed parts and gives their reports. So its graph is
one ParDo, which every runner of ours has, and no byte of the outcome depends on how a
runner would have batched.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, ClassVar

from apache_beam.metrics import Metrics
from apache_beam.ml.inference.base import ModelHandler, RunInference

from hardmine.components.inference.staged_model import LoadedModel
from hardmine.components.jobs import dead_letters
from hardmine.components.jobs.dead_letters import DeadLetter
from hardmine.components.jobs.shard_job import (
  LETTERS,
  PLAN,
  ShardJob,
  Workplace,
  parsed,
  sum_counts,
)
from hardmine.components.jobs.shards import write_part
from hardmine.components.jobs.source_parts import (
  SourcePart,
  outside,
  plan_parts,
  read_photograph,
  shard_paths,
)
from hardmine.components.jobs.sources import Source, find_sources, fingerprint
from hardmine.schemas.inference_config import InferenceConfig
from hardmine.schemas.output_sets import check_sources
from hardmine.trainers.images import ImageError, Photograph, decode_photograph

SKIPPED = "skipped.jsonl"  # files that are no photographs and were not opened
SPLIT = "all"


@dataclasses.dataclass(frozen=True, kw_only=True)
class LabelledPart(SourcePart):
  """Photographs with what their outcomes go by.

  Attributes:
    labels: one a photograph, of the kind that the job gives them.
  """

  labels: tuple[Any, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """Of one photograph.

  Attributes:
    records: lines of text.
    counts: to be added up, by name; numbers, or such mappings again.
    image: a line about the photograph, where the job lists them.
  """

  records: list[bytes]
  counts: Mapping[str, Any]
  image: Mapping[str, Any] | None = None


class InferenceJob(ShardJob):
  """Asks a model about photographs.

  The settings have `config`, `patterns` (of the photographs, absolute) and `replaced`:
  the output that will be replaced, or null. The model lies in the scratch folder.

  Attributes:
    kind: of the set (`schemas.outputs`).
    config_class: of the config.
    stem: of the shards' names.
    keeps_alpha: photographs that are not opaque are taken, too.
  """

  lines = True
  compressed = False
  kind: ClassVar[str]
  config_class: ClassVar[type[InferenceConfig]]
  stem: ClassVar[str]
  keeps_alpha: ClassVar[bool] = False

  def load(self, place: Workplace, runtime: str) -> LoadedModel:
    """The model, once a process."""
    raise NotImplementedError

  def label(self, ids: Sequence[str]) -> dict[str, Any]:
    """What the outcomes of photographs go by, or a `DeadLetter`, by id."""
    raise NotImplementedError

  def ask(
    self,
    model: LoadedModel,
    config: Any,
    photograph: Photograph,
    source: Source,
    label: Any,
    place: Workplace,
  ) -> Outcome:
    """Asks the model about one photograph.

    Raises:
      ValueError: it is none for this model.
    """
    raise NotImplementedError

  def without(self, label: Any, place: Workplace) -> None:
    """A photograph is dead: what an attempt before made of it goes."""
    del label, place

  def shard_path(self, split: str, shard: int, num_shards: int) -> str:
    """The shard's name."""
    del split
    return f"{self.stem}-{shard:05d}-of-{num_shards:05d}.jsonl"

  def plan(self, place: Workplace) -> Iterator[LabelledPart]:
    settings = place.settings()
    config = self.config_class.from_json(settings["config"])
    listing = outside(place, find_sources(settings["patterns"]))
    if settings["replaced"]:
      check_sources(settings["replaced"], (s.path for s in listing.sources))
    labels = self.label([source.id for source in listing.sources])
    splits = {SPLIT: listing.sources}
    parts = list(plan_parts(splits, self.shard_path, config.num_shards))
    skipped = (
      {"source": path, "reason": reason, "detail": "skipped"}
      for path, reason in listing.skipped.items()
    )
    place.scratch.write(SKIPPED, dead_letters.lines(skipped).encode("utf-8"))
    plan = {
      "shards": shard_paths(splits, self.shard_path, config.num_shards),
      "images": len(listing.sources),
      "parts": len(parts),
      "repeated": listing.num_repeated,
      "skipped": dead_letters.count(listing.skipped.values()),
      "fingerprint": fingerprint(listing.sources),
    }
    place.tell(PLAN, plan)
    for part in parts:
      mine = tuple(labels[source.id] for source in part.sources)
      yield LabelledPart(**vars(part), labels=mine)

  def working(self, place: Workplace) -> RunInference:
    return RunInference(PartHandler(self, place))

  def ask_part(
    self, model: LoadedModel, part: LabelledPart, place: Workplace
  ) -> dict[str, Any]:
    """Asks about the photographs of a part. Returns its report."""
    config = parsed(self.config_class, place.settings()["config"])
    letters: list[dict[str, str]] = []
    images: list[Mapping[str, Any]] = []
    counts: list[Mapping[str, Any]] = []

    def records() -> Iterator[bytes]:
      for source, label in zip(part.sources, part.labels, strict=True):
        found = self._asked(model, config, source, label, place)
        Metrics.counter("hardmine", "photographs-read").inc()
        if isinstance(found, DeadLetter):
          Metrics.counter("hardmine", f"photographs-dead-{found.reason}").inc()
          self.without(label, place)
          letters.append(dataclasses.asdict(found))
          continue
        images.extend([found.image] if found.image else [])
        counts.append(found.counts)
        yield from found.records

    report: dict[str, Any] = {"dead_letters": letters, "listed": images}
    report = write_part(part, place, records(), report)
    return {**report, "counts": sum_counts(counts)}

  def _asked(
    self,
    model: LoadedModel,
    config: InferenceConfig,
    source: Source,
    label: Any,
    place: Workplace,
  ) -> Outcome | DeadLetter:
    if isinstance(label, DeadLetter):
      return label
    data = read_photograph(source)
    if isinstance(data, DeadLetter):
      return data
    try:
      photograph = decode_photograph(
        data, max_pixels=config.max_pixels, keep_alpha=self.keeps_alpha
      )
      found = self.ask(model, config, photograph, source, label, place)
    except ImageError as error:
      return DeadLetter(source=source.id, reason=error.reason, detail=str(error))
    except ValueError as error:
      return DeadLetter(source=source.id, reason="refused", detail=str(error))
    except (OSError, RuntimeError):
      raise
    except Exception as error:  # of a runtime's own class, which names no photograph
      told = f"{type(error).__name__}: {error}"
      raise RuntimeError(f"the model failed with {source.path}: {told}") from error
    notes = collections.Counter(photograph.notes)
    height_px, width_px, _ = photograph.pixels.shape
    sums = {"used": 1, "image_bytes": len(data), "pixels": height_px * width_px}
    return dataclasses.replace(found, counts={**found.counts, **sums, "notes": notes})

  def counts(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, Any]:
    del remarks
    reports = list(reports)
    letters = (letter for report in reports for letter in report["dead_letters"])
    none = {"used": 0, "image_bytes": 0, "pixels": 0, "notes": {}}
    return {
      **sum_counts([none, *(report["counts"] for report in reports)]),
      "dead": collections.Counter(letter["reason"] for letter in letters),
    }

  def lists(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, list[dict[str, Any]]]:
    del remarks
    letters = (letter for report in reports for letter in report["dead_letters"])
    return {LETTERS: sorted(letters, key=self.order)}

  def order(self, line: Mapping[str, Any]) -> Any:
    return line["source"], line["reason"]

  def finished(self, place: Workplace, done: Mapping[str, Any]) -> dict[str, Any]:
    """Adds files to the set, by the caller. Returns their facts by name.

    Args:
      place: of the job.
      done: its outcome.
    """
    raise NotImplementedError


class PartHandler(ModelHandler[LabelledPart, dict[str, Any], LoadedModel]):
  """What RunInference asks: a model, and a part's report."""

  def __init__(self, job: InferenceJob, place: Workplace):
    super().__init__()
    self._job, self._place = job, place

  def load_model(self) -> LoadedModel:
    config = parsed(self._job.config_class, self._place.settings()["config"])
    return self._job.load(self._place, config.runtime)

  def run_inference(
    self, batch: Any, model: LoadedModel, inference_args: Any = None
  ) -> list[dict[str, Any]]:
    del inference_args
    return [self._job.ask_part(model, batch, self._place)]

  def should_skip_batching(self) -> bool:
    return True

  def get_metrics_namespace(self) -> str:
    return "hardmine"
