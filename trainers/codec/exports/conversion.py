"""A codec that was exported before, exported again as codecs are exported today."""

from __future__ import annotations

import json
import os
import shutil

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.exported_model import read_facts
from hardmine.trainers import saved_model
from hardmine.trainers.codec.entropy.context_model import (
  entropy_model_path,
  find_entropy_model,
)
from hardmine.trainers.codec.exports.export import export_codec
from hardmine.trainers.codec.network.model import build_codec, model_id
from hardmine.trainers.codec.network.weights import read_exported

_WRITTEN_ANEW = ("config", "model_id", "padding_px", "code_depth")


def convert_codec(model_dir: str | os.PathLike, target_dir: str | os.PathLike) -> None:
  """Writes the same codec, SavedModel and light form, with the same facts.

  An entropy model goes along as it is.

  Args:
    model_dir: the export.
    target_dir: a folder that does not exist yet or is empty.

  Raises:
    ValueError: it is no exported codec, or its config names a class that is not there.
    RuntimeError: the weights are not those that its id was made of.
  """
  facts = read_facts(model_dir, "codec")
  codec = build_codec(CodecConfig.from_json(json.dumps(facts["config"])))
  read_exported(model_dir, codec)
  found = model_id(codec).hex()
  saved_model.check_id(model_dir, facts, found)
  kept = {name: facts[name] for name in facts if name not in _WRITTEN_ANEW}
  export_codec(codec, target_dir, **kept)
  if (entropy := find_entropy_model(model_dir)) is not None:
    shutil.copyfile(entropy, entropy_model_path(target_dir))
