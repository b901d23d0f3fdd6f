"""Adds an entropy model to the folder of an exported codec that nobody uses yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.schemas.config import require
from hardmine.schemas.entropy_config import EntropyConfig
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.entropy.context_model import entropy_model_path
from hardmine.trainers.codec.entropy_fitting.fitting import Fitted, fit
from hardmine.trainers.codec.entropy_fitting.photographs import code_sets


def add_entropy_model(
  model_dir: str | os.PathLike,
  paths: Sequence[str],
  config: EntropyConfig,
  report: Callable[[str], None] = print,
) -> Fitted:
  """Fits one to photographs and writes it beside the codec's facts.

  Args:
    model_dir: the export, a new one; published models are never changed.
    paths: of photographs.
    config: how.
    report: receives lines.

  Raises:
    ValueError: no photograph can be used, or the codec's positions have not 32 bits.
  """
  codec = Codec.load(model_dir)
  require(
    codec.code_depth == CODE_DEPTH,
    f"a codec of {CODE_DEPTH} bits a position, as networks of before 2016 are not",
    code_depth=codec.code_depth,
  )
  ours, others = code_sets(codec, paths, config, report)
  fitted = fit(ours, config, others, report)
  fitted.model.save(entropy_model_path(model_dir))
  return fitted
