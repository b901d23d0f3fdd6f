"""What the chief's Trainer hands to the other tasks, and how these take it up.

Workers know nothing of the pipeline: the chief tells them the files to train on and the
settings. They read the same files, train, and write nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import types
from collections.abc import Callable, Iterator
from typing import Any

from hardmine.schemas.uris import absolute
from hardmine.trainers.workers.current import joined
from hardmine.trainers.workers.team import Chief, Worker

_RUN_FNS = {
  "codec": "hardmine.trainers.codec.run_fn",
  "detection": "hardmine.trainers.detection.run_fn",
}


@contextlib.contextmanager
def shared(
  fn_args: Any, kind: str, strategy: str, report: Callable[[str], None] = print
) -> Iterator[Any]:
  """Inside, the arguments of a Trainer are the chief's, on every task.

  Args:
    fn_args: TFX's `FnArgs`, or what stands for it.
    kind: `codec` or `detection`.
    strategy: of its `TrainingConfig`.
    report: receives lines.

  Yields:
    The arguments; None where the chief has nothing to train.

  Raises:
    ValueError, RuntimeError: see `current.joined`.
  """
  with joined(strategy, report) as team:
    if isinstance(team, Chief):
      team.job = {
        "kind": kind,
        "train_files": [absolute(pattern) for pattern in fn_args.train_files or ()],
        "eval_files": [absolute(pattern) for pattern in fn_args.eval_files or ()],
        "custom_config": dict(fn_args.custom_config),
      }
    elif isinstance(team, Worker) and not team.has_job:
      fn_args = _arguments(team.hear_job())
    yield fn_args


def work(strategy: str, report: Callable[[str], None] = print) -> bool:
  """Trains for the chief, as the task that TF_CONFIG says, until the chief ends it.

  Returns:
    Whether there was something to train.

  Raises:
    ValueError, RuntimeError: see `current.joined`.
  """
  with joined(strategy, report) as team:
    if not isinstance(team, Worker):
      raise ValueError("Expected TF_CONFIG of a worker that is not the chief.")
    fn_args = _arguments(team.hear_job())
    if fn_args is None:
      return False
    importlib.import_module(_RUN_FNS[fn_args.kind]).run_fn(fn_args)
  return True


def _arguments(words: Any) -> Any:
  """Those of a Trainer that writes nothing."""
  if words is None:
    return None
  return types.SimpleNamespace(**words["job"], serving_model_dir="", model_run_dir="")
