"""A whole released detector, as an exported model of ours."""

from __future__ import annotations

import dataclasses
import functools
import os
from typing import Any, Literal

import numpy as np

from hardmine.schemas.categories import Categories
from hardmine.schemas.config import require
from hardmine.schemas.files import sha256_of
from hardmine.trainers.detection.anchors import cell_sides
from hardmine.trainers.detection.export import export_detector
from hardmine.trainers.detection.meta_architectures.known import meta_architecture
from hardmine.trainers.detection.tf1_checkpoints.backbones import backbone_places
from hardmine.trainers.detection.tf1_checkpoints.filling import Place, fill
from hardmine.trainers.detection.tf1_checkpoints.names import family_of
from hardmine.trainers.detection.tf1_checkpoints.pipeline_config import (
  Described,
  described,
)
from hardmine.trainers.detection.tf1_checkpoints.reading import (
  PIPELINE_CONFIG,
  folder_of,
  opened,
)
from hardmine.trainers.detection.tf1_checkpoints.report import Report

AnchorOrder = Literal["later", "2017"]
_PREFIX = "FeatureExtractor/"
_RESIZE = (
  "pictures are resized around the centres of pixels, in TensorFlow 1 it was around "
  "their corners: boxes may differ by a fraction of a pixel"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
  """A detector that was brought over.

  Attributes:
    model_id: hex digits.
    config: as JSON.
    report: what became of every variable.
    sha256: of the checkpoint's files, by name.
    notes: where it may answer otherwise than it did, or what was left out.
  """

  model_id: str
  config: str
  report: Report
  sha256: dict[str, str]
  notes: tuple[str, ...]


def import_detector(
  source: str,
  categories: Categories,
  model_dir: str | os.PathLike,
  *,
  anchor_order: AnchorOrder = "later",
  averages: bool = False,
) -> Imported:
  """Writes the exported model of a released detector.

  Args:
    source: a folder or .tar.gz with a checkpoint and its `pipeline.config`.
    categories: with the ids that the detector was trained by; ids of its classes that
      have no category are never detected.
    model_dir: a folder that does not exist yet or is empty.
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
    _require_categories(categories, found)
    model = meta_architecture(found.config)(found.config, len(categories))
    here = place if name is None else os.path.join(place, name)
    with opened(here, averages) as checkpoint:
      checkpoint.title = source
      report = fill(
        model.leaf_layers,
        _places(model, categories, found, anchor_order),
        checkpoint,
        found.epsilon,
        family_of(found.config.feature_extractor).first_layer,
      )
    report.require("the detector of its pipeline.config", whole=True)
    notes = (_RESIZE, *_unnamed(categories, found))
    export_detector(
      model, categories, model_dir, imported={"source": source, "notes": list(notes)}
    )
    return Imported(
      model_id=model.model_id().hex(),
      config=found.config.to_json(),
      report=report,
      sha256={
        one: sha256_of(os.path.join(place, one))
        for one in sorted(os.listdir(place))
        if one == PIPELINE_CONFIG or ".ckpt" in one
      },
      notes=notes,
    )


def _require_categories(categories: Categories, found: Described) -> None:
  beyond = [one for one in categories.ids if not 1 <= one <= found.num_classes]
  require(
    not beyond,
    f"categories with ids from 1 to {found.num_classes}, as the detector's classes",
    ids=beyond,
  )
  require(
    found.config.classification == "sigmoid" or len(categories) == found.num_classes,
    f"all {found.num_classes} categories, which compete with each other (softmax)",
    num_categories=len(categories),
  )


def _unnamed(categories: Categories, found: Described) -> list[str]:
  num = found.num_classes - len(categories)
  return [f"{num} classes without a category are never detected"] if num else []


def _places(
  model: Any, categories: Categories, found: Described, anchor_order: AnchorOrder
) -> dict[str, Place]:
  """The backbone's, those of the added maps and those of the predictors."""
  config = found.config
  places = backbone_places(model.leaf_layers, config.feature_extractor)
  root = f"{_PREFIX}{family_of(config.feature_extractor).root}/{found.last_layer}"
  by_name = {layer.name: layer for layer in model.leaf_layers}
  for number in range(2, 7):
    for step, kernel in ((1, "1x1"), (2, "3x3")):
      layer = by_name.get(f"extra_{number}_{kernel}")
      if layer is not None:
        size = f"{kernel}{'_s2' * (step == 2)}_{layer.filters}"
        scope = f"{root}_{step}_Conv2d_{number}_{size}"
        places[layer.name] = Place(scopes=(scope,))
  num_maps = sum(name.endswith("_box_codes") for name in by_name)
  columns = [0, *categories.ids]
  for number, sides in enumerate(cell_sides(num_maps, config)):
    order = _order(len(sides), number, anchor_order)
    scope = f"BoxPredictor_{number}"
    for kind, name, size, chosen in (
      ("box_codes", "BoxEncodingPredictor", 4, [0, 1, 2, 3]),
      ("class_logits", "ClassPredictor", found.num_classes + 1, columns),
    ):
      places[f"predictor_{number}_{kind}"] = Place(
        scopes=(f"{scope}/{name}",),
        change=functools.partial(_chosen, order=order, size=size, columns=chosen),
      )
  return places


def _order(num_anchors: int, number: int, anchor_order: AnchorOrder) -> list[int]:
  """Where in a cell of the checkpoint each of our anchors is."""
  if number == 0 or anchor_order == "later":
    return list(range(num_anchors))
  return [0, *range(2, num_anchors), 1]


def _chosen(
  values: np.ndarray, *, order: list[int], size: int, columns: list[int]
) -> np.ndarray:
  """Of predictor outputs (anchor, column) those of our anchors and columns.

  What is of another size is left as it is: the report then tells.
  """
  if values.shape[-1] != len(order) * size:
    return values
  whole = values.reshape(*values.shape[:-1], len(order), size)
  return whole[..., order, :][..., columns].reshape(*values.shape[:-1], -1)
