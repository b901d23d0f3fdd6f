"""Writes and loads exported models, whose folder `schemas.exported_model` tells of."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hardmine.schemas.exported_model import FACTS_PATHS, read_facts
from hardmine.schemas.files import write_atomically


def save(
  module: Any,
  signatures: dict[str, Any],
  model_dir: str | os.PathLike,
  kind: str,
  facts: dict[str, Any],
  write_light: Callable[[], None] | None = None,
) -> None:
  """Writes the graph, the light form, then the facts: a folder with facts is whole.

  Args:
    module: a `tf.Module` that holds what the signatures use.
    signatures: name to `tf.function`.
    model_dir: a folder that does not exist yet or is empty.
    kind: `codec` or `detector`.
    facts: JSON values.
    write_light: writes the light form into the folder.
  """
  import tensorflow as tf

  tf.saved_model.save(module, str(model_dir), signatures=signatures)
  if write_light is not None:
    write_light()
  path = Path(model_dir) / FACTS_PATHS[kind]
  path.parent.mkdir(exist_ok=True)
  write_atomically(path, json.dumps(facts, indent=2, sort_keys=True) + "\n")


def load(model_dir: str | os.PathLike, kind: str) -> tuple[Any, dict[str, Any]]:
  """The module, whose `signatures` need it to stay alive, and the facts.

  Raises:
    ValueError: the folder is no exported model of this kind.
  """
  facts = read_facts(model_dir, kind)
  import tensorflow as tf

  return tf.saved_model.load(str(model_dir)), facts
