"""A version beside its rival: numbers, settings, categories, test images."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hardmine.serving.board.wording import metric, metric_title
from hardmine.serving.pages.conventions import METRICS, SUMMARY
from hardmine.serving.store.comparison import EVALUATION_SET

MAX_FIELDS = 500  # of one table; nobody reads more
NUM_CATEGORIES = 10  # best, and as many worst
_LOWER_IS_BETTER = ("latency_seconds",)
_ORDER: list[str] = [
  *(f"{name}_auc" for name in METRICS),
  *(f"{name}_auc_files" for name in METRICS),
  *SUMMARY,
  *_LOWER_IS_BETTER,
]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ComparedNumber:
  """A number of a version and its rival; `better` is None where neither is."""

  title: str
  detail: str
  value: str
  before: str
  change: str
  better: bool | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Field:
  """A setting of a version and its rival; `changed` where they differ."""

  name: str
  value: str
  before: str
  changed: bool


def compared_numbers(
  own: Mapping[str, float], rival: Mapping[str, float] | None
) -> list[ComparedNumber]:
  """The flat numbers of a version and its rival, those of known meaning first."""
  there: list[str] = [*own, *(name for name in rival or {} if name not in own)]
  known = [name for name in _ORDER if name in there]
  rest = [name for name in there if name not in known]
  return [_compared(name, own, rival) for name in known + rest]


def fields(own: Any, rival: Any | None) -> list[Field]:
  """Settings by dotted path; what only the rival has comes last, with a dash."""
  mine = dict(_flat(own)) if own else {}
  theirs = None if rival is None else dict(_flat(rival))
  names: list[str] = [*mine, *(name for name in theirs or {} if name not in mine)]
  return [
    Field(
      name=name or "value",
      value=mine.get(name, "–"),
      before="" if theirs is None else theirs.get(name, "–"),
      changed=theirs is not None and mine.get(name) != theirs.get(name),
    )
    for name in names[:MAX_FIELDS]
  ]


def categories(
  own: Any, rival: Any | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
  """A detector's best and worst categories, with the rival's precision.

  Args:
    own: `per_category` of its metrics.
    rival: `per_category` of the rival's metrics.

  Returns:
    The best, best first, and the worst, worst first; all are among the best where
    they are few.
  """
  before = {one["name"]: one["AP"] for one in _measured(rival)}
  ranked = sorted(_measured(own), key=lambda one: -one["AP"])
  rows = [
    {
      "name": str(one["name"]),
      "num_objects": metric("num_objects", one.get("num_objects")),
      "AP": metric("AP", one["AP"]),
      "AP50": metric("AP50", one.get("AP50")),
      "before": metric("AP", before.get(one["name"])),
    }
    for one in ranked
  ]
  if len(rows) <= 2 * NUM_CATEGORIES:
    return rows, []
  return rows[:NUM_CATEGORIES], rows[: -NUM_CATEGORIES - 1 : -1]


def other_images(own: Mapping[str, Any], rival: Mapping[str, Any]) -> str:
  """Why two versions' numbers do not compare, empty where nothing speaks against."""
  one, two = own.get(EVALUATION_SET), rival.get(EVALUATION_SET)
  if one is not None and two is not None:
    return "" if one == two else "measured on different evaluation sets"
  for name in ("num_images", "num_objects"):
    if own.get(name) != rival.get(name):
      here, there = (_count(metrics.get(name)) for metrics in (own, rival))
      what = name.removeprefix("num_")
      return f"measured on other images ({here} {what}, the other on {there})"
  if _names(own) != _names(rival):
    return "measured on other images, of other names"
  return ""


def is_number(value: Any) -> bool:
  """A number that can be drawn, and no bool."""
  return isinstance(value, (int, float)) and abs(value) < 1e12 and value is not True


def _compared(
  name: str, own: Mapping[str, float], rival: Mapping[str, float] | None
) -> ComparedNumber:
  title, detail = metric_title(name)
  value, before = own.get(name), (rival or {}).get(name)
  change, better = "", None
  absent = name in SUMMARY and min(value or 0, before or 0) < 0
  if value is not None and before is not None and not absent:
    gain = value - before
    change = metric(name, gain, sign=True) if gain else "same"
    if gain and name in _ORDER:  # of others nobody said which way is better
      better = (gain < 0) if name in _LOWER_IS_BETTER else gain > 0
  return ComparedNumber(
    title=title,
    detail=detail,
    value=metric(name, value),
    before="" if rival is None else metric(name, before),
    change=change,
    better=better,
  )


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
  if isinstance(value, dict) and value:
    for key, inner in value.items():
      yield from _flat(inner, f"{path}.{key}" if path else str(key))
  elif isinstance(value, list) and any(isinstance(one, dict) for one in value):
    for index, inner in enumerate(value):
      yield from _flat(inner, f"{path}[{index}]")
  else:
    yield path, value if isinstance(value, str) else json.dumps(value)


def _measured(per_category: Any) -> list[dict[str, Any]]:
  if not isinstance(per_category, list):
    return []
  return [
    one
    for one in per_category
    if isinstance(one, dict)
    and isinstance(one.get("name"), str)
    and is_number(one.get("AP"))
    and one["AP"] >= 0
  ]


def _count(value: Any) -> str:
  return f"{value:,}" if isinstance(value, int) else "an unknown number of"


def _names(metrics: Mapping[str, Any]) -> list[str]:
  candidate = metrics.get("candidate")
  images = candidate.get("images") if isinstance(candidate, dict) else None
  return sorted(images) if isinstance(images, dict) else []
