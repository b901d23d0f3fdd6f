"""Holds the settings of a `pipeline.config` against what we have."""

from __future__ import annotations

from typing import Any

from hardmine.schemas.config import require
from hardmine.schemas.detector_config import PostprocessingConfig
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.released_detectors.text_format import Message


class Settings:
  """Refuses what we have no equal for.

  Args:
    title: of the file, for errors.
  """

  def __init__(self, title: str):
    self.title = title

  def only(self, message: Message, where: str, **wanted: Any) -> None:
    """Raises ValueError where a setting has another value than the only one we have."""
    for name, value in wanted.items():
      found = message.get(name, value)
      require(
        found == value,
        f"{where}.{name} of {value}, the only one that Hardmine has, in {self.title}",
        **{name: found},
      )

  def one_of(self, message: Message, where: str, *names: str) -> str:
    """Which of some messages is there.

    Raises:
      ValueError: none is.
    """
    for name in names:
      if message.has(name):
        return name
    raise ValueError(
      f"Expected {where}.{' or '.join(names)} in {self.title}. "
      f"Received: {', '.join(message.names) or 'nothing'}"
    )

  def extractor(
    self, message: Message, known: dict[str, tuple[type[FeatureExtractor], str]]
  ) -> tuple[type[FeatureExtractor], str]:
    """What `feature_extractor.type` names."""
    kind = message.message("feature_extractor").get("type")
    if kind not in known:
      raise ValueError(
        f"Expected a feature extractor among {', '.join(known)} in {self.title}. "
        f"Received: {kind}"
      )
    return known[kind]

  def num_classes(self, message: Message) -> int:
    """Without the background."""
    found = message.get("num_classes")
    require(
      isinstance(found, int) and found > 0,
      f"num_classes above 0 in {self.title}",
      num_classes=found,
    )
    return found

  def scores(self, message: Message, *known: str) -> Any:
    """The score converter, in our word for it."""
    converter = message.get("score_converter", "IDENTITY")
    require(
      converter in known,
      f"a score_converter of {' or '.join(known)} in {self.title}",
      score_converter=converter,
    )
    self.only(message, "post_processing", logit_scale=1.0)
    return converter.lower()

  def suppression(self, message: Message) -> PostprocessingConfig:
    """From raw predictions to detections."""
    found = message.message("batch_non_max_suppression")
    self.only(found, "batch_non_max_suppression", soft_nms_sigma=0.0)
    return PostprocessingConfig(
      score_threshold=float(found.get("score_threshold", 0.0)),
      iou_threshold=float(found.get("iou_threshold", 0.6)),
      max_per_class=found.get("max_detections_per_class", 100),
      max_detections=found.get("max_total_detections", 100),
      class_agnostic=found.get("use_class_agnostic_nms", False),
    )
