"""The results of a study as rows: for programs, for spreadsheets and for pages."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from hardmine.pipelines.studies.rate_distortion.sweep import Measured
from hardmine.pipelines.studies.tables import markdown_table, number
from hardmine.serving.pages.conventions import METRICS
from hardmine.trainers.metrics.rate_distortion import Curve, bd_rate

TIMED_AT_BPP = 0.5
_CAP_DB = 100.0


def flat(measured: Sequence[Measured], reference: str) -> list[dict[str, Any]]:
  """A plain row a curve, all with the same columns; None where there is no number.

  Areas and BD-rates are of whole files. Seconds are means a picture, at the timed point
  whose mean rate is closest to `TIMED_AT_BPP`.

  Args:
    measured: curves.
    reference: the key of the one that BD-rates compare with; where it is not among
      them, there are none.
  """
  by_key = {one.measurement.key: one for one in measured}
  return [_flat(one, by_key.get(reference)) for one in measured]


def _flat(one: Measured, reference: Measured | None) -> dict[str, Any]:
  measurement = one.measurement
  areas, rates = measurement.areas(), measurement.file_bpp.mean(axis=0)
  return {
    "key": measurement.key,
    "title": measurement.title,
    "detail": measurement.detail,
    "is_model": one.is_model,
    "num_images": len(measurement.images),
    **{f"{name}_area": areas[f"{name}_auc_files"] for name in METRICS},
    "ms_ssim_area_without_headers": (
      areas["ms_ssim_auc"] if one.knows_headers else None
    ),
    **{
      f"{name}_bd_rate": reference
      and bd_rate(of_files(reference, name), of_files(one, name))
      for name in METRICS
    },
    "lowest_bpp": float(rates.min()),
    "highest_bpp": float(rates.max()),
    **_times(one, rates),
  }


def of_files(one: Measured, metric: str) -> Curve:
  """The mean curve over rates of whole files; MS-SSIM in decibels, as `decibels`."""
  curve = one.measurement.curve(metric, files=True)
  if metric != "ms_ssim":
    return curve
  return dataclasses.replace(curve, value=tuple(map(decibels, curve.value)))


def decibels(ms_ssim: float) -> float:
  """-10 log10(1 - MS-SSIM): near 1, where codecs differ, it does not crowd."""
  return float(min(_CAP_DB, -10 * np.log10(max(1 - ms_ssim, 1e-10))))


def points(measured: Sequence[Measured]) -> Iterator[dict[str, Any]]:
  """A row an operating point: means over the pictures, None where nothing is known."""
  for one in measured:
    m = one.measurement
    curves = {name: m.curve(name, files=True).value for name in METRICS}
    for index, setting in enumerate(m.points):
      yield {
        "key": m.key,
        "setting": setting,
        "setting_is": one.setting_is,
        "bpp": float(m.file_bpp[:, index].mean()),
        **{name: curves[name][index] for name in METRICS},
        "encode_seconds": _mean(one.encode_seconds[:, index]),
        "decode_seconds": _mean(one.decode_seconds[:, index]),
      }


def to_json(
  measured: Sequence[Measured],
  rows: Sequence[Mapping[str, Any]],
  facts: Mapping[str, Any],
) -> str:
  """One object: how it was measured, the rows, and every picture's numbers."""
  codecs = {
    one.measurement.key: {
      **one.measurement.to_plain(),
      "setting_is": one.setting_is,
      "seconds": {
        name: {
          "encode": _plain(one.encode_seconds[row]),
          "decode": _plain(one.decode_seconds[row]),
        }
        for row, name in enumerate(one.measurement.images)
      },
    }
    for one in measured
  }
  whole = {**facts, "rows": list(rows), "codecs": codecs}
  return json.dumps(whole, indent=2, allow_nan=False) + "\n"


def shown(
  rows: Sequence[Mapping[str, Any]], reference_title: str
) -> tuple[list[str], list[list[str]]]:
  """Heads and cells of a table for people; columns that nobody filled are left out."""
  columns: dict[str, list[str]] = {"codec": [row["title"] for row in rows]}
  for name, title in METRICS.items():
    digits = 4 if name == "ms_ssim" else 2
    columns[f"{title} area"] = [number(row[f"{name}_area"], 1, digits) for row in rows]
  columns["MS-SSIM area without headers"] = [
    number(row["ms_ssim_area_without_headers"], 1, 4) for row in rows
  ]
  for name, title in METRICS.items():
    columns[f"bits beside {reference_title} at equal {title}"] = [
      percent(row[f"{name}_bd_rate"]) for row in rows
    ]
  for what in ("encode", "decode"):
    columns[f"{what}, s"] = [number(row[f"{what}_seconds"], 1, 3) for row in rows]
  columns["timed at bpp"] = [number(row["timed_at_bpp"], 1, 2) for row in rows]
  columns["rates, bpp"] = [
    f"{row['lowest_bpp']:.3f} to {row['highest_bpp']:.3f}" for row in rows
  ]
  filled = {head: cells for head, cells in columns.items() if any(cells)}
  return list(filled), [list(cells) for cells in zip(*filled.values())]


def to_markdown(rows: Sequence[Mapping[str, Any]], reference_title: str) -> str:
  """What `shown` gives, for a page or an issue."""
  return markdown_table(*shown(rows, reference_title))


def percent(value: float | None) -> str:
  """With its sign; nothing for None."""
  return "" if value is None else f"{value:+,.1f} %".replace("-", "−")


def _times(one: Measured, rates: np.ndarray) -> dict[str, float | None]:
  encoding, decoding = (
    seconds.mean(axis=0) for seconds in (one.encode_seconds, one.decode_seconds)
  )
  known = np.flatnonzero(~np.isnan(encoding))
  if not len(known):
    return dict.fromkeys(("timed_at_bpp", "encode_seconds", "decode_seconds"))
  index = known[np.abs(rates[known] - TIMED_AT_BPP).argmin()]
  return {
    "timed_at_bpp": float(rates[index]),
    "encode_seconds": float(encoding[index]),
    "decode_seconds": float(decoding[index]),
  }


def _mean(values: np.ndarray) -> float | None:
  mean = float(values.mean())
  return None if np.isnan(mean) else mean


def _plain(values: np.ndarray) -> list[float | None]:
  return [None if np.isnan(value) else float(value) for value in values]
