"""`run:ID` on the command line: the version that a run has put into a model store.

The store says it of what a run has pushed. A run that found its model pushed already,
by an earlier one, has only its records: ML Metadata.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from hardmine.schemas.config import require

if TYPE_CHECKING:
  from ml_metadata import MetadataStore

  from hardmine.serving.store.catalogue import Catalogue

PREFIX = "run:"
ENVIRONMENT = "HARDMINE_METADATA"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds what narrows a `run:ID` down."""
  parser.add_argument(
    "--experiment",
    metavar="NAME",
    help="whose run run:ID is, where several experiments push into one store",
  )
  parser.add_argument(
    "--metadata",
    metavar="PATH|URL",
    default=os.environ.get(ENVIRONMENT) or None,
    help="the records of runs, as of `hardmine run`, in which a run:ID is looked for "
    f"that pushed nothing new (default: ${ENVIRONMENT})",
  )


def run_id_of(reference: str) -> str | None:
  """The ID of `run:ID`; None for anything else."""
  if not reference.startswith(PREFIX):
    return None
  run_id = reference[len(PREFIX) :]
  require(run_id != "", "an ID behind run:", version=reference)
  return run_id


def version_of_run(
  catalogue: Catalogue, run_id: str, *, experiment: str | None, metadata: str | None
) -> int:
  """The version that a run has pushed, or found pushed.

  Args:
    catalogue: of the store.
    run_id: what TFX, or a scheduler, calls the run.
    experiment: its name; None takes any, if there is one only.
    metadata: where the records lie, for runs that pushed nothing new; or None.

  Raises:
    ValueError: no such run has pushed anything into this store, or several have.
    RuntimeError: the store or the records cannot be read.
  """
  found = _pushed(catalogue, run_id) or _found_pushed(catalogue, run_id, metadata)
  if experiment is not None:
    found = {name: number for name, number in found.items() if name == experiment}
  if len(found) == 1:
    return next(iter(found.values()))
  if found:
    several = ", ".join(f"version {number} of {name}" for name, number in found.items())
    raise ValueError(
      f"Expected --experiment NAME, for there are {several}. Received: run:{run_id}"
    )
  whose = "" if experiment is None else f" of {experiment}"
  more = (
    ""
    if metadata
    else (
      "; one that found its model pushed already is known by its records only: "
      "--metadata PATH|URL"
    )
  )
  raise ValueError(
    f"Expected run:ID of a run{whose} whose model is in {catalogue.url}"
    f"{more}. Received: run:{run_id}"
  )


def _pushed(catalogue: Catalogue, run_id: str) -> dict[str, int]:
  """Experiment to the version that its run added, the newest of several."""
  there = set(catalogue.versions())
  found = {}
  for entry in catalogue.audit():
    # The log is one file; what it says in words is then asked of the version itself.
    if entry.action != "add" or entry.why != f"run {run_id}":
      continue
    if entry.to_version not in there:
      continue
    lineage = catalogue.version(entry.to_version).lineage
    if lineage.get("run_id") == run_id:
      found[str(lineage.get("pipeline"))] = entry.to_version
  return found


def _found_pushed(
  catalogue: Catalogue, run_id: str, metadata: str | None
) -> dict[str, int]:
  """The same of what a run's Pusher handed on, by ML Metadata."""
  if metadata is None:
    return {}
  from hardmine.components.pushes import pushes_in_run

  return {
    pipeline: push.version
    for pipeline, push in pushes_in_run(_opened(metadata), run_id)
    if push.store == catalogue.url and push.is_there(catalogue)
  }


def _opened(metadata: str) -> MetadataStore:
  from ml_metadata.proto import metadata_store_pb2 as mlmd

  from hardmine.pipelines import metadata_store

  place = metadata_store.checked_place(metadata)
  if metadata_store.is_database(place):
    return metadata_store.opened(metadata_store.connection_config(place), place)
  require(os.path.isfile(place), "a file of records that is there", metadata=metadata)
  config = mlmd.ConnectionConfig()  # that of TFX would import it, and make the file
  config.sqlite.filename_uri = place
  config.sqlite.connection_mode = mlmd.SqliteMetadataSourceConfig.READONLY
  return metadata_store.opened(config, place)
