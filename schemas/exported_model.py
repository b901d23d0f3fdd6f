"""What the folder of an exported model is, of which kinds there are two.

    MODEL_DIR/
      saved_model.pb  variables/  assets/     TensorFlow's SavedModel
      assets.extra/codec.json                 the facts of a codec, or
      assets.extra/detector.json              those of a detector: config, model id, ...
      assets.extra/entropy.npz                a codec's entropy model, where it has one
      assets.extra/light/*.onnx               the light form: the network as ONNX graphs
      assets.extra/light/facts.json           what goes in and comes out of them

The facts are written last, and their name says of which kind the model is; those of
the light form are written behind its graphs. Exports of before have no light form.
TensorFlow Serving leaves `assets.extra/` alone.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hardmine.schemas.config import require

GRAPH = "saved_model.pb"
EXTRA = "assets.extra"
FACTS_PATHS = {kind: f"{EXTRA}/{kind}.json" for kind in ("codec", "detector")}
KINDS = tuple(FACTS_PATHS)
ENTROPY_MODEL = f"{EXTRA}/entropy.npz"
LIGHT = f"{EXTRA}/light"
LIGHT_FACTS = f"{LIGHT}/facts.json"
LIGHT_FORMATS = (1, 2)  # 2 runs a codec's steps more than once an iteration


def is_exported(model_dir: str | os.PathLike) -> bool:
  """Whether a folder holds a SavedModel, of ours or not."""
  return Path(model_dir, GRAPH).is_file()


def kind_of(model_dir: str | os.PathLike) -> str | None:
  """One of `KINDS`, or None for what is no model of ours."""
  found = [
    kind for kind, path in FACTS_PATHS.items() if Path(model_dir, path).is_file()
  ]
  return found[0] if len(found) == 1 and is_exported(model_dir) else None


def read_facts(model_dir: str | os.PathLike, kind: str) -> dict[str, Any]:
  """What an exported model says about itself.

  Raises:
    ValueError: the folder is no exported model of this kind.
  """
  found = kind_of(model_dir)
  require(
    found == kind,
    f"an exported {kind}: a folder with {GRAPH} and {FACTS_PATHS[kind]}",
    model_dir=os.fspath(model_dir),
    **({"kind": found} if found else {}),
  )
  return json.loads(Path(model_dir, FACTS_PATHS[kind]).read_text("utf-8"))


def has_light_form(model_dir: str | os.PathLike) -> bool:
  """Whether an exported model can run without TensorFlow."""
  return Path(model_dir, LIGHT_FACTS).is_file()


def without_light_form(name: str | os.PathLike) -> str:
  """What an export of before is, and how it gets what it lacks, in one line."""
  return (
    f"{os.fspath(name)} was exported without a light form and runs on TensorFlow, "
    "which takes seconds to start; `hardmine models convert` adds the light form"
  )


def light_graph(model_dir: str | os.PathLike, name: str) -> Path:
  """The file of a graph of the light form."""
  return Path(model_dir, LIGHT, f"{name}.onnx")


def read_light_facts(model_dir: str | os.PathLike) -> dict[str, Any]:
  """What the light form of an exported model says about its graphs.

  Raises:
    ValueError: it was written by a newer version, in a way that this one cannot run.
  """
  facts = json.loads(Path(model_dir, LIGHT_FACTS).read_text("utf-8"))
  written = facts.get("format", 1)
  require(
    written in LIGHT_FORMATS,
    f"a light form of format {' or '.join(map(str, LIGHT_FORMATS))}; a newer version "
    "of hardmine runs this one",
    format=written,
  )
  return facts
