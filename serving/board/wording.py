"""Times, sizes and numbers as a page says them."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Mapping
from typing import Any

from hardmine.serving.pages.conventions import METRICS, SUMMARY, UNITS

HEADLINE = {
  "codec": {
    "ms_ssim_auc": "MS-SSIM area",
    "psnr_hvs_auc": "PSNR-HVS area",
  },
  "detector": {"AP": "AP", "AP50": "AP50"},
}
_STEPS = (
  ("year", 365 * 86400),
  ("month", 30 * 86400),
  ("day", 86400),
  ("hour", 3600),
  ("minute", 60),
)
_CODEC_AREA = re.compile(r"(ms_ssim|psnr_hvs|psnr)_auc(_files)?")


def parsed(at: str) -> datetime.datetime | None:
  """ISO 8601 as a moment in UTC, None where it is none."""
  try:
    moment = datetime.datetime.fromisoformat(at.replace("Z", "+00:00"))
    if moment.tzinfo is None:
      moment = moment.replace(tzinfo=datetime.timezone.utc)
    return moment.astimezone(datetime.timezone.utc)
  except (ValueError, AttributeError, OverflowError, TypeError):
    return None


def moment(at: str) -> str:
  """As in 2026-11-23 04:05 UTC; what is no time stays as it is."""
  when = parsed(at)
  return f"{when:%Y-%m-%d %H:%M} UTC" if when else str(at)


def age(at: str, as_of: str) -> str:
  """As in `3 days`, from one moment to a later one."""
  start, end = parsed(at), parsed(as_of)
  if start is None or end is None:
    return "unknown"
  seconds = (end - start).total_seconds()
  for name, length in _STEPS:
    if seconds >= length:
      return counted(int(seconds // length), name)
  return "moments"


def counted(num: int, what: str) -> str:
  """As in `1,200 versions`."""
  return f"{num:,} {what}{'' if num == 1 else 's'}"


def size(num_bytes: float) -> str:
  """As in `12.3 MB`."""
  value, unit = float(num_bytes), "B"
  for larger in ("kB", "MB", "GB", "TB"):
    if value < 999.5:
      break
    value, unit = value / 1000, larger
  return (
    f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"
  )


def public(url: str) -> str:
  """A URL without the password or token that it may carry."""
  if "://" not in url:
    return url
  scheme, _, rest = url.partition("://")
  host, slash, path = rest.partition("/")
  return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"


def metric_title(name: str) -> tuple[str, str]:
  """What a number of `metrics.json` is called, and what it is measured over."""
  if name in SUMMARY:
    return SUMMARY[name]
  if area := _CODEC_AREA.fullmatch(name):
    title = METRICS[area[1]]
    return f"{title} area", "headers of files included" if area[2] else "rates alone"
  if name == "latency_seconds":
    return "Time per image", "lower is better"
  text = name.removeprefix("num_").replace("_", " ")
  return text[:1].upper() + text[1:], ""


def metric(name: str, value: float | None, sign: bool = False) -> str:
  """A number of `metrics.json` in its own unit, a dash for none."""
  if value is None or (name in SUMMARY and value < 0 and not sign):
    return "–"
  plus = "+" if sign else ""
  if name.startswith("num_"):
    return f"{value:{plus},.0f}"
  if name == "latency_seconds":
    return f"{1000 * value:{plus}.1f} ms"
  if name.startswith("psnr"):
    return f"{value:{plus}.2f}{UNITS.get(name, '')}"
  if name in SUMMARY or abs(value) < 1000:
    return f"{value:{plus}.4f}"
  return f"{value:{plus},.0f}"


def headline(kind: str, numbers: Mapping[str, Any]) -> list[tuple[str, str]]:
  """Title and value of the two numbers that a version is known by."""
  return [
    (title, metric(name, numbers.get(name)))
    for name, title in HEADLINE.get(kind, {}).items()
  ]


def pretty(plain: Any) -> str:
  """JSON values for reading."""
  return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False)
