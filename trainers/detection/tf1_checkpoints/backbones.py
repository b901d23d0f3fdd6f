"""The backbone of a detector, from slim's classifier or from a detector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hardmine.schemas.config import require
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.tf1_checkpoints.filling import Place, fill
from hardmine.trainers.detection.tf1_checkpoints.names import family_of, norm_name
from hardmine.trainers.detection.tf1_checkpoints.reading import opened
from hardmine.trainers.detection.tf1_checkpoints.report import Report

# What stands before a family's own scope: nothing in a classifier.
PREFIXES = (
  "",
  "FeatureExtractor/",
  "SecondStageFeatureExtractor/",  # the first stage has some of its layers in vain
  "FirstStageFeatureExtractor/",
)


def backbone_places(
  layers: Iterable[Any], extractor: type[FeatureExtractor]
) -> dict[str, Place]:
  """Where the convolutions of a backbone are, by the names of ours.

  Raises:
    ValueError: slim has no such family, or a layer of the backbone is not one of
      the family's.
  """
  family = family_of(extractor)
  ours = [
    layer.name
    for layer in layers
    if layer.weights and extractor.block_of(layer.name) is not None
  ]
  found = {
    name: Place(
      scopes=tuple(f"{p}{family.root}/{scope}" for p in PREFIXES for scope in scopes)
    )
    for name in ours
    if (scopes := family.scopes_of(name))
  }
  known = {*found, *map(norm_name, found)}
  others = [name for name in ours if name not in known]
  require(not others, f"layers of {family.root} alone", layers=others)
  return found


def load_backbone(
  layers: Iterable[Any],
  extractor: type[FeatureExtractor],
  source: str,
  averages: bool = False,
) -> Report:
  """Fills a detector's backbone, all of it or nothing.

  Args:
    layers: of the detector.
    extractor: the family.
    source: see `reading`.
    averages: take a variable's moving average where there is one.

  Raises:
    ValueError: no such checkpoint, not of this family, or not with all weights.
  """
  layers, family = list(layers), family_of(extractor)
  places = backbone_places(layers, extractor)
  with opened(source, averages) as checkpoint:
    report = fill(layers, places, checkpoint, family.epsilon, family.first_layer)
  report.require(f"{extractor.__name__}'s part of the detector")
  return report
