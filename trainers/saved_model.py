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


def check_id(model_dir: str | os.PathLike, facts: dict[str, Any], found: str) -> None:
  """Raises RuntimeError unless a model's weights are those that its facts name."""
  if found != facts["model_id"]:
    raise RuntimeError(
      f"{os.fspath(model_dir)} says that it is model {facts['model_id']}, and its "
      f"weights are those of {found}"
    )


def read_variables(model_dir: str | os.PathLike, name: str, model: Any) -> list[Any]:
  """Fills a model with the variables of an export.

  They are found by the attributes that lead to them, in the export and in the model:
  an export of before keeps some under the names of its optimizer's. What has another
  shape, as what training alone keeps of a batch, is left as it is.

  Args:
    model_dir: of the export.
    name: of the saved module's attribute that was the model.
    model: of Keras, with its variables made; or such by their names in a dictionary.

  Returns:
    Those that were filled.
  """
  import tensorflow as tf
  from tensorflow.core.protobuf import trackable_object_graph_pb2

  reader = tf.train.load_checkpoint(str(Path(model_dir, "variables", "variables")))
  graph = trackable_object_graph_pb2.TrackableObjectGraph()
  graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
  pending = [
    (child.node_id, model)
    for child in graph.nodes[0].children
    if child.local_name == name
  ]
  seen, filled = set(), []
  while pending:
    number, ours = pending.pop()
    if number in seen:
      continue
    seen.add(number)
    node = graph.nodes[number]
    if node.attributes and hasattr(ours, "assign"):
      value = reader.get_tensor(node.attributes[0].checkpoint_key)
      if tuple(value.shape) == tuple(ours.shape):
        ours.assign(value)
        filled.append(ours)
    for child in node.children:
      below = _child(ours, child.local_name)
      if below is not None:
        pending.append((child.node_id, below))
  return filled


def _child(parent: Any, name: str) -> Any:
  """What a name in an object graph means: an attribute, or a place in a list."""
  if isinstance(parent, (list, tuple)):
    return parent[int(name)] if name.isdecimal() and int(name) < len(parent) else None
  if isinstance(parent, dict):
    return parent.get(name)
  return getattr(parent, name, None)
