"""Where a training begins: a reference becomes the exported model that it means.

`STORE:ALIAS`, `STORE:VERSION` and the names of shipped models are resolved before a
graph is made, so that a node whose alias has moved since, or whose shipped model was
replaced, is not reused. What is handed on is a folder or URL, which a worker that knows
no store can read.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
from pathlib import Path
from typing import Any

from hardmine.pipelines.cli.model_ref import (
  read_model_id,
  shipped_models,
  split_store_reference,
)
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment, Experiment
from hardmine.schemas.files import sha256_of
from hardmine.schemas.uris import absolute, is_url, join

KEY = "initial_version"


def initial_weights_of(experiment: Any) -> str | None:
  """What an experiment's `initial_weights` says."""
  is_codec = isinstance(experiment, CodecExperiment)
  return (experiment.training if is_codec else experiment.detector).initial_weights


def resolved(experiment: Any) -> tuple[Any, dict[str, str]]:
  """An experiment that names the place of the weights, and what to tell a Trainer.

  Args:
    experiment: of either kind.

  Returns:
    The experiment with a folder or URL where it named a model; and
    entries for a Trainer's `custom_config`, by which it is not reused for others:
    which model it is, or hashes of local files.

  Raises:
    ValueError: there is no such store, alias or version, or it holds another kind; or
      a codec's weights are not there.
    RuntimeError: the store cannot be reached or is damaged.
  """
  reference = initial_weights_of(experiment)
  kind = "codec" if isinstance(experiment, CodecExperiment) else "detector"
  shipped = shipped_reference(reference, kind)
  if shipped is not None:
    facts = {"shipped": reference, "model_id": read_model_id(shipped).hex()}
    told = {KEY: json.dumps(facts, sort_keys=True)}
    return _with_weights(experiment, str(shipped)), told
  parts = store_reference(reference)
  if parts is None:
    return experiment, _contents(reference, kind)
  place, facts = version_of(*parts, kind)
  return _with_weights(experiment, place), {KEY: json.dumps(facts, sort_keys=True)}


def store_reference(reference: str | None) -> tuple[str, str] | None:
  """Store and alias or version; None for what is no such reference, or is a path."""
  if reference is None or (not is_url(reference) and os.path.exists(reference)):
    return None
  return split_store_reference(reference)


def shipped_reference(reference: str | None, kind: str = "codec") -> Path | None:
  """The folder of a shipped model, by its name; None for anything else, as a path."""
  if reference is None or os.path.exists(reference):
    return None
  return shipped_models(kind).get(reference)


def version_of(url: str, name: str, kind: str) -> tuple[str, dict[str, Any]]:
  """The place of a version, and what it is.

  Args:
    url: of the store.
    name: an alias or a number.
    kind: `codec` or `detector`.

  Raises:
    ValueError: there is none, or it is of another kind.
  """
  from hardmine.serving.store.catalogue import Catalogue

  store = Catalogue(url)
  require(
    store.exists(),
    "a model store before the colon of initial_weights",
    initial_weights=f"{url}:{name}",
  )
  version = store.version(store.resolve(name))
  require(
    version.kind == kind,
    f"a {kind} to begin with",
    initial_weights=f"{url}:{name}",
    kind=version.kind,
  )
  place = absolute(store.url)  # the same however the store is spelled
  return join(place, "versions", str(version.number)), {
    "store": place,
    "version": version.number,
    "digest": version.digest,
    "model_id": version.model_id,
  }


def _with_weights(experiment: Experiment, place: str) -> Any:
  name = "training" if isinstance(experiment, CodecExperiment) else "detector"
  part = dataclasses.replace(getattr(experiment, name), initial_weights=place)
  return dataclasses.replace(experiment, **{name: part})


def _contents(reference: str | None, kind: str) -> dict[str, str]:
  """Hashes of local files, so that others in the same place train anew.

  Not of an `.npz` for a detector, which was never looked at: a root of before would
  train once more.

  Raises:
    ValueError: a codec's weights are not there; better now than after mining.
  """
  if reference is None or is_url(reference) or reference == "imagenet":
    return {}
  if kind == "detector" and reference.endswith(".npz"):
    return {}
  paths = [reference, *glob.glob(f"{glob.escape(reference)}.*")]  # of a checkpoint
  if kind == "codec":
    require(os.path.exists(reference), "weights that exist", initial_weights=reference)
    paths = [reference]
  files = [path for path in sorted(paths) if os.path.isfile(path)]
  if os.path.isdir(reference):
    tree = os.walk(reference)
    files = sorted(os.path.join(place, name) for place, _, own in tree for name in own)
  if not files:
    return {}  # a detector's Trainer says what is wrong
  return {"initial_weights_sha256": " ".join(sha256_of(file) for file in files)}
