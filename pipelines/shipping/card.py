"""The card of a model that ships: what it is, what it is for, and what it cannot do."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from hardmine.schemas.exported_model import read_facts
from hardmine.serving.store.contents import DOCUMENTS
from hardmine.trainers.codec.entropy.context_model import (
  ContextModel,
  find_entropy_model,
)

CARD = "MODEL_CARD.md"
_TEMPLATE = Path(__file__).with_name("card.md.jinja")
_SHOWN_ITERATIONS = (1, 2, 4, 8, 16)


def render_card(model_dir: str | os.PathLike) -> str:
  """The card, every figure of which is read from the files beside it.

  Args:
    model_dir: as `making` makes it.
  """
  import jinja2

  facts = read_facts(model_dir, "codec")
  documents = {
    name: json.loads(Path(model_dir, path).read_text("utf-8"))
    for name, path in DOCUMENTS.items()
  }
  entropy = find_entropy_model(model_dir)
  environment = jinja2.Environment(
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
  )
  return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
    facts=facts,
    config=facts["config"],
    entropy_id=ContextModel.load(entropy).entropy_id.hex() if entropy else None,
    points=_points(documents["metrics"]["candidate"]),
    areas=_areas(documents["metrics"]),
    **documents,
  )


def _points(measured: dict[str, Any]) -> list[dict[str, Any]]:
  """Rate and quality after some iterations, means over the test pictures."""
  curves = {name: measured[name] for name in ("bpp", "file_bpp", "ms_ssim", "psnr")}
  last = len(measured["points"])
  shown = [one for one in _SHOWN_ITERATIONS if one < last] + [last]
  return [
    {"iterations": one, **{name: curve[one - 1] for name, curve in curves.items()}}
    for one in shown
  ]


def _areas(metrics: dict[str, Any]) -> list[tuple[str, float]]:
  """Title and area over whole files, of the model and of what stands beside it."""
  measured = [metrics["candidate"], *metrics["baselines"].values()]
  return [(one["title"], one["ms_ssim_auc_files"]) for one in measured]
