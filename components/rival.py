"""Which blessed model a candidate has to beat."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.common.resolver import ResolverStrategy
from tfx.dsl.input_resolution.strategies.latest_blessed_model_strategy import (
  LatestBlessedModelStrategy,
)


class LatestOtherBlessedModel(ResolverStrategy):
  """The latest blessed model that is not the candidate itself.

  With the stock strategy a repeated run finds its own model blessed: the
  candidate is then compared with itself (so a required improvement fails), and
  the new input makes the evaluator run again although nothing changed.

  Its channels: `model` and `model_blessing` as for the stock strategy, and
  `candidate`, the model under test.
  """

  def resolve_artifacts(
    self, store, input_dict: dict[str, list[types.Artifact]]
  ) -> dict[str, list[types.Artifact]]:
    """The same keys, holding the rival and its blessing, or nothing."""
    candidates = input_dict["candidate"]
    own = {artifact.id for artifact in candidates}
    others = {
      "model": [a for a in input_dict["model"] if a.id not in own],
      "model_blessing": input_dict["model_blessing"],
    }
    found = LatestBlessedModelStrategy().resolve_artifacts(store, others) or others
    return {**found, "candidate": candidates}
