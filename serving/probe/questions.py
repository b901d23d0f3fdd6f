"""What a loaded model is asked: a codec codes a small picture, a detector looks at it.

Whoever loads a model for others asks it first: the probe in its process, and the
server, whose first request then finds its signatures built. A signature is built when
it is first called, for a quarter of the time that loading takes; so the server does
not ask those that it never calls, and the probe has asked them before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.detection.detector import Detections, Detector

HEIGHT_PX, WIDTH_PX = 41, 50  # no multiple of 16: padding and cropping run too
SLACK_PX = 0.01  # of rounding


def probe_picture() -> np.ndarray:
  """uint8 [41, 50, 3]: two ramps and an edge, the same on every machine."""
  rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
  picture = np.stack(
    [rows * 255 // HEIGHT_PX, columns * 255 // WIDTH_PX, (columns > rows) * 255], -1
  )
  return picture.astype(np.uint8)


def ask_codec(codec: Codec, *, every_signature: bool) -> dict[str, Any]:
  """Codes `probe_picture` with one iteration and decodes it again.

  Args:
    codec: as it was loaded.
    every_signature: `reconstruct` too must give what decoding gave.

  Returns:
    `model_id` in hex digits, and `stream_bytes`.

  Raises:
    RuntimeError: the picture has another form, or encoder and decoder do not agree.
  """
  picture = probe_picture()
  data = codec.compress(picture, iterations=1)
  decoded = codec.decompress(data)
  if decoded.shape != picture.shape or decoded.dtype != np.uint8:
    raise RuntimeError(
      f"decoding gave {decoded.dtype} {decoded.shape} for uint8 {picture.shape}"
    )
  if every_signature:
    # The encoder runs the decoder inside; both graphs must agree to rounding.
    seen_by_encoder = codec.reconstructions(picture, 1)[-1]
    apart = int(np.abs(decoded.astype(int) - seen_by_encoder.astype(int)).max())
    if apart > 1:
      raise RuntimeError(f"decoder and encoder are {apart} grey levels apart")
  return {"model_id": codec.model_id.hex(), "stream_bytes": len(data)}


def ask_detector(detector: Detector, *, every_signature: bool) -> dict[str, Any]:
  """Detects in `probe_picture`.

  Args:
    detector: as it was loaded.
    every_signature: order and places are looked at too.

  Returns:
    `model_id` in hex digits, and `num_detections`.

  Raises:
    RuntimeError: the detections are not sound.
  """
  picture = probe_picture()
  found = detector.detect(picture)
  _check_detections(found, detector.categories.ids)
  if every_signature:
    _check_order_and_places(found)
  return {"model_id": detector.model_id.hex(), "num_detections": len(found.scores)}


def _check_detections(found: Detections, category_ids: tuple[int, ...]) -> None:
  """Raises RuntimeError unless detections can be shown and are of known categories."""
  num = len(found.scores)
  shapes = found.boxes_yxyx_px.shape, found.scores.shape, found.category_ids.shape
  if shapes != ((num, 4), (num,), (num,)):
    raise RuntimeError(f"boxes, scores and categories have shapes {shapes}")
  if not (np.isfinite(found.boxes_yxyx_px).all() and np.isfinite(found.scores).all()):
    raise RuntimeError("boxes or scores are not finite")
  unknown = set(found.category_ids.tolist()) - set(category_ids)
  if unknown:
    raise RuntimeError(f"category {min(unknown)} is none of the model's own")


def _check_order_and_places(found: Detections) -> None:
  """Raises RuntimeError unless detections in `probe_picture` are sound.

  Asked before a version is promoted; what is live already is served as it is.
  """
  boxes = found.boxes_yxyx_px.astype(np.float64)
  sides = np.array([HEIGHT_PX, WIDTH_PX])
  inside = (boxes >= -SLACK_PX).all() and (boxes[:, 2:] <= sides + SLACK_PX).all()
  if not inside or (boxes[:, :2] > boxes[:, 2:] + SLACK_PX).any():
    raise RuntimeError(
      f"a box is not inside the picture of {HEIGHT_PX}x{WIDTH_PX} pixels"
    )
  if ((found.scores < 0) | (found.scores > 1)).any():
    raise RuntimeError("a score is not between 0 and 1")
  if (np.diff(found.scores) > 0).any():
    raise RuntimeError("the best detections do not come first")
