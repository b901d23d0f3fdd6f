"""A name for what a model was measured on, so that only like is compared with like."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np


def evaluation_set(parts: Iterable[bytes | np.ndarray], **settings: object) -> str:
  """Hex digits that differ where images, truth or settings do.

  Args:
    parts: images and ground truth, in order. Where the files lie does not matter.
    **settings: what else decides about the numbers.
  """
  digest = hashlib.sha256(repr(sorted(settings.items())).encode())
  for part in parts:
    if isinstance(part, np.ndarray):
      digest.update(f"{part.dtype}{part.shape}".encode())
      digest.update(np.ascontiguousarray(part).data)
    else:
      digest.update(f"{len(part)} bytes".encode())
      digest.update(part)
  return digest.hexdigest()
