"""Which blessed model a candidate has to beat."""

from __future__ import annotations

import json

from absl import logging
from ml_metadata import MetadataStore
from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
  LatestBlessedModelStrategy,
)
from tfx.utils import path_utils

from hardmine.components.pushes import pushes_of
from hardmine.schemas.exported_model import FACTS_PATHS
from hardmine.schemas.folders import folder
from hardmine.schemas.local_copies import is_there, local_output
from hardmine.serving.store.catalogue import Catalogue


class LatestOtherBlessedModel(ResolverStrategy):
  """The latest blessed model that is not the candidate itself.

  With the stock strategy a repeated run finds its own model blessed: the
  candidate is then compared with itself (so a required improvement fails), and
  the new input makes the evaluator run again although nothing changed. A model
  that was exported once more, as in a root that was moved, is itself too.

  A rival that was cleaned away is put back from the model store it was pushed into.

  Its channels: `model` and `model_blessing` as for the stock strategy, and
  `candidate`, the model under test.
  """

  def resolve_artifacts(
    self, store: MetadataStore, input_dict: dict[str, list[types.Artifact]]
  ) -> dict[str, list[types.Artifact]]:
    """The same keys, holding the rival and its blessing, or nothing."""
    candidates = input_dict["candidate"]
    own = {artifact.id for artifact in candidates}
    ids = {_model_id(artifact) for artifact in candidates} - {None}
    others = {
      "model": [
        a for a in input_dict["model"] if a.id not in own and _model_id(a) not in ids
      ],
      "model_blessing": input_dict["model_blessing"],
    }
    found = LatestBlessedModelStrategy().resolve_artifacts(store, others) or others
    for rival in found["model"]:
      if not is_there(rival.uri):
        _put_back(store, rival)
    return {**found, "candidate": candidates}


def _model_id(model: types.Artifact) -> str | None:
  """What the exported model calls itself; None where that cannot be read."""
  places = folder(path_utils.serving_model_dir(model.uri))
  for path in FACTS_PATHS.values():
    try:
      return json.loads(places.read(path))["model_id"]
    except (OSError, ValueError, RuntimeError, KeyError):
      continue
  return None


def _put_back(store: MetadataStore, model: types.Artifact) -> None:
  """Copies a model's version from a model store to where it was, if there is one.

  Where there is none, the evaluator says that the rival is gone, and what to do.
  """
  for push in pushes_of(store, model.id):
    try:
      catalogue = Catalogue(push.store)
      if push.is_there(catalogue):
        with local_output(model.uri) as place:
          catalogue.export(push.version, path_utils.serving_model_dir(place))
        logging.info("Rival: %s put back from %s", model.uri, push.destination)
        return
    except (OSError, ValueError, RuntimeError) as error:
      logging.warning("Rival: %s is no help: %s", push.destination, error)
