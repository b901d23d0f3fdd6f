"""Models of a few bytes, which a store cannot tell from real ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hardmine.serving.store.entries import Reason

FACTS = {"codec": "codec.json", "detector": "detector.json"}
GATE = {
  "metric": "ms_ssim_auc",
  "direction": "higher",
  "bound": 1.0,
  "min_improvement": 0.0,
}


def by(who: str, why: str = "") -> Reason:
  """Whom the log is to name."""
  return Reason(who=who, why=why)


def write_model(folder: Path, content: str = "a", kind: str = "codec") -> Path:
  """A folder that looks like an export; `content` decides about its digest."""
  (folder / "variables").mkdir(parents=True)
  (folder / "assets.extra").mkdir()
  (folder / "saved_model.pb").write_text(f"graph {content}")
  (folder / "variables" / "variables.index").write_text("index")
  (folder / "variables" / "variables.data-00000-of-00001").write_text(content * 1000)
  facts = {"model_id": model_id(content)}
  (folder / "assets.extra" / FACTS[kind]).write_text(json.dumps(facts))
  return folder


def model_id(content: str) -> str:
  return content.encode().hex().zfill(16)[:16]


def facts(
  content: str = "a",
  *,
  kind: str = "codec",
  area: float = 1.5,
  passed: bool = True,
  evaluation_set: str | None = "set-1",
  gates: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
  """The keywords of `ModelStore.add`."""
  metrics: dict[str, Any] = {"ms_ssim_auc": area, "num_images": 3}
  if evaluation_set is not None:
    metrics["evaluation_set"] = evaluation_set
  result = {
    "metric": "ms_ssim_auc",
    "passed": passed,
    "value": area,
    "bound": 1.0,
    "baseline": None,
    "reason": f"{area:.4f} must be at least 1.0000",
  }
  return {
    "kind": kind,
    "model_id": model_id(content),
    "experiment": {
      "name": "tiny",
      "evaluation": {"gates": [GATE] if gates is None else gates},
    },
    "metrics": metrics,
    "verdict": {"passed": passed, "results": [result]},
    "lineage": {"run_id": f"run-{content}"},
    "reason": by("tester", "a test"),
  }


def add(store, folder: Path, content: str = "a", **options: Any) -> int:
  """Writes a model below `folder` and adds it."""
  path = folder / f"model-{content}-{len(list(folder.glob('model-*')))}"
  kind = options.get("kind", "codec")
  return store.add(write_model(path, content, kind), **facts(content, **options))
