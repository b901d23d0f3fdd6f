"""A version of before, with the light form that it lacks, as a new version."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable
from pathlib import Path

from hardmine.schemas.exported_model import LIGHT_FACTS, read_facts
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore

Convert = Callable[[Path, Path], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Conversion:
  """What was found or done.

  Attributes:
    from_version: that was asked for.
    version: the same model with a light form.
    already: it was there.
  """

  from_version: int
  version: int
  already: bool


def add_light_form(
  store: ModelStore, number: int, convert: Convert, *, reason: Reason
) -> Conversion:
  """Adds a model once more, with a light form and all that was said of it.

  Its metrics, verdict and experiment are the same, so it passes the checks that the
  version passed; its lineage says which version it was. A signature covers files and
  does not go along.

  Args:
    store: holds the version.
    number: of the version.
    convert: writes, of a model's folder, another one with both forms.
    reason: for the log, which also says of which version.

  Raises:
    ValueError: there is no such version.
    RuntimeError: its files are damaged, or it cannot be converted.
  """
  there = _light_twin(store, number)
  if there is not None:
    return Conversion(from_version=number, version=there, already=True)
  store.verify(number)
  one = store.version(number)
  with tempfile.TemporaryDirectory(prefix="hardmine-convert-") as folder:
    target = Path(folder, "model")
    convert(store.local_dir(number), target)
    found = read_facts(target, one.kind)["model_id"]
    if found != one.model_id:
      raise RuntimeError(f"version {number} is model {one.model_id}, and not {found}")
    told = f"light form of version {number}"
    version = store.add(
      target,
      kind=one.kind,
      model_id=one.model_id,
      experiment=one.experiment,
      metrics=one.metrics,
      verdict=one.verdict,
      lineage={
        **one.lineage,
        "converted_from": {"version": number, "digest": one.digest},
      },
      reason=dataclasses.replace(
        reason, why="; ".join(filter(None, [told, reason.why]))
      ),
    )
  return Conversion(from_version=number, version=version, already=False)


def _light_twin(store: Catalogue, number: int) -> int | None:
  """The version itself, or the newest of the same model and judgement, if light."""
  if LIGHT_FACTS in store.files(number):
    return number
  one = store.version(number)
  for other in reversed(store.versions()):
    try:
      same = store.version(other)
      if (
        same.model_id == one.model_id
        and same.kind == one.kind
        and LIGHT_FACTS in store.files(other)
        and (same.experiment, same.metrics, same.verdict)
        == (one.experiment, one.metrics, one.verdict)
      ):
        return other
    except RuntimeError:  # a damaged one is none
      continue
  return None
