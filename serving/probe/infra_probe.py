"""What InfraCheck asks an exported model, in a process of its own.

    python -m hardmine.serving.probe.infra_probe MODEL_DIR

A codec codes a small picture and decodes it again, a detector finds what is in it,
with the exported graph, as a user would, without TFX or Beam. The last line on stdout
is JSON; any exception (and so any exit status but 0) is a refusal whose last line on
stderr says why.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import kind_of

HEIGHT_PX, WIDTH_PX = 41, 50  # no multiple of 16: padding and cropping run too
MAX_BOXES_APART_PX = 0.01  # between two ways into the same graph
MAX_SCORES_APART = 1e-3


def test_picture() -> np.ndarray:
  """uint8 [41, 50, 3]: two ramps and an edge, the same on every machine."""
  rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
  picture = np.stack(
    [rows * 255 // HEIGHT_PX, columns * 255 // WIDTH_PX, (columns > rows) * 255], -1
  )
  return picture.astype(np.uint8)


def probe(model_dir: str) -> dict[str, Any]:
  """Loads a model and shows it `test_picture`.

  Returns:
    What it is, its id, what it answered, and the seconds that took.

  Raises:
    ValueError: the folder holds neither a codec nor a detector.
    RuntimeError: the model answers, but wrongly; or it needs TFX or Beam.
    Exception: whatever loading or calling it raises.
  """
  probes = {"codec": _probe_codec, "detector": _probe_detector}
  kind = kind_of(model_dir)
  require(
    kind is not None, f"an exported {' or '.join(probes)}", model_dir=str(model_dir)
  )
  ask = probes[str(kind)]
  started = time.monotonic()
  answer = ask(model_dir)
  heavy = sorted({"tfx", "apache_beam"} & set(sys.modules))
  if heavy:
    raise RuntimeError(f"serving the model imported {', '.join(heavy)}")
  seconds = time.monotonic() - started
  return {
    "kind": kind,
    **answer,
    "answer_seconds": round(seconds - answer["load_seconds"], 3),
  }


def _probe_codec(model_dir: str) -> dict[str, Any]:
  from hardmine.trainers.codec.codec import Codec

  started = time.monotonic()
  codec = Codec.load(model_dir)
  load_seconds = time.monotonic() - started
  picture = test_picture()
  data = codec.compress(picture, iterations=1)
  decoded = codec.decompress(data)
  if decoded.shape != picture.shape or decoded.dtype != np.uint8:
    raise RuntimeError(
      f"decoding gave {decoded.dtype} {decoded.shape} for uint8 {picture.shape}"
    )
  # The encoder runs the decoder inside; both graphs must agree to rounding.
  seen_by_encoder = codec.reconstructions(picture, 1)[-1]
  apart = int(np.abs(decoded.astype(int) - seen_by_encoder.astype(int)).max())
  if apart > 1:
    raise RuntimeError(f"decoder and encoder are {apart} grey levels apart")
  return {
    "model_id": codec.model_id.hex(),
    "stream_bytes": len(data),
    "load_seconds": round(load_seconds, 3),
  }


def _probe_detector(model_dir: str) -> dict[str, Any]:
  from PIL import Image

  from hardmine.trainers.detection.detector import Detector

  started = time.monotonic()
  detector = Detector.load(model_dir)
  load_seconds = time.monotonic() - started
  picture = test_picture()
  file = io.BytesIO()
  Image.fromarray(picture).save(file, "PNG")
  found = detector.detect(picture)
  _check_detections(found, detector.categories.ids)
  again = detector.detect_encoded(file.getvalue())
  agree = (
    np.array_equal(found.category_ids, again.category_ids)
    and np.allclose(found.scores, again.scores, rtol=0, atol=MAX_SCORES_APART)
    and np.allclose(
      found.boxes_yxyx_px, again.boxes_yxyx_px, rtol=0, atol=MAX_BOXES_APART_PX
    )
  )
  if not agree:
    raise RuntimeError(
      "the same picture as pixels and as a file gave different detections: "
      f"{len(found.scores)} and {len(again.scores)}"
    )
  return {
    "model_id": detector.model_id.hex(),
    "num_detections": len(found.scores),
    "load_seconds": round(load_seconds, 3),
  }


def _check_detections(found: Any, category_ids: tuple[int, ...]) -> None:
  """Raises RuntimeError unless detections in `test_picture` are sound."""
  num = len(found.scores)
  shapes = found.boxes_yxyx_px.shape, found.scores.shape, found.category_ids.shape
  if shapes != ((num, 4), (num,), (num,)):
    raise RuntimeError(f"boxes, scores and categories have shapes {shapes}")
  boxes = found.boxes_yxyx_px.astype(np.float64)
  if not (np.isfinite(boxes).all() and np.isfinite(found.scores).all()):
    raise RuntimeError("boxes or scores are not finite")
  slack = MAX_BOXES_APART_PX  # of rounding
  sides = np.array([HEIGHT_PX, WIDTH_PX])
  inside = (boxes >= -slack).all() and (boxes[:, 2:] <= sides + slack).all()
  if not inside or (boxes[:, :2] > boxes[:, 2:] + slack).any():
    raise RuntimeError(
      f"a box is not inside the picture of {HEIGHT_PX}x{WIDTH_PX} pixels"
    )
  if ((found.scores < 0) | (found.scores > 1)).any():
    raise RuntimeError("a score is not between 0 and 1")
  if (np.diff(found.scores) > 0).any():
    raise RuntimeError("the best detections do not come first")
  unknown = set(found.category_ids.tolist()) - set(category_ids)
  if unknown:
    raise RuntimeError(f"category {min(unknown)} is none of the model's own")


def _die_with_parent() -> None:
  """Leaves when stdin closes, which a parent's death does in every case."""

  def wait():
    while os.read(0, 1):  # sys.stdin's lock would abort the interpreter's shutdown
      pass
    os._exit(1)

  threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
  _die_with_parent()
  print(json.dumps(probe(sys.argv[1])), flush=True)
