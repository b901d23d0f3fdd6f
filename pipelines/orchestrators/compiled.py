"""What every file that `hardmine compile` writes has to say of an experiment."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Sequence
from typing import Any

from hardmine.pipelines.site import Site
from hardmine.schemas.config import Config, require
from hardmine.schemas.experiment import Experiment

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string"}
# A user and a password in a URL, as in mysql://USER:PASSWORD@HOST.
_PASSWORD = re.compile(r"^\w+://[^/@]*:[^/@]*@")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
  """An experiment and how it is run, node by node, from the folder of the caller.

  Attributes:
    experiment: with every setting that the caller made.
    reference: by which `hardmine run` finds it from anywhere: a name that ships, or an
      absolute path.
    assignments: the caller's settings, as `--set` takes them.
    site: where it runs.
    metadata: what `--metadata` names, a path that is absolute or a URL; None where
      nothing was said.
    beam_words: `--beam` and what follows it, as they were written.
    working_dir: the caller's, from which relative paths of the settings count.
    program: the absolute path of `hardmine`.
  """

  experiment: Experiment
  reference: str
  assignments: tuple[str, ...]
  site: Site
  metadata: str | None
  beam_words: tuple[str, ...]
  working_dir: str
  program: str

  def run_words(self) -> list[str]:
    """The words behind `hardmine run` that all nodes share, without `--set`."""
    words = [self.reference, "--root", self.site.root]
    if self.site.store is not None:
      words += ["--store", self.site.store]
    if self.metadata is not None:
      words += ["--metadata", self.metadata]
    return [*words, *self.beam_words]


def edges_of(experiment: Experiment, site: Site) -> dict[str, tuple[str, ...]]:
  """Every node of the compiled graph, in order, and what it waits for.

  Returns:
    Node to the nodes right before it, both in the order of the graph.
  """
  from tfx.dsl.compiler import compiler  # half a minute

  from hardmine.pipelines.graphs import create_pipeline

  plan = compiler.Compiler().compile(create_pipeline(experiment, site))
  nodes = [node.pipeline_node for node in plan.nodes]
  order = [node.node_info.id for node in nodes]
  return {
    node.node_info.id: tuple(sorted(node.upstream_nodes, key=order.index))
    for node in nodes
  }


def holds_password(url: str) -> bool:
  """Whether a URL says one, which then would stand in a file that many read."""
  return _PASSWORD.match(url) is not None


def offered_fields(experiment: Any, more: Sequence[str]) -> dict[str, dict[str, Any]]:
  """What a run may change: all plain fields of training, and more.

  Args:
    experiment: whose fields.
    more: fields by their dotted paths.

  Returns:
    Dotted path to `default` and JSON `schema`.

  Raises:
    ValueError: there is no such field, or its value is not plain.
  """
  found = {
    f"training.{name}": facts
    for name, facts in _plain_fields(experiment.training).items()
  }
  for path in more:
    *parents, name = path.split(".")
    config: Any = experiment
    for parent in parents:
      config = getattr(config, parent, None)
    known = _plain_fields(config) if isinstance(config, Config) else {}
    require(
      name in known,
      "a field that holds a number, a text or yes and no, such as "
      "evaluation.iterations",
      param=path,
    )
    found[path] = known[name]
  return found


def _plain_fields(config: Config) -> dict[str, Any]:
  hints = typing.get_type_hints(type(config))
  found = {}
  for field in dataclasses.fields(config):
    schema = _schema(hints[field.name])
    if schema is not None:
      found[field.name] = {"default": getattr(config, field.name), "schema": schema}
  return found


def _schema(hint: Any) -> dict[str, Any] | None:
  """The JSON schema of a type; None where a form has no field for it."""
  if hint in _SCALARS:
    return {"type": _SCALARS[hint]}
  members = typing.get_args(hint)
  if typing.get_origin(hint) is typing.Literal:
    return {"type": "string", "enum": list(members)}
  if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
    kinds = [kind for kind in members if kind is not type(None)]
    if len(kinds) == 1 and kinds[0] in _SCALARS:
      return {"type": ["null", _SCALARS[kinds[0]]]}
  return None
