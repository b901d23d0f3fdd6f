"""Pictures as text that fits inside an HTML page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from PIL import Image


def png_uri(image: np.ndarray, scale: int = 1) -> str:
  """uint8 [height, width, 3] as a `data:` URI, every pixel repeated `scale` times."""
  if scale > 1:
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
  return _uri(image, "PNG", optimize=True)


def jpeg_uri(image: np.ndarray, quality: int = 85) -> str:
  """As `png_uri`, in a tenth of the bytes: for pictures that only illustrate."""
  return _uri(image, "JPEG", quality=quality, subsampling=0)


def webp_uri(image: np.ndarray) -> str:
  """As `png_uri`, every pixel as it is, in two thirds of the bytes."""
  return _uri(image, "WEBP", lossless=True, method=4)


def _uri(image: np.ndarray, kind: str, **options: Any) -> str:
  buffer = io.BytesIO()
  Image.fromarray(np.ascontiguousarray(image)).save(buffer, kind, **options)
  text = base64.b64encode(buffer.getvalue()).decode()
  return f"data:image/{kind.lower()};base64,{text}"
