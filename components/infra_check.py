"""InfraCheck: does the exported model load and answer, outside the pipeline?

The stock InfraValidator asks this of a model server in docker; this one needs a
Python only. It asks the form that commands and the server use, which is the light one
(`$HARDMINE_RUNTIME=tensorflow` asks the SavedModel). It writes the same InfraBlessing,
so the stock Pusher understands it.
"""

# No `from __future__ import annotations`: TFX reads the annotations as types, in a
# spelling that no type checker follows.
# pyright: reportInvalidTypeArguments=false, reportArgumentType=false

import json
import os

from absl import logging
from tfx import v1 as tfx
from tfx.types import standard_artifacts
from tfx.utils import path_utils

from hardmine.components.plumbing import says_of_machine
from hardmine.schemas.local_copies import local_copy, local_output
from hardmine.serving.probe.ask_model import MEMORY_BYTES, TIMEOUT_SECONDS, ask
from hardmine.serving.probe.sandbox import Outcome

BLESSED_FILE = "INFRA_BLESSED"  # names and property as in tfx' InfraValidator
NOT_BLESSED_FILE = "INFRA_NOT_BLESSED"
ANSWER_FILE = "answer.json"


def write_blessing(
  blessing: standard_artifacts.InfraBlessing, outcome: Outcome
) -> None:
  """Records an outcome in the artifact's folder and properties, with its reason."""
  name = BLESSED_FILE if outcome.passed else NOT_BLESSED_FILE
  answer = {
    "passed": outcome.passed,
    "reason": outcome.reason,
    "seconds": round(outcome.seconds, 3),
    "peak_bytes": outcome.peak_bytes,
    "answer": json.loads(outcome.last_line) if outcome.passed else None,
  }
  with local_output(blessing.uri, last=[ANSWER_FILE]) as directory:
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
      file.write(outcome.reason + "\n")
    with open(os.path.join(directory, ANSWER_FILE), "w", encoding="utf-8") as file:
      json.dump(answer, file, indent=2)
  blessing.set_int_custom_property("blessed", int(outcome.passed))
  blessing.set_string_custom_property("reason", outcome.reason)


def require_asked(outcome: Outcome) -> None:
  """Raises RuntimeError where it was the machine that failed and not the model."""
  if not outcome.passed and says_of_machine(outcome.reason):
    raise RuntimeError(
      f"the model could not be asked, which says nothing of it: {outcome.reason}; "
      "mend that (`hardmine doctor` says what is missing) and run again"
    )


@tfx.dsl.components.component
def InfraCheck(
  model: tfx.dsl.components.InputArtifact[standard_artifacts.Model],
  blessing: tfx.dsl.components.OutputArtifact[standard_artifacts.InfraBlessing],
  timeout_seconds: tfx.dsl.components.Parameter[int] = TIMEOUT_SECONDS,
  memory_bytes: tfx.dsl.components.Parameter[int] = MEMORY_BYTES,
) -> None:
  """Blesses a model that answers within its limits; never fails for the model.

  Raises:
    RuntimeError: the model could not be asked, which says nothing of it.
  """
  with local_copy(path_utils.serving_model_path(model.uri)) as model_dir:
    outcome = ask(model_dir, timeout_seconds=timeout_seconds, memory_bytes=memory_bytes)
  logging.info("InfraCheck: %s", outcome)
  require_asked(outcome)
  write_blessing(blessing, outcome)
