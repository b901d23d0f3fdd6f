"""A context network in whole numbers, and the file that holds it.

Of a position and an iteration, with signs s of what is known around it, gains g, and
c the signs of the channels of this position that were coded before (else 0):

    u = bias[slot, class] + s_near NEAR + s_before BEFORE + g GAINS + c WITHIN
    h = min(max(floor((u + 2^(a-1)) / 2^a), 0), top)        of the first H of u
    l = h OUT + 2^d u                                       of the last 32 of u
    p = table[min(max(floor(l / 2^e) + len(table) / 2, 0), len(table) - 1)]

and p / 65536 is how likely the bit is a 1. All of these are whole numbers below 2^24,
whatever the signs (`ContextModel` refuses others), so sums in float32 are exact in any
order, on any machine, and the table is read, not computed.

Iterations share the weights of their stage, and each has a slot of its own in it;
iterations beyond the last slot have that.

    entropy.npz     meta       JSON: format, group, stages (their numbers of slots) and
                               shifts a, d, e and top of every stage
                    table      uint16 [even], 1 to 65535
                    NAME_k     of stage k: bias int32 [slots, 6, H + 32], near int16
                               [24 * 32, H + 32], before int16 [12 * 32, H + 32], gains
                               int16 [3, H + 32], within int16 [32, H + 32], out int16
                               [H, 32]
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import io
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import ENTROPY_MODEL
from hardmine.schemas.files import write_atomically
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import is_url
from hardmine.trainers.codec.entropy.contexts import (
  BEFORE,
  GAIN_CENTRE,
  NEAR,
  NUM_GAINS,
)
from hardmine.trainers.codec.entropy.order import NUM_CLASSES

FORMAT = 1
EXACT = 1 << 24  # whole numbers up to it are exact in float32
ONE = 1 << 16  # a probability of 1
ID_BYTES = 8
_NAMES = ("bias", "near", "before", "gains", "within", "out")
_NUMBERS = ("activation_shift", "top", "direct_shift", "index_shift")
_MOST_SHIFT = 24


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
  """The weights that some iterations share; see the module's docstring.

  Attributes:
    bias: int32 [slots, 6, H + 32].
    near: int16 [24 * 32, H + 32].
    before: int16 [12 * 32, H + 32].
    gains: int16 [3, H + 32].
    within: int16 [32, H + 32].
    out: int16 [H, 32].
    activation_shift: a.
    top: the largest activation.
    direct_shift: d.
    index_shift: e.
  """

  bias: np.ndarray
  near: np.ndarray
  before: np.ndarray
  gains: np.ndarray
  within: np.ndarray
  out: np.ndarray
  activation_shift: int
  top: int
  direct_shift: int
  index_shift: int

  def __post_init__(self):
    hidden = self.out.shape[0]
    shapes = {
      "bias": (len(self.bias), NUM_CLASSES, hidden + CODE_DEPTH),
      "near": (NEAR, hidden + CODE_DEPTH),
      "before": (BEFORE, hidden + CODE_DEPTH),
      "gains": (NUM_GAINS, hidden + CODE_DEPTH),
      "within": (CODE_DEPTH, hidden + CODE_DEPTH),
      "out": (hidden, CODE_DEPTH),
    }
    for name, shape in shapes.items():
      array, dtype = getattr(self, name), np.int32 if name == "bias" else np.int16
      require(
        array.shape == shape and array.dtype == dtype and array.size > 0,
        f"{name} as {np.dtype(dtype).name} {list(shape)}",
        shape=array.shape,
        dtype=str(array.dtype),
      )
    for name in _NUMBERS:
      value = getattr(self, name)
      most = EXACT if name == "top" else _MOST_SHIFT
      require(
        type(value) is int and 0 <= value <= most,
        f"{name} from 0 to {most}",
        **{name: value},
      )
    largest = max(self.sums())
    require(
      largest < EXACT,
      f"sums below {EXACT:,}, which float32 holds exactly, whatever the bits",
      largest=largest,
    )

  @property
  def hidden(self) -> int:
    """H."""
    return self.out.shape[0]

  def sums(self) -> tuple[int, int]:
    """The largest absolute values that `u` and `l` can have, and all parts of them."""
    weights = sum(
      np.abs(part.astype(np.int64)).sum(axis=0)
      for part in (self.near, self.before, self.within)
    )
    furthest = max(GAIN_CENTRE, 255 - GAIN_CENTRE)  # what a forged byte may say
    weights += furthest * np.abs(self.gains.astype(np.int64)).sum(axis=0)
    u = weights + np.abs(self.bias.astype(np.int64)).max(axis=(0, 1))
    rounding = (1 << self.activation_shift) >> 1
    direct = u[self.hidden :] << self.direct_shift
    out = self.top * np.abs(self.out.astype(np.int64)).sum(axis=0) + direct
    return int(u.max()) + rounding, int(out.max())


@dataclasses.dataclass(frozen=True, kw_only=True)
class ContextModel:
  """How likely every bit of a code is, given those before it.

  Attributes:
    stages: in the order of the iterations.
    group: channels that are coded at once, a divisor of 32.
    table: uint16, an even number of probabilities of a 1 in 65536ths.
  """

  stages: tuple[Stage, ...]
  group: int
  table: np.ndarray

  def __post_init__(self):
    require(len(self.stages) > 0, "at least one stage", stages=len(self.stages))
    require(
      self.group in (1, 2, 4, 8, 16, 32), "a group that divides 32", group=self.group
    )
    table = self.table
    require(
      table.ndim == 1
      and table.dtype == np.uint16
      and 0 < len(table) <= ONE
      and len(table) % 2 == 0
      and table.min() > 0,
      "a table of an even number of uint16 from 1 on",
      shape=table.shape,
      dtype=str(table.dtype),
    )

  def stage_of(self, iteration: int) -> tuple[Stage, int]:
    """The stage of an iteration, from 0 on, and its slot there."""
    for stage in self.stages:
      if iteration < len(stage.bias):
        return stage, iteration
      iteration -= len(stage.bias)
    return self.stages[-1], len(self.stages[-1].bias) - 1

  @functools.cached_property
  def entropy_id(self) -> bytes:
    """Eight bytes that name the model in a stream: SHA-256 over its arrays."""
    digest = hashlib.sha256()
    for name, array in sorted(self._arrays().items()):
      digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
      digest.update(array.tobytes())
    return digest.digest()[:ID_BYTES]

  def save(self, path: str | os.PathLike) -> None:
    """Writes a file in one move; `load` is its inverse."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **self._arrays())  # pyright: ignore
    write_atomically(path, buffer.getvalue())

  @classmethod
  def load(cls, path: str | os.PathLike) -> ContextModel:
    """Reads what `save` wrote.

    Raises:
      ValueError: no such file, or something else.
    """
    require(Path(path).is_file(), "an entropy model that exists", path=str(path))
    try:
      with np.load(path) as file:
        return _parsed({name: file[name] for name in file.files})
    except Exception as error:  # whatever zipfile, NumPy and JSON raise
      raise ValueError(
        f"Expected an entropy model as hardmine writes it ({error}). "
        f"Received: path={str(path)!r}"
      ) from error

  def _arrays(self) -> dict[str, np.ndarray]:
    meta = {
      "format": FORMAT,
      "group": self.group,
      "stages": [
        {name: getattr(stage, name) for name in _NUMBERS} for stage in self.stages
      ],
    }
    text = json.dumps(meta, sort_keys=True).encode()
    arrays = {"meta": np.frombuffer(text, np.uint8), "table": _plain(self.table)}
    for number, stage in enumerate(self.stages):
      for name in _NAMES:
        arrays[f"{name}_{number}"] = _plain(getattr(stage, name))
    return arrays


