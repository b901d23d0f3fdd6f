"""Results in the form that CompressAI's tools read and plot.

One JSON file a codec: `name`, `description`, and `results` of lists with a number an
operating point (`bpp`, `psnr`, `ms-ssim`, `encoding_time`, `decoding_time`).
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hardmine.pipelines.studies.rate_distortion.sweep import Measured


def to_json(one: Measured) -> str:
  """The content of the file."""
  measurement = one.measurement
  rates = measurement.file_bpp.mean(axis=0)
  results: dict[str, list[float]] = {
    "bpp": rates.tolist(),
    "psnr": list(measurement.curve("psnr", files=True).value),
    "ms-ssim": list(measurement.curve("ms_ssim", files=True).value),
  }
  interpolated = ""
  for name, seconds in (
    ("encoding_time", one.encode_seconds.mean(axis=0)),
    ("decoding_time", one.decode_seconds.mean(axis=0)),
  ):
    known = ~np.isnan(seconds)
    if not known.any():
      continue
    if not known.all():
      interpolated = "; times between timed points are interpolated"
    places = np.arange(len(seconds))
    results[name] = np.interp(places, places[known], seconds[known]).tolist()
  whole: dict[str, Any] = {
    "name": measurement.key,
    "description": (
      f"{measurement.title}; {measurement.detail}; means over "
      f"{len(measurement.images)} pictures, rates of whole files{interpolated}"
    ),
    "results": results,
  }
  return json.dumps(whole, indent=2, allow_nan=False) + "\n"
