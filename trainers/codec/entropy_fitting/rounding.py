"""Weights of a fitted network as whole numbers, as fine as float32 sums allow."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.entropy.context_model import EXACT, ONE, Stage

TOP = 6.0  # of an activation
GAIN_UNIT = 8.0  # gains of 2^(k/4): four octaves
_FINEST = 8  # 2^-8 is the least difference of two first weights
_ACTIVATION_BITS = 7  # of an activation of 1
_FINEST_OUT = 10
_LOGIT_STEPS = 128  # in the table, of a logit of 1
_LOGITS = 12  # up to which it reaches


def probability_table() -> np.ndarray:
  """uint16, of logits from -12 to 12 in steps of 1/128, each step's middle."""
  count = 2 * _LOGITS * _LOGIT_STEPS
  logits = (np.arange(count) - count // 2 + 0.5) / _LOGIT_STEPS
  return np.clip(np.rint(ONE / (1 + np.exp(-logits))), 1, ONE - 1).astype(np.uint16)


def rounded_stage(weights: Mapping[str, np.ndarray]) -> Stage:
  """A stage of whole numbers.

  Args:
    weights: of a `ContextNetwork`, by name.

  Raises:
    ValueError: the weights are so large that no scale makes their sums exact.
  """
  refused = None
  for fine in range(_FINEST, 0, -1):
    for fine_out in range(_FINEST_OUT, 2, -1):
      try:
        return _rounded(weights, fine, fine_out)
      except ValueError as error:
        refused = error
  raise refused or AssertionError


def _rounded(weights: Mapping[str, np.ndarray], fine: int, fine_out: int) -> Stage:
  scale = 2.0**fine
  shift = max(0, fine - _ACTIVATION_BITS)
  unit = 2.0 ** (fine - shift)  # of an activation of 1
  width = weights["bias"].shape[1]
  hidden = width - CODE_DEPTH
  logit_bits = int(np.log2(unit)) + fine_out  # of a logit of 1
  return Stage(
    bias=_whole(weights["bias"] * scale, EXACT, np.int32).reshape(-1, 6, width),
    near=_short(weights["near"] * scale),
    before=_short(weights["before"] * scale),
    gains=_short(weights["gains"] * scale / GAIN_UNIT),
    within=_short(weights["within"] * scale),
    out=_short(weights["out"].reshape(hidden, CODE_DEPTH) * 2.0**fine_out),
    activation_shift=shift,
    top=int(TOP * unit),
    direct_shift=logit_bits - fine,
    index_shift=logit_bits - int(np.log2(_LOGIT_STEPS)),
  )


def _short(values: np.ndarray) -> np.ndarray:
  return _whole(values, np.iinfo(np.int16).max, np.int16)


def _whole(values: np.ndarray, most: int, dtype: type) -> np.ndarray:
  return np.clip(np.rint(values), -most, most).astype(dtype)
