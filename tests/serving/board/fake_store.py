"""A store in memory: what a board reads of one, with any number of versions."""

from __future__ import annotations

import datetime
from typing import Any

from hardmine.serving.store.entries import AuditEntry, Pointer, Version

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
GATE = {"bound": 1.5, "baseline": None, "reason": "at least 1.5000"}


class FakeStore:
  """`add` and `move` as a `ModelStore` has them, a day apart from each other."""

  def __init__(self, url: str = "/models"):
    self.url = url
    self.there = True
    self.damaged: dict[int, str] = {}
    self._versions: dict[int, dict[str, Any]] = {}
    self._pointers: dict[str, Pointer] = {}
    self._log: list[AuditEntry] = []

  def exists(self) -> bool:
    return self.there

  def versions(self) -> list[int]:
    return sorted(self._versions)

  def version(self, number: int) -> Version:
    if number in self.damaged:
      raise RuntimeError(self.damaged[number])
    if number not in self._versions:
      raise ValueError(f"Expected a version. Received: {number}")
    documents = self._versions[number]
    metrics = documents["metrics"]
    return Version(
      number=number,
      kind=documents["kind"],
      model_id=f"{number:016x}",
      digest=f"{number:064x}",
      created_at=documents["at"],
      num_bytes=1_234_567,
      passed=documents["verdict"].get("passed") is True,
      numbers={k: v for k, v in metrics.items() if isinstance(v, (int, float))},
      read_document=lambda name: documents[name],
    )

  def files(self, number: int) -> dict[str, dict[str, Any]]:
    return {"saved_model.pb": {"sha256": f"{number:064d}", "bytes": 1_234_567}}

  def pointers(self) -> dict[str, Pointer]:
    return dict(self._pointers)

  def audit(self) -> list[AuditEntry]:
    return list(self._log)

  def add(self, kind: str = "codec", who: str = "pipeline", **documents: Any) -> int:
    number = max(self._versions, default=0) + 1
    made = codec() if kind == "codec" else detector()
    entry = self._entry(who=who, action="add", to_version=number)
    self._versions[number] = {"kind": kind, "at": entry.at, **made, **documents}
    return number

  def remove(self, number: int) -> None:
    del self._versions[number]
    self._entry(who="gc", action="gc", from_version=number)

  def move(self, alias: str, number: int, who: str = "anna", **fields: Any) -> None:
    held = self._pointers.get(alias)
    entry = self._entry(
      who=who,
      action=fields.pop("action", "promote"),
      alias=alias,
      from_version=held.version if held else None,
      to_version=number,
      **fields,
    )
    self._pointers[alias] = Pointer(version=number, digest="", moved=entry)

  def sign(self, number: int, **fields: Any) -> None:
    self._entry(who="anna", action="sign", to_version=number, **fields)

  def _entry(self, **fields: Any) -> AuditEntry:
    at = START + datetime.timedelta(days=len(self._log))
    entry = AuditEntry(at=at.isoformat(), id=str(len(self._log)), **fields)
    self._log.append(entry)
    return entry


def verdict(metric: str, value: float, passed: bool = True) -> dict[str, Any]:
  result = {**GATE, "metric": metric, "value": value, "passed": passed}
  return {"passed": passed, "results": [result]}


def codec(area: float = 1.6, passed: bool = True, steps: int = 1000) -> dict[str, Any]:
  curve = {
    "title": "this model",
    "bpp": [0.125, 1.0, 2.0],
    "ms_ssim": [0.7, 0.8, area / 2],
    "psnr_hvs": [20.0, 22.0, 25.0],
    "images": {"kodim01.png": {}, "kodim02.png": {}},
  }
  jpeg = {**curve, "title": "JPEG 4:2:0", "bpp": [0.3, 1.5, 3.0]}
  return {
    "metrics": {
      "ms_ssim_auc": area,
      "psnr_hvs_auc": 25 * area,
      "ms_ssim_auc_files": area - 0.01,
      "num_images": 2,
      "candidate": curve,
      "baselines": {"jpeg_420": jpeg},
      "problems": [],
    },
    "verdict": verdict("ms_ssim_auc", area, passed),
    "experiment": {"name": "codec_cpu", "training": {"steps": steps, "batch": 8}},
    "lineage": {"run": "run-7", "examples": {"fingerprint": "feedface"}},
  }


def detector(precision: float = 0.4, categories: int = 3) -> dict[str, Any]:
  return {
    "metrics": {
      "AP": precision,
      "AP50": precision + 0.3,
      "AP_small": -1.0,
      "AP_medium": 0.2,
      "AP_large": 0.6,
      "latency_seconds": 0.031,
      "num_images": 40,
      "num_objects": 44,
      "per_category": [
        {"name": f"animal {n}", "num_objects": 9, "AP": 0.9 - n / 100, "AP50": 0.95}
        for n in range(categories)
      ],
    },
    "verdict": verdict("AP50", precision + 0.3),
    "experiment": {"name": "ssd"},
    "lineage": {"run": "run-8"},
  }
