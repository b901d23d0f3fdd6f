"""What differs between the settings of two executions, in words."""

from __future__ import annotations

import contextlib
import json
from typing import Any

_MAX_VALUE_CHARS = 40
# Names under which nodes record what an experiment calls otherwise.
_OUR_WORDS = {"custom_config": "", "experiment": "", "config": "evaluation"}
# Properties that stand for something.
FINGERPRINTS = {
  "input_fingerprint": "the input files",
  "images_fingerprint": "the test photographs",
}


def setting_changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
  """Names what differs between two nested settings.

  Args:
    old: JSON values; strings that hold JSON objects are looked into.
    new: likewise.

  Returns:
    Phrases such as `training.steps changed 500 -> 800`, by dotted path.
  """
  before, now = dict(_leaves("", old)), dict(_leaves("", new))
  phrases = []
  for path in sorted(set(before) | set(now)):
    if path in FINGERPRINTS:
      # A failed execution never got to know its own.
      if path in before and path in now and before[path] != now[path]:
        phrases.append(f"{FINGERPRINTS[path]} changed")
    elif path not in now:
      phrases.append(f"{path} is no longer set")
    elif path not in before:
      phrases.append(f"{path} is new: {_brief(now[path])}")
    elif before[path] != now[path]:
      phrases.append(f"{path} changed {_brief(before[path])} -> {_brief(now[path])}")
  return phrases


def _leaves(path: str, value: Any):
  if isinstance(value, str) and value[:1] == "{":
    with contextlib.suppress(json.JSONDecodeError):
      value = json.loads(value)
  if isinstance(value, list) and value and isinstance(value[0], dict):
    value = {str(i): item for i, item in enumerate(value)}
  if isinstance(value, dict) and value:
    for name, item in value.items():
      inner = name if path else _OUR_WORDS.get(name, name)
      yield from _leaves(f"{path}.{inner}".strip("."), item)
  else:
    yield path, value


def _brief(value: Any) -> str:
  text = json.dumps(value)
  if len(text) > _MAX_VALUE_CHARS:
    text = text[: _MAX_VALUE_CHARS - 1] + "…"
  return text
