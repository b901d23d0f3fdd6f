"""The files that every evaluation leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hardmine.schemas.files import write_atomically
from hardmine.schemas.gates import Verdict

VERDICT = "verdict.json"  # with it an evaluation is whole


def write_files(
  directory: str | Path,
  *,
  metrics: Mapping[str, Any],
  page: str,
  verdict: Verdict | None,
  others: Mapping[str, Any] | None = None,
) -> None:
  """Writes `metrics.json`, `report.html` and, last, `verdict.json` if there is one.

  Args:
    directory: is made.
    metrics: JSON values.
    page: the report.
    verdict: None where nothing was judged.
    others: file names to JSON values, written in one line each.
  """
  directory = Path(directory)
  directory.mkdir(parents=True, exist_ok=True)
  text = json.dumps(metrics, indent=2, allow_nan=False)
  write_atomically(directory / "metrics.json", text + "\n")
  for name, content in (others or {}).items():
    write_atomically(directory / name, json.dumps(content, allow_nan=False) + "\n")
  write_atomically(directory / "report.html", page)
  if verdict is not None:
    text = json.dumps(json.loads(verdict.to_json()), indent=2, allow_nan=False)
    write_atomically(directory / VERDICT, text + "\n")
