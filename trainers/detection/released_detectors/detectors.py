"""A whole released detector, as an exported model of ours."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.files import sha256_of
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.released_detectors.described import (
  AnchorOrder,
  Described,
)
from hardmine.trainers.detection.released_detectors.pipeline_config import described
from hardmine.trainers.detection.tf1_checkpoints.backbones import backbone_places
from hardmine.trainers.detection.tf1_checkpoints.filling import fill
from hardmine.trainers.detection.tf1_checkpoints.names import family_of
from hardmine.trainers.detection.tf1_checkpoints.reading import (
  PIPELINE_CONFIG,
  folder_of,
  opened,
)
from hardmine.trainers.detection.tf1_checkpoints.report import Report

_RESIZE = (
  "pictures are resized around the centres of pixels, in TensorFlow 1 it was around "
  "their corners: boxes may differ by a fraction of a pixel"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
  """A detector that was brought over.

  Attributes:
    model: ours, with its weights.
    categories: what its labels mean.
    source: where it comes from, as a person named it.
    report: what became of every variable.
    sha256: of the checkpoint's files, by name.
    notes: where it may answer otherwise than it did, or what was left out.
  """

  model: Any
  categories: Categories
  source: str
  report: Report
  sha256: dict[str, str]
  notes: tuple[str, ...]

  @property
  def model_id(self) -> str:
    """Hex digits."""
    return self.model.model_id().hex()

  def export(self, model_dir: str | os.PathLike) -> None:
    """Writes the exported model into a folder that does not exist yet or is empty."""
    imported = {"source": self.source, "notes": list(self.notes)}
    export_detector(self.model, self.categories, model_dir, imported=imported)


def import_detector(
  source: str,
  categories: Categories,
  *,
  anchor_order: AnchorOrder = "later",
  averages: bool = False,
) -> Imported:
  """A released detector as a network of ours, all of it or nothing.

  Args:
    source: a folder or .tar.gz with a checkpoint and its `pipeline.config`.
    categories: with the ids that the detector was trained by; ids of its classes that
      have no category are never detected.
    anchor_order: of the anchors in a cell: `2017` for checkpoints of June 2017, which
      have the square between two scales behind the first ratio and not last.
    averages: take a variable's moving average where there is one.

  Raises:
    ValueError: no such files, a detector that is none of ours, categories that are not
      its own, or a checkpoint that has less or more than the detector.
  """
  with folder_of(source) as (place, name):
    path = os.path.join(place, PIPELINE_CONFIG)
    require(
      os.path.isfile(path), f"{PIPELINE_CONFIG} beside the checkpoint", source=source
    )
    with open(path, encoding="utf-8") as file:
      found = described(file.read(), f"{source}: {PIPELINE_CONFIG}")
    categories, notes = _completed(categories, found)
    model = meta_architecture(found.config)(found.config, len(categories))
    here = place if name is None else os.path.join(place, name)
    with opened(here, averages) as checkpoint:
      checkpoint.title = source
      places = {
        **backbone_places(model.leaf_layers, found.config.feature_extractor),
        **found.places(model, categories.ids, anchor_order),
      }
      report = fill(
        model.leaf_layers,
        places,
        checkpoint,
        found.epsilon,
        family_of(found.config.feature_extractor).first_layer,
      )
    report = report.without(found.left_over)
    report.require("the detector of its pipeline.config", whole=True)
    return Imported(
      model=model,
      categories=categories,
      source=source,
      report=report,
      sha256={
        one: sha256_of(os.path.join(place, one))
        for one in sorted(os.listdir(place))
        if one == PIPELINE_CONFIG or ".ckpt" in one
      },
      notes=(_RESIZE, *notes),
    )


def _completed(
  categories: Categories, found: Described
) -> tuple[Categories, tuple[str, ...]]:
  """The categories that the network gets, and what is to be said of the others."""
  beyond = [one for one in categories.ids if not 1 <= one <= found.num_classes]
  require(
    not beyond,
    f"categories with ids from 1 to {found.num_classes}, as the detector's classes",
    ids=beyond,
  )
  there = dict(zip(categories.ids, categories.names))
  num = found.num_classes - len(there)
  if not num:
    return categories, ()
  if not found.competing:
    return categories, (f"{num} classes without a category are never detected",)
  whole = tuple(
    Category(id=number, name=there.get(number, f"unnamed {number}"))
    for number in range(1, found.num_classes + 1)
  )
  told = f"{num} classes without a category compete as `unnamed N`"
  return Categories(categories=whole), (told,)
