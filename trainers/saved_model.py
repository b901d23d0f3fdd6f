"""Exported models: a SavedModel, and beside its graph a JSON file of facts.

The facts lie in `assets.extra/`, where TensorFlow Serving leaves them alone. Each
kind of model has a file name of its own, by which its folders are told apart.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from schemas.config import require
from schemas.manifest import write_atomically


def save(
  module: Any,
  signatures: dict[str, Any],
  model_dir: str | os.PathLike,
  facts_path: str,
  facts: dict[str, Any],
) -> None:
  """Writes the graph, then the facts: a folder with facts is whole.

  Args:
    module: a `tf.Module` that holds what the signatures use.
    signatures: name to `tf.function`.
    model_dir: a folder that does not exist yet or is empty.
    facts_path: below `model_dir`.
    facts: JSON values.
  """
  import tensorflow as tf

  tf.saved_model.save(module, str(model_dir), signatures=signatures)
  path = Path(model_dir) / facts_path
  path.parent.mkdir(exist_ok=True)
  write_atomically(path, json.dumps(facts, indent=2, sort_keys=True) + "\n")


def load(model_dir: str | os.PathLike, facts_path: str) -> tuple[Any, dict[str, Any]]:
  """The module, whose `signatures` need it to stay alive, and the facts.

  Raises:
    ValueError: the folder is no exported model of this kind.
  """
  path = Path(model_dir) / facts_path
  require(
    path.is_file() and (Path(model_dir) / "saved_model.pb").is_file(),
    f"a folder with saved_model.pb and {facts_path}",
    model_dir=str(model_dir),
  )
  import tensorflow as tf

  return tf.saved_model.load(str(model_dir)), json.loads(path.read_text("utf-8"))
