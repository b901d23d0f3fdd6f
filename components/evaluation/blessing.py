"""A blessing that TFX's own Resolver and Pusher understand."""

from __future__ import annotations

import os

from tfx import types
from tfx.components.evaluator import constants
from tfx.utils import io_utils


def bless(
  blessing: types.Artifact,
  *,
  passed: bool,
  model: types.Artifact,
  rival: types.Artifact | None = None,
  component_id: str | None = None,
) -> None:
  """Fills a ModelBlessing as TFX's Evaluator does, for its Resolver and Pusher.

  Args:
    blessing: its folder gets an empty file BLESSED or NOT_BLESSED.
    passed: whether the model is blessed.
    model: the candidate.
    rival: what it was compared with.
    component_id: recorded where TFX passes it.
  """
  blessing.set_string_custom_property(
    constants.ARTIFACT_PROPERTY_CURRENT_MODEL_URI_KEY, model.uri
  )
  blessing.set_int_custom_property(
    constants.ARTIFACT_PROPERTY_CURRENT_MODEL_ID_KEY, model.id
  )
  if rival is not None:
    blessing.set_string_custom_property(
      constants.ARTIFACT_PROPERTY_BASELINE_MODEL_URI_KEY, rival.uri
    )
    blessing.set_int_custom_property(
      constants.ARTIFACT_PROPERTY_BASELINE_MODEL_ID_KEY, rival.id
    )
  if component_id is not None:
    blessing.set_string_custom_property("component_id", component_id)
  name = constants.BLESSED_FILE_NAME if passed else constants.NOT_BLESSED_FILE_NAME
  io_utils.write_string_file(os.path.join(blessing.uri, name), "")
  blessing.set_int_custom_property(
    constants.ARTIFACT_PROPERTY_BLESSED_KEY,
    constants.BLESSED_VALUE if passed else constants.NOT_BLESSED_VALUE,
  )
