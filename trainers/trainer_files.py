"""What a Trainer reads and writes, on this machine: TensorFlow knows no bucket."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from hardmine.schemas.exported_model import FACTS_PATHS
from hardmine.schemas.local_copies import local_copy, local_output
from hardmine.schemas.uris import is_url, join

_SPLIT = "Split-"  # begins the names of the folders of examples


@contextlib.contextmanager
def on_this_machine(fn_args: Any) -> Iterator[Any]:
  """The arguments of a training, with local paths for what lies in a bucket.

  The examples are copied, and removed at the end. The model and the summaries are
  uploaded after the block, unless it raised: the model's facts last, without which a
  folder is no model.

  Args:
    fn_args: TFX's `FnArgs`; its `train_files` and `eval_files` are PLACE/SPLIT/*.
  """
  here = copy.copy(fn_args)
  with contextlib.ExitStack() as stack:
    here.serving_model_dir = stack.enter_context(
      _output(fn_args.serving_model_dir, sorted(FACTS_PATHS.values()))
    )
    here.model_run_dir = stack.enter_context(_output(fn_args.model_run_dir))
    patterns = [*(fn_args.train_files or ()), *(fn_args.eval_files or ())]
    splits = {pattern.split("/")[-2] for pattern in patterns}
    copies = {
      place: stack.enter_context(
        local_copy(
          place,
          wanted=lambda name: (
            not name.startswith(_SPLIT) or name.partition("/")[0] in splits
          ),
        )
      )
      for place in {_place(pattern) for pattern in patterns if is_url(pattern)}
    }
    for name in ("train_files", "eval_files"):
      moved = [_moved(pattern, copies) for pattern in getattr(fn_args, name) or ()]
      setattr(here, name, moved)
    yield here


def _output(
  place: str, last: list[str] | None = None
) -> contextlib.AbstractContextManager[str]:
  if not is_url(place):
    return contextlib.nullcontext(place)  # who writes there makes it
  return local_output(place, last=last or ())


def _place(pattern: str) -> str:
  """The folder of a pattern's split."""
  return pattern.rsplit("/", 2)[0]


def _moved(pattern: str, copies: dict[str, str]) -> str:
  place = _place(pattern)
  if place not in copies:
    return pattern
  return join(copies[place], *pattern.split("/")[-2:])
