"""The results of `hardmine study ensemble` as rows, and as the file that is used."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies.ensemble import ENSEMBLE, Model, Outcome, Row
from hardmine.pipelines.studies.tables import number
from hardmine.schemas.ensemble_config import EnsembleConfig, Member

PRECISIONS = ("AP", "AP50", "AP75", "AR_100")


def flat(outcome: Outcome) -> list[dict[str, Any]]:
  """A plain row for each of the models and the ensemble in each of the views."""
  return [_flat(row, outcome) for row in outcome.rows]


def _flat(row: Row, outcome: Outcome) -> dict[str, Any]:
  numbers = {
    f"{name}{ending}": value if value >= 0 else None
    for ending, of_part in (("", row.judging), ("_choosing", row.choosing))
    for name, value in ((name, of_part[name]) for name in PRECISIONS)
  }
  return {
    "name": row.names[0] if len(row.names) == 1 else ENSEMBLE,
    "models": len(row.names),
    "views": row.views.title,
    "crops": row.views.crops,
    "flip": row.views.flip,
    "passes": row.num_passes,
    "seconds": round(row.seconds, 4),
    **numbers,
    "left_out": row.num_left_out,
    "chosen": (row.names, row.views) == (outcome.chosen.names, outcome.chosen.views),
  }


def steps(outcome: Outcome) -> list[dict[str, Any]]:
  """How the members were chosen, candidate by candidate."""
  return [dataclasses.asdict(step) for step in outcome.steps]


def shown(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
  """Heads and cells of a table for people."""
  columns = {
    "models": [_name(row) for row in rows],
    "shown": [row["views"] for row in rows],
    "passes": [str(row["passes"]) for row in rows],
    "s a picture": [number(row["seconds"], 1, 3) for row in rows],
    **{
      "AR" if name == "AR_100" else name: [number(row[name], 1, 3) for row in rows]
      for name in PRECISIONS
    },
    "AP, choosing": [number(row["AP_choosing"], 1, 3) for row in rows],
    "chosen": ["yes" if row["chosen"] else "" for row in rows],
  }
  return list(columns), [list(cells) for cells in zip(*columns.values())]


def told(gain: Mapping[str, Any]) -> str:
  """What was gained, in a line."""
  parts = [
    f"{name} {of['after'] - of['before']:+.3f} ({of['before']:.3f} to "
    f"{of['after']:.3f}; {of['low']:+.3f} to {of['high']:+.3f} in 90 of 100 draws)"
    for name, of in gain.items()
    if isinstance(of, Mapping)
  ]
  before, after = gain["passes"]
  return (
    f"over the best model alone, on the images that judge: {', '.join(parts)}; "
    f"{after} passes in the place of {before}"
  )


def config(
  outcome: Outcome, models: Sequence[Model], folder: Path, iou_threshold: float
) -> EnsembleConfig:
  """The content of `ensemble.json`.

  Args:
    outcome: of the study.
    models: the candidates.
    folder: where the file goes; models are named from there too, so that both may
      move together.
    iou_threshold: see `fusing.fuse`.
  """
  by_name = {one.name: one for one in models}
  members = [by_name[name] for name in outcome.chosen.names]
  return EnsembleConfig(
    members=tuple(
      Member(
        places=(
          os.path.realpath(one.folder),
          os.path.relpath(os.path.realpath(one.folder), folder),
        ),
        model_id=one.detector.model_id.hex(),
      )
      for one in members
    ),
    views=outcome.chosen.views,
    iou_threshold=iou_threshold,
  )


def _name(row: Mapping[str, Any]) -> str:
  return row["name"] if row["models"] == 1 else f"{ENSEMBLE} of {row['models']}"
