"""What a detector begins with: backbones of classifiers, or another detector.

`detector.initial_weights` names one of

    imagenet                      Keras' weights of the backbone
    FILE.npz                      likewise, by Keras' names
    a checkpoint of TensorFlow 1  the backbone, by slim's names (`tf1_checkpoints`)
    an exported detector          everything but what depends on other categories

The first three are loaded where a network is made to be trained; the last one where a
training begins, which then knows the categories.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from keras import ops

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.schemas.detector_config import detector_from_json
from hardmine.schemas.exported_model import GRAPH, LIGHT, read_facts
from hardmine.schemas.folders import folder
from hardmine.schemas.local_copies import local_copy
from hardmine.schemas.uris import is_url
from hardmine.trainers import saved_model
from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  load_weights,
)
from hardmine.trainers.detection.tf1_checkpoints.backbones import load_backbone
from hardmine.trainers.detection.tf1_checkpoints.reading import is_checkpoint

_NUM_SHOWN = 4  # names in a line


def is_exported_detector(source: str) -> bool:
  """Whether a source is the folder of an exported model, on a disk or in a bucket."""
  if source == "imagenet" or source.endswith(".npz"):
    return False
  if is_url(source):
    return folder(source).exists(GRAPH)
  return os.path.isfile(os.path.join(source, GRAPH))


def load_initial_weights(
  layers: Iterable[Any],
  extractor: type[FeatureExtractor],
  source: str,
  width: float,
  say: Callable[[str], None] = print,
) -> None:
  """Fills the backbone's layers of a new detector, where a source is of a backbone.

  Args:
    layers: of the detector.
    extractor: the family.
    source: see above.
    width: multiplier of all depths.
    say: receives what was found in a checkpoint.

  Raises:
    ValueError: no such source, or its weights are others.
    RuntimeError: Keras' weights cannot be had.
  """
  if source == "imagenet" or source.endswith(".npz"):
    load_weights(layers, extractor, source, width)
  elif is_exported_detector(source):
    pass  # `begin_with` loads it
  else:
    require(
      is_checkpoint(source),
      "weights that are there: `imagenet`, an .npz file, a checkpoint (its path before "
      ".index, its folder or .tar.gz), or an exported detector, as STORE:ALIAS",
      initial_weights=source,
    )
    for line in load_backbone(layers, extractor, source).lines():
      say(line)


def begin_with(
  model: Any, categories: Categories, say: Callable[[str], None] = print
) -> None:
  """Fills a new detector from the exported one that its config names, if it does.

  Layers whose weights depend on the categories are made anew unless these are the
  same; those of another shape too.

  Args:
    model: a meta-architecture, with random weights.
    categories: what its labels mean.
    say: receives what was taken and what was not.

  Raises:
    ValueError: no detector of the same kind, feature extractor and width.
    RuntimeError: its files are damaged.
  """
  source = model.config.initial_weights
  if source is None or not is_exported_detector(source):
    return
  with local_copy(source, wanted=lambda name: not name.startswith(LIGHT)) as model_dir:
    theirs, their_categories = _loaded(model, model_dir, source)
  is_same = their_categories.names == categories.names
  anew = set() if is_same else _layers_of_categories(model)
  taken = 0
  for place, (ours, other) in enumerate(
    zip(model.leaf_layers, theirs.leaf_layers, strict=True)
  ):
    shapes = [[tuple(w.shape) for w in layer.weights] for layer in (ours, other)]
    if not shapes[0]:
      continue
    if place in anew or shapes[0] != shapes[1]:
      anew.add(place)
      continue
    for ours_weight, weight in zip(ours.weights, other.weights):
      ours_weight.assign(np.asarray(ops.convert_to_numpy(weight)))
    taken += 1
  names = [model.leaf_layers[place].name for place in sorted(anew)]
  for line in _told(source, taken, names, is_same):
    say(line)


def _loaded(model: Any, model_dir: str, source: str) -> tuple[Any, Categories]:
  """The network of an export, with its weights, and its categories."""
  facts = read_facts(model_dir, "detector")
  theirs = detector_from_json(json.dumps(facts["config"]))
  ours = model.config
  require(
    type(theirs) is type(ours),
    f"a detector of the kind {type(ours).__name__} to begin with",
    initial_weights=source,
    kind=type(theirs).__name__,
  )
  for name in ("feature_extractor", "width"):
    values = [getattr(config, name) for config in (ours, theirs)]
    shown = [getattr(value, "__name__", value) for value in values]
    require(
      values[0] == values[1],
      f"a detector of {name} {shown[0]} to begin with",
      initial_weights=source,
      **{name: shown[1]},
    )
  categories = Categories(
    categories=tuple(Category(**one) for one in facts["categories"])
  )
  found = type(model)(theirs, len(categories))
  saved_model.read_variables(model_dir, "model", found)
  saved_model.check_id(source, facts, found.model_id().hex())
  require(
    len(found.leaf_layers) == len(model.leaf_layers),
    f"a detector of {len(model.leaf_layers)} layers to begin with",
    initial_weights=source,
    num_layers=len(found.leaf_layers),
  )
  return found, categories


def _layers_of_categories(model: Any) -> set[int]:
  """Places of the layers whose shapes depend on how many categories there are."""
  other = type(model)(model.config, model.num_categories + 1)
  return {
    place
    for place, (one, two) in enumerate(zip(model.leaf_layers, other.leaf_layers))
    if [w.shape for w in one.weights] != [w.shape for w in two.weights]
  }


def _told(source: str, taken: int, names: list[str], is_same: bool) -> list[str]:
  lines = [f"beginning with {source}: {taken} layers"]
  if names:
    shown = ", ".join(names[:_NUM_SHOWN]) + ", ..." * (len(names) > _NUM_SHOWN)
    why = "their shapes differ" if is_same else "the categories differ"
    lines.append(f"  made anew, as {why}: {len(names)} layers, {shown}")
  return lines
