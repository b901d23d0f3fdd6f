"""Hardmine: mines hard image data, trains codecs and detectors, promotes the better.

    from hardmine import Codec, Detector

Everything else is imported from where it lies: `hardmine.schemas`, `.trainers`,
`.serving`, `.components`, `.pipelines` are links to the folders of these names at the
top of the repository, so that none of them hides, or is hidden by, a user's own
`components` or `pipelines`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.detection.detector import Detector

__all__ = ["Codec", "Detector"]

_PLACES = {
  "Codec": "hardmine.trainers.codec.codec",
  "Detector": "hardmine.trainers.detection.detector",
}


def __getattr__(name: str) -> Any:
  """Imports what is asked for, and TensorFlow with it, when it is asked for."""
  if name not in _PLACES:
    raise AttributeError(f"module 'hardmine' has no attribute {name!r}")
  import importlib

  return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
  return sorted([*globals(), *__all__])