def _plain(array: np.ndarray) -> np.ndarray:
  """Little endian and in rows, so that an id is that of the numbers alone."""
  return np.ascontiguousarray(array, array.dtype.newbyteorder("<"))


def _parsed(arrays: dict[str, np.ndarray]) -> ContextModel:
  meta: dict[str, Any] = json.loads(arrays["meta"].tobytes())
  require(
    meta["format"] == FORMAT,
    f"format {FORMAT}; others are a newer hardmine's",
    format=meta["format"],
  )
  stages = [
    Stage(**{name: arrays[f"{name}_{number}"] for name in _NAMES}, **numbers)
    for number, numbers in enumerate(meta["stages"])
  ]
  return ContextModel(stages=tuple(stages), group=meta["group"], table=arrays["table"])


def entropy_model_path(model_dir: str | os.PathLike) -> Path:
  """Where an exported codec's entropy model lies, if it has one."""
  return Path(model_dir, ENTROPY_MODEL)


def find_entropy_model(model_dir: str | os.PathLike) -> Path | None:
  """Its file; None where there is none."""
  path = entropy_model_path(model_dir)
  return path if path.is_file() else None


def keep_entropy_model(source: str, model_dir: str | os.PathLike) -> bool:
  """Gives a codec the entropy model of the one that its training began with.

  What it foretells of the bits holds about as well as before; where it does not, bits
  stay as they are.

  Args:
    source: the folder or URL of an exported codec, or a file of weights alone.
    model_dir: the export of the same network, a new one.

  Returns:
    Whether there was one.
  """
  if not is_url(source) and not Path(source).is_dir():
    return False
  try:
    content = folder(source).read(ENTROPY_MODEL)
  except FileNotFoundError:
    return False
  write_atomically(entropy_model_path(model_dir), content)
  return True
