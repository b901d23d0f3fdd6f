"""Which task of a training on several machines this process is, from TF_CONFIG.

Vertex AI, Kubeflow's TFJob and whoever starts TensorFlow on several machines set it:

    {"cluster": {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]},
     "task": {"type": "worker", "index": 0}}
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from typing import Any

from hardmine.schemas.config import require

VARIABLE = "TF_CONFIG"
_CHIEFS = ("chief", "master")  # the second as it was called once
_IDLE = ("evaluator", "ps")  # tasks that have nothing to do here
_EXAMPLE = '{"cluster": {"chief": ["HOST:PORT"], "worker": [...]}, "task": {...}}'


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
  """A task among those that train together.

  Attributes:
    names: of all tasks that train, the chief first, as in "worker 1 (b:2222)".
    addresses: theirs, HOST:PORT.
    rank: this task's position among them; None for one that does not train.
    name: this task's.
  """

  names: tuple[str, ...]
  addresses: tuple[str, ...]
  rank: int | None
  name: str

  @property
  def is_chief(self) -> bool:
    """Whether this task writes what is to be kept."""
    return self.rank == 0

  @property
  def size(self) -> int:
    """How many tasks train."""
    return len(self.addresses)


def place_of(environment: Mapping[str, str] = os.environ) -> Place | None:
  """This process's task; None where nobody says that there are several.

  Without a chief the first worker is one, as in TensorFlow.

  Raises:
    ValueError: TF_CONFIG cannot be read.
  """
  text = environment.get(VARIABLE, "").strip()
  if not text:
    return None
  try:
    config = json.loads(text)
  except json.JSONDecodeError:
    config = None
  if not isinstance(config, dict):
    raise ValueError(f"Expected {VARIABLE} as JSON, {_EXAMPLE}. Received: {text!r}")
  cluster, task = config.get("cluster") or {}, config.get("task") or {}
  if not cluster:
    return None
  _check(cluster, task)
  chiefs = [(kind, a) for kind in _CHIEFS for a in cluster.get(kind, ())]
  require(len(chiefs) <= 1, f"one chief in {VARIABLE}", chiefs=[a for _, a in chiefs])
  tasks = [(kind, 0, address) for kind, address in chiefs]
  tasks += [("worker", n, a) for n, a in enumerate(cluster.get("worker", ()))]
  require(bool(tasks), f"a chief or a worker in {VARIABLE}", cluster=cluster)
  addresses = tuple(address for *_, address in tasks)
  require(
    len(set(addresses)) == len(addresses),
    f"another address for every task in {VARIABLE}",
    addresses=addresses,
  )
  names = [
    f"{kind if kind in _CHIEFS else f'{kind} {n}'} ({address})"
    for kind, n, address in tasks
  ]
  kind, index = task["type"], int(task["index"])
  if kind in _IDLE:
    rank, name = None, f"{kind} {index}"
  else:
    rank = [(k, n) for k, n, _ in tasks].index((kind, index))
    name = names[rank]
  return Place(names=tuple(names), addresses=addresses, rank=rank, name=name)


def _check(cluster: Any, task: Any) -> None:
  """Raises ValueError unless both are what TensorFlow takes them for."""
  require(
    isinstance(cluster, dict)
    and all(
      isinstance(tasks, list) and all(map(_is_address, tasks))
      for tasks in cluster.values()
    ),
    f"lists of HOST:PORT as the cluster in {VARIABLE}",
    cluster=cluster,
  )
  kinds = (*_CHIEFS, "worker", *_IDLE)
  kind = task.get("type") if isinstance(task, dict) else None
  require(kind in kinds, f"one of {', '.join(kinds)} as type in {VARIABLE}", task=task)
  index = str(task.get("index", 0 if kind in _CHIEFS else None))
  num_tasks = len(cluster.get(kind, ())) or (1 if kind in _IDLE else 0)
  require(
    index.isdecimal() and (kind in _IDLE or int(index) < num_tasks),
    f"an index in {VARIABLE} that the cluster has",
    task=task,
    cluster=cluster,
  )
  task.setdefault("index", 0)


def _is_address(text: Any) -> bool:
  if not isinstance(text, str):
    return False
  host, _, port = text.rpartition(":")
  return bool(host) and port.isdecimal() and 0 < int(port) < 65536
