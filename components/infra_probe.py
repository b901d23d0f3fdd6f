"""What InfraCheck asks an exported codec, in a process of its own.

    python -m components.infra_probe MODEL_DIR

It codes a small picture with the exported graph and decodes it again, as a user
would, without TFX or Beam. The last line on stdout is JSON; any exception (and
so any exit status but 0) is a refusal whose last line on stderr says why.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time

import numpy as np

HEIGHT_PX, WIDTH_PX = 41, 50  # no multiple of 16: padding and cropping run too


def test_picture() -> np.ndarray:
  """uint8 [41, 50, 3]: two ramps and an edge, the same on every machine."""
  rows, columns = np.mgrid[0:HEIGHT_PX, 0:WIDTH_PX]
  picture = np.stack(
    [rows * 255 // HEIGHT_PX, columns * 255 // WIDTH_PX, (columns > rows) * 255], -1
  )
  return picture.astype(np.uint8)


def probe(model_dir: str) -> dict:
  """Loads a model, codes `test_picture` and decodes it.

  Raises:
    RuntimeError: the model answers, but wrongly; or it needs TFX or Beam.
    Exception: whatever loading or calling it raises.
  """
  from trainers.codec.codec import Codec

  started = time.monotonic()
  codec = Codec.load(model_dir)
  loaded = time.monotonic()
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
  heavy = sorted({"tfx", "apache_beam"} & set(sys.modules))
  if heavy:
    raise RuntimeError(f"serving the model imported {', '.join(heavy)}")
  return {
    "model_id": codec.model_id.hex(),
    "stream_bytes": len(data),
    "load_seconds": round(loaded - started, 3),
    "answer_seconds": round(time.monotonic() - loaded, 3),
  }


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
