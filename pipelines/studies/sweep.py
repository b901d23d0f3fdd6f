"""Measures one combination after the other; one that fails is a line, and no end."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies import load
from hardmine.pipelines.studies.asking import Failed, ask
from hardmine.pipelines.studies.combinations import Combination
from hardmine.pipelines.studies.counting import Cost, Counter
from hardmine.pipelines.studies.records import (
  Records,
  key_of,
  machine,
  runtime_version,
)
from hardmine.schemas.exported_model import has_light_form, read_facts
from hardmine.trainers.runtime.choice import TENSORFLOW


@dataclasses.dataclass(frozen=True, kw_only=True)
class How:
  """How everything is measured.

  Attributes:
    runtimes: on which, in the order of columns.
    num_threads: of one detection; None takes the processors that this process may use.
    repeats: detections after the first, at most.
    seconds: after which no other repeat is begun.
    limit_seconds: after which a measurement is given up.
    photographs: paths; noise where there are none.
    images: a folder of annotated images, for precision, or None.
    annotations: theirs.
    max_images: only the first so many of these, None for all.
  """

  runtimes: tuple[str, ...]
  num_threads: int | None = None
  repeats: int = 5
  seconds: float = 10.0
  limit_seconds: float = 900.0
  photographs: tuple[str, ...] = ()
  images: str | None = None
  annotations: str | None = None
  max_images: int | None = None


@dataclasses.dataclass
class Row:
  """What is known of one combination.

  Attributes:
    one: which.
    cost: None where the network cannot be built.
    times: by runtime, as `timing.timed` gives them.
    precision: as `precision.evaluated` gives it, of trained weights.
    problems: what went wrong, in sentences.
  """

  one: Combination
  cost: Cost | None = None
  times: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
  precision: dict[str, Any] | None = None
  problems: list[str] = dataclasses.field(default_factory=list)


Say = Callable[[str], None]
Step = Callable[[int, int], None]


def counted(combinations: Iterable[Combination], on_step: Step | None) -> list[Row]:
  """What each costs; rows in the given order."""
  counter, rows = Counter(), [Row(one) for one in combinations]
  for done, row in enumerate(_by_network(rows)):
    if on_step:
      on_step(done, len(rows))
    try:
      row.cost = counter.cost(row.one)
    except Exception as error:  # Keras' own too, of whatever a network's layers raise
      text = " ".join(str(error).split())
      row.problems.append(f"cannot be built: {text or type(error).__name__}")
  if on_step:
    on_step(len(rows), len(rows))
  return rows


class Sweep:
  """Measures rows, as far as no record has them.

  Attributes:
    data: what the annotated images came to, once they were read.
  """

  def __init__(self, how: How, records: Records, say: Say):
    self._how, self._records, self._say = how, records, say
    self._photographs = [_digest(path) for path in how.photographs]
    self._machine = machine()
    self.data: dict[str, Any] | None = None

  def measure(self, rows: Sequence[Row], on_step: Step | None) -> None:
    """Times and precisions of all rows that can be built.

    Raises:
      OSError: a measurement cannot be kept.
      Failed: the annotated images cannot be read.
    """
    rows = [row for row in rows if row.cost is not None]
    steps = itertools.count()
    total = len(rows) * len(self._how.runtimes)
    with tempfile.TemporaryDirectory(prefix="hardmine-study-") as scratch:
      self._precisions(rows, Path(scratch))
      groups = itertools.groupby(_by_network(rows), key=lambda row: row.one.network)
      for number, (_, group) in enumerate(groups):
        with tempfile.TemporaryDirectory(dir=scratch) as folder:
          network = _Network(os.path.join(folder, str(number)), self._how)
          for row in group:
            for runtime in self._how.runtimes:
              if on_step:
                on_step(next(steps), total)
              self._time(row, runtime, network)
    if on_step:
      on_step(total, total)

  def _time(self, row: Row, runtime: str, network: _Network) -> None:
    how, one = self._how, row.one
    facts = {
      "what": "time",
      "config": one.config.to_json(),
      "num_categories": one.num_categories,
      "model_id": _model_id(one),
      "runtime": runtime,
      "version": runtime_version(runtime),
      "machine": self._machine,
      "num_threads": how.num_threads,
      "repeats": how.repeats,
      "seconds": how.seconds,
      "photographs": self._photographs,
      "load": load.__doc__,
    }
    key = key_of(facts)
    found = self._records.find(key)
    if found is None:
      try:
        found = network.timed(one, runtime)
      except Failed as error:
        row.problems.append(f"{runtime}: {error}")
        self._say(f"{one.name}: {row.problems[-1]}")
        return
      self._records.keep(key, {"name": one.name, **facts}, found)
    row.times[runtime] = found

  def _precisions(self, rows: Sequence[Row], scratch: Path) -> None:
    how = self._how
    trained = [row for row in rows if row.one.model is not None]
    if how.images is None or not trained:
      return
    records = str(scratch / "records")
    data = ask(
      {
        "do": "convert",
        "images": os.path.abspath(how.images),
        "annotations": os.path.abspath(how.annotations or ""),
        "records": records,
      },
      limit_seconds=how.limit_seconds,
    )
    self.data = data
    for row in trained:
      facts = {
        "what": "precision",
        "config": row.one.config.to_json(),
        "model_id": _model_id(row.one),
        "num_proposals": row.one.num_proposals,
        "data": data["digest"],
        "max_images": how.max_images,
        "machine": self._machine,
        "num_threads": how.num_threads,
      }
      key = key_of(facts)
      row.precision = self._records.find(key)
      if row.precision is None:
        request = {
          "do": "evaluate",
          "records": records,
          "max_images": how.max_images,
          "one": row.one.plain(),
          "num_threads": how.num_threads,
        }
        try:
          row.precision = ask(request, limit_seconds=how.limit_seconds)
        except Failed as error:
          row.problems.append(f"precision: {error}")
          self._say(f"{row.one.name}: {row.problems[-1]}")
          continue
        self._records.keep(key, {"name": row.one.name, **facts}, row.precision)


class _Network:
  """One network, exported when it is first needed and not again if that fails."""

  def __init__(self, folder: str, how: How):
    self._folder, self._how = folder, how
    self._failure: Failed | None = None
    self._is_there = False

  def timed(self, one: Combination, runtime: str) -> dict[str, Any]:
    folder = None if runtime == TENSORFLOW else self._light(one)
    how = self._how
    request = {
      "do": "time",
      "one": one.plain(),
      "runtime": runtime,
      "folder": folder,
      "size_px": one.size_px,
      "num_proposals": one.num_proposals,
      "num_threads": how.num_threads,
      "repeats": how.repeats,
      "seconds": how.seconds,
      "photographs": [os.path.abspath(path) for path in how.photographs],
    }
    return ask(request, limit_seconds=how.limit_seconds)

  def _light(self, one: Combination) -> str:
    """The folder of the light form: the trained model's own, or one made for it."""
    if one.model is not None and has_light_form(one.model):
      return one.model
    if self._failure is not None:
      raise self._failure
    if not self._is_there:
      request = {"do": "export", "one": one.plain(), "folder": self._folder}
      try:
        ask(request, limit_seconds=self._how.limit_seconds)
      except Failed as error:
        self._failure = Failed(f"cannot be exported: {error}")
        raise self._failure from error
      self._is_there = True
    return self._folder


def _by_network(rows: Sequence[Row]) -> list[Row]:
  """Rows of one network behind each other, networks as they first come."""
  places: dict[str, int] = {}
  for row in rows:
    places.setdefault(row.one.network, len(places))
  return sorted(rows, key=lambda row: places[row.one.network])


def _model_id(one: Combination) -> str | None:
  return None if one.model is None else read_facts(one.model, "detector")["model_id"]


def _digest(path: str) -> str:
  return hashlib.sha256(Path(path).read_bytes()).hexdigest()
