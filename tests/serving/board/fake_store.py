"""A store in memory: what a board reads of one, with any number of versions.

`tests/serving/store/test_reading_laws.py` holds it to what real stores do.
"""

from __future__ import annotations

import datetime
from typing import Any

from hardmine.serving.store.contents import summary
from hardmine.serving.store.entries import AuditEntry, Pointer, Version

START = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
GATE = {"bound": 1.5, "baseline": None, "reason": "at least 1.5000"}
NUM_BYTES = 1_234_567


class FakeStore:
  """Is read as a `ModelStore` is; its changes are a day apart from each other.

  Attributes:
    url: as a board shows it.
    there: whether it exists; adding makes it.
    damaged: number to what is wrong with it.
  """

  def __init__(self, url: str = "/models"):
    self.url = url
    self.there = True
    self.damaged: dict[int, str] = {}
    self._versions: dict[int, dict[str, Any]] = {}
    self._pointers: dict[str, Pointer] = {}
    self._log: list[AuditEntry] = []
    self._num_added = 0

  def exists(self) -> bool:
    return self.there

  def versions(self) -> list[int]:
    return sorted(self._versions)

  def version(self, number: int) -> Version:
    documents = self._documents(number)

    def read_document(name: str) -> dict[str, Any]:
      if not isinstance(documents[name], dict):
        raise RuntimeError(f"the {name} of version {number} is no JSON object")
      return documents[name]

    return Version(
      number=number,
      kind=documents["kind"],
      model_id=f"{number:016x}",
      digest=digest(number),
      created_at=documents["at"],
      num_bytes=NUM_BYTES,
      **summary(documents["metrics"], documents["verdict"]),
      read_document=read_document,
    )

  def files(self, number: int) -> dict[str, dict[str, Any]]:
    self._documents(number)
    return {"saved_model.pb": {"sha256": f"{number:064d}", "bytes": NUM_BYTES}}

  def pointers(self) -> dict[str, Pointer]:
    return dict(self._pointers)

  def audit(self) -> list[AuditEntry]:
    return list(self._log)

  def add(self, kind: str = "codec", who: str = "pipeline", **documents: Any) -> int:
    self.there = True
    self._num_added += 1
    number = self._num_added
    made = codec() if kind == "codec" else detector()
    entry = self._entry(who=who, action="add", to_version=number, digest=digest(number))
    self._versions[number] = {"kind": kind, "at": entry.at, **made, **documents}
    return number

  def remove(self, number: int) -> None:
    assert number not in {held.version for held in self._pointers.values()}
    del self._versions[number]
    self._entry(who="gc", action="gc", from_version=number)

  def move(
    self, alias: str, number: int | None, who: str = "anna", **fields: Any
  ) -> None:
    held = self._pointers.get(alias)
    if number is not None:
      self._documents(number)
    if number == (held.version if held else None):
      return
    self._pointers.pop(alias, None)
    entry = self._entry(
      who=who,
      action=fields.pop("action", "promote" if number is not None else "remove"),
      alias=alias,
      from_version=held.version if held else None,
      to_version=number,
      digest=None if number is None else digest(number),
      **fields,
    )
    if number is not None:
      self._pointers[alias] = Pointer(
        version=number, digest=digest(number), moved=entry
      )

  def sign(self, number: int, **fields: Any) -> None:
    self._entry(
      who="anna",
      action="sign",
      to_version=number,
      digest=digest(number),
      **fields,
    )

  def _documents(self, number: int) -> dict[str, Any]:
    if number in self.damaged:
      raise RuntimeError(self.damaged[number])
    if number not in self._versions:
      raise ValueError(f"Expected a version. Received: {number}")
    return self._versions[number]

  def _entry(self, **fields: Any) -> AuditEntry:
    at = START + datetime.timedelta(days=len(self._log))
    entry = AuditEntry(at=at.isoformat(), id=str(len(self._log)), **fields)
    self._log.append(entry)
    return entry


def digest(number: int) -> str:
  return f"{number:064x}"


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
