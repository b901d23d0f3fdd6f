"""The codecs that ship with the package, by their names."""

from __future__ import annotations

import os
from pathlib import Path

SHIPPED_DIR = Path(__file__).with_name("pretrained")
DEFAULT = "codec_shipped"


def find_model(model: str | os.PathLike) -> str | os.PathLike:
  """The folder of a shipped codec, where a name is one and no folder from here."""
  shipped = SHIPPED_DIR / model
  return shipped if shipped.is_dir() and not os.path.isdir(model) else model
