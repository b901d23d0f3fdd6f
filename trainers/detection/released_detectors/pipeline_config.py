"""From a released detector's `pipeline.config` to our config of the same function.

What we have no equal for is refused: a detector that answers almost as it should is
worse than none. Settings of its training are not read.
"""

from __future__ import annotations

from hardmine.trainers.detection.released_detectors.described import Described
from hardmine.trainers.detection.released_detectors.released_ssd import SSDSettings
from hardmine.trainers.detection.released_detectors.released_two_stage import (
  TwoStageSettings,
)
from hardmine.trainers.detection.released_detectors.text_format import parse

_KINDS = {"ssd": SSDSettings, "faster_rcnn": TwoStageSettings}


def described(text: str, title: str) -> Described:
  """What a `pipeline.config` describes.

  Args:
    text: of the file.
    title: of the file, for errors.

  Raises:
    ValueError: no such file, or a detector whose function is none of ours.
  """
  model = parse(text, title).message("model")
  for name, settings in _KINDS.items():
    if model.has(name):
      return settings(title).described(model.message(name))
  raise ValueError(
    f"Expected a model of the kind {' or '.join(_KINDS)} in {title}. "
    f"Received: {', '.join(model.names) or 'no model'}"
  )
