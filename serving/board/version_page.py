"""The page of one version, beside the one in production."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hardmine.serving.board import comparison, figures, wording
from hardmine.serving.board.index_page import shell
from hardmine.serving.board.reading import (
  Overview,
  Rival,
  Row,
  Store,
  parse_verdict,
  rival_of,
)
from hardmine.serving.pages.conventions import METRICS, UNITS
from hardmine.serving.pages.figures import precision_by_size, rate_distortion
from hardmine.serving.pages.plots import legend
from hardmine.serving.pages.shell import render_page
from hardmine.serving.store.comparison import EVALUATION_SET

TEMPLATE = Path(__file__).with_name("version.html.jinja")
_DOCUMENTS = ("experiment", "metrics", "verdict", "lineage")


def page_name(number: int) -> str:
  """The file of a version's page."""
  return f"version-{number}.html"


class VersionPages:
  """Renders one version after the other; documents of production are read once.

  Args:
    store: where they are.
    overview: of this store.
    title: of the board.
  """

  def __init__(self, store: Store, overview: Overview, title: str):
    self._store, self._overview, self._title = store, overview, title
    self._kept: dict[int, tuple[dict[str, Any], list[str]]] = {}

  def render(self, row: Row) -> str:
    """The page as text."""
    rival = rival_of(self._overview, row)
    documents, problems = self._documents(row)
    theirs: dict[str, Any] = {}
    if rival is not None:
      if rival.row.number not in self._kept:
        self._kept[rival.row.number] = self._documents(rival.row)
      theirs, wrong = self._kept[rival.row.number]
      problems += [f"{rival.title}: {problem}" for problem in wrong]
    verdict, wrong_verdict = parse_verdict(documents["verdict"])
    if wrong_verdict:
      problems.append(wrong_verdict)
    problems += _of_the_evaluation(documents["metrics"])
    values = shell()
    values["problems"] = problems
    neighbours = [one.number for one in self._overview.rows if not one.problem]
    place = neighbours.index(row.number)
    return render_page(
      TEMPLATE,
      verdict=verdict,
      **values,
      overview=self._overview,
      title=self._title,
      row=row,
      rival=rival,
      newer=neighbours[place - 1] if place else None,
      older=neighbours[place + 1] if place + 1 < len(neighbours) else None,
      other_images=comparison.other_images(documents["metrics"], theirs["metrics"])
      if rival is not None
      else "",
      compared=comparison.compared_numbers(
        row.numbers, rival.row.numbers if rival else None
      ),
      experiment=comparison.fields(
        documents["experiment"], theirs["experiment"] if rival else None
      )
      if documents["experiment"]
      else [],
      origins=comparison.fields(_origins(documents), None),
      files=self._files(row, problems),
      history=[
        entry
        for entry in self._overview.log
        if row.number in (entry.from_version, entry.to_version)
      ],
      existing=self._overview.readable(),
      **_figures(row, rival, documents["metrics"], theirs.get("metrics")),
    )

  def _documents(self, row: Row) -> tuple[dict[str, Any], list[str]]:
    """The four documents, and what is wrong with them; a damaged one is empty."""
    found: dict[str, Any] = {name: {} for name in _DOCUMENTS}
    problems = []
    try:
      version = self._store.version(row.number)
    except (RuntimeError, ValueError) as error:  # also: removed since it was listed
      return found, [str(error)]
    for name in _DOCUMENTS:
      try:
        plain = getattr(version, name)
      except RuntimeError as error:
        problems.append(str(error))
        continue
      if isinstance(plain, dict):
        found[name] = plain
      else:
        problems.append(f"the {name} of version {row.number} is no JSON object")
    return found, problems

  def _files(self, row: Row, problems: list[str]) -> list[tuple[str, str, str]]:
    try:
      files = self._store.files(row.number)
    except (RuntimeError, ValueError) as error:
      problems.append(str(error))
      return []
    return [
      (path, wording.size(facts["bytes"]), facts["sha256"])
      for path, facts in sorted(files.items())
    ]


def _figures(
  row: Row,
  rival: Rival | None,
  metrics: dict[str, Any],
  theirs: dict[str, Any] | None,
) -> dict[str, Any]:
  """Plots with their titles, their legend, and a detector's categories."""
  own_title = f"Version {row.number}"
  rival_title = rival.title[:1].upper() + rival.title[1:] if rival else ""
  if row.kind == "codec":
    plots, names = _curves(metrics, own_title, theirs, rival_title)
    return {"plots": plots, "legend": names, "best": [], "worst": []}
  bars = [figures.sizes(own_title, row.numbers)]
  if rival:
    bars.append(figures.sizes(rival_title, rival.row.numbers, rival=True))
  svg = precision_by_size(bars)
  best, worst = comparison.categories(
    metrics.get("per_category"), (theirs or {}).get("per_category")
  )
  return {
    "plots": [("AP by size of the object", svg)] if svg else [],
    "legend": legend(bars),
    "best": best,
    "worst": worst,
  }


def _curves(
  metrics: dict[str, Any],
  own_title: str,
  theirs: dict[str, Any] | None,
  rival_title: str,
) -> tuple[list[tuple[str, str]], str]:
  """A codec's plots with their titles, and the legend of all of them."""
  plots, lines = [], {}
  for name in ("ms_ssim", "psnr_hvs"):
    found = figures.curves(metrics, own_title, theirs, rival_title, name)
    lines = {line.title: line for line in found} | lines
    if svg := rate_distortion(found, name):
      plots.append((f"{METRICS[name]}{UNITS[name]} over bits per pixel", svg))
  return plots, legend(list(lines.values()))


def _origins(documents: dict[str, Any]) -> dict[str, Any]:
  """The lineage, and what the numbers were measured on."""
  measured_on = documents["metrics"].get(EVALUATION_SET)
  known = {} if measured_on is None else {"evaluation set": measured_on}
  return {**documents["lineage"], **known}


def _of_the_evaluation(metrics: dict[str, Any]) -> list[str]:
  problems = metrics.get("problems")
  return [str(one) for one in problems] if isinstance(problems, list) else []
