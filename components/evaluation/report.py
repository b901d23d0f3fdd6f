"""The files that every evaluation leaves, and the shell of its page."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from schemas.config import Config
from schemas.gates import Verdict
from schemas.manifest import write_atomically

SHELL = Path(__file__).with_name("page.html.jinja")


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
    write_atomically(directory / "verdict.json", text + "\n")


def render_page(
  template: Path,
  *,
  verdict: Verdict | None,
  problems: Sequence[str],
  environment: Mapping[str, str],
  lineage: Mapping[str, str] | None,
  config: Config | None,
  **values: Any,
) -> str:
  """A page that fetches and runs nothing.

  Args:
    template: extends `page.html.jinja`, whose blocks it fills.
    verdict: shown on top with its reasons, None where nothing was judged.
    problems: what went wrong, in sentences.
    environment: package to version.
    lineage: artifacts and their places.
    config: what was asked for, shown at the end.
    **values: what the template asks for beyond these.
  """
  return (
    _templates(template.parent)
    .get_template(template.name)
    .render(
      verdict=verdict,
      problems=problems,
      environment=environment,
      lineage=lineage or {},
      config=json.dumps(json.loads(config.to_json()), indent=2) if config else "",
      **values,
    )
  )


@functools.cache  # a board has a thousand pages of one template
def _templates(folder: Path) -> jinja2.Environment:
  """The templates of a folder, and the shell that they extend."""
  return jinja2.Environment(
    loader=jinja2.FileSystemLoader([folder, SHELL.parent]),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
  )
