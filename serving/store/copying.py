"""A version of one store as a version of another."""

from __future__ import annotations

import dataclasses

from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.signing import signed_files
from hardmine.serving.store.store import ModelStore


def copy_version(
  source: Catalogue, number: int, store: ModelStore, *, reason: Reason
) -> int:
  """Adds a version with all that was said of it, and its signatures.

  Args:
    source: holds it.
    number: of the version there.
    store: gets it.
    reason: for the log, which also says where from.

  Returns:
    Its number in `store`.

  Raises:
    ValueError: there is no such version.
    RuntimeError: it was changed since it was read first.
  """
  one = source.version(number)
  origin = f"copied from {source.url}:{number}"
  copy = store.add(
    source.local_dir(number),
    kind=one.kind,
    model_id=one.model_id,
    experiment=one.experiment,
    metrics=one.metrics,
    verdict=one.verdict,
    lineage=one.lineage,  # as it was signed
    reason=dataclasses.replace(
      reason, why="; ".join(filter(None, [origin, reason.why]))
    ),
  )
  if store.version(copy).digest != one.digest:
    raise RuntimeError(
      f"{source.url}/versions/{number} was changed while it was copied: version {copy} "
      f"of {store.url} is not what was looked at, and no alias holds it"
    )
  copy_signatures(source, number, store, copy, who=reason.who)
  return copy


def copy_signatures(
  source: Catalogue, number: int, store: ModelStore, copy: int, *, who: str
) -> None:
  """Those that are of the very files of the copy.

  Of a twin from another run the lineage differs, which signatures cover.
  """
  present = store.signatures(copy)
  reason = Reason(who=who, why=f"copied from {source.url}:{number}")
  held = {path: facts["sha256"] for path, facts in store.files(copy).items()}
  for key, content in source.signatures(number).items():
    if key not in present and signed_files(content) == held:
      store.add_signature(copy, key, content, reason=reason)
