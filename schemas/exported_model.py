"""What the folder of an exported model is, of which kinds there are two.

    MODEL_DIR/
      saved_model.pb  variables/  assets/     TensorFlow's SavedModel
      assets.extra/codec.json                 the facts of a codec, or
      assets.extra/detector.json              those of a detector: config, model id, ...

The facts are written last, and their name says of which kind the model is.
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
