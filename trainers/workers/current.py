"""The team that this process belongs to, if it belongs to one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from hardmine.schemas.config import require
from hardmine.trainers.workers.team import Chief, Team, Worker
from hardmine.trainers.workers.tf_config import VARIABLE, place_of

STRATEGY = "multiworker"
_team: Team | None = None


def current() -> Team | None:
  """The team; None where this process trains alone."""
  return _team


def writes() -> bool:
  """Whether this process is the one that keeps what is trained."""
  return _team is None or _team.is_chief


@contextlib.contextmanager
def joined(
  strategy: str, report: Callable[[str], None] = print
) -> Iterator[Team | None]:
  """Inside, this process belongs to the team that TF_CONFIG says.

  The chief's port is open as long as the block lasts. Where the block fails, all other
  tasks end with its line. Inside another such block it is that one's team.

  Args:
    strategy: of a `TrainingConfig`; any but `multiworker` has no team.
    report: receives lines.

  Yields:
    The team; None where there is none.

  Raises:
    ValueError: TF_CONFIG is missing, cannot be read, or is of a task that does not
      train; programs differ.
    RuntimeError: the chief's port is taken; the chief did not come.
  """
  global _team
  if strategy != STRATEGY or _team is not None:
    yield _team
    return
  place = place_of()
  if place is None or place.rank is None:
    raise ValueError(
      f"Expected {VARIABLE} with the cluster and this process's task in it, which "
      f"training.strategy={STRATEGY} needs. Received: {VARIABLE}="
      f"{place.name if place else None}; on one machine use --strategy mirrored"
    )
  if place.size == 1:
    report(f"{VARIABLE} names one task: training on this machine alone")
    yield None
    return
  team = _team = Chief(place) if place.is_chief else Worker(place, report)
  try:
    yield team
  except BaseException as error:
    line = " ".join(str(error).split()) or type(error).__name__
    team.give_up(f"{place.name}: {line}")
    raise
  else:
    team.end()
  finally:
    _team = None
    if isinstance(team, Chief):
      team.close()


def row_share(batch_size: int) -> slice:
  """The rows of every batch that are this task's.

  Raises:
    ValueError: a batch cannot be shared out evenly.
  """
  if _team is None:
    return slice(0, batch_size)
  require(
    batch_size % _team.size == 0,
    f"training.batch_size, which is of all {_team.size} tasks together, to be a "
    f"multiple of {_team.size}",
    batch_size=batch_size,
  )
  rows = batch_size // _team.size
  return slice(_team.rank * rows, (_team.rank + 1) * rows)
