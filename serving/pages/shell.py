"""The shell of every page: verdict, problems, environment, lineage, settings."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from hardmine.schemas.config import Config
from hardmine.schemas.gates import Verdict

SHELL = Path(__file__).with_name("page.html.jinja")


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
