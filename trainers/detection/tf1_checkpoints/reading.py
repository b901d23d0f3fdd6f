"""Opens a checkpoint of TensorFlow 1, wherever it lies.

A source is the path or URL of one of

    model.ckpt     the prefix of model.ckpt.index, or a file of the first format
    FOLDER         that holds one checkpoint
    NAME.tar.gz    as it was downloaded, with one inside
"""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from hardmine.schemas.config import require
from hardmine.schemas.folders import folder
from hardmine.schemas.local_copies import local_copy
from hardmine.schemas.uris import is_url, parent_and_name

PIPELINE_CONFIG = "pipeline.config"
AVERAGE = "ExponentialMovingAverage"
_ARCHIVE = re.compile(r"\.(?:tar(?:\.gz)?|tgz)$")
_INDEX, _DATA = ".index", re.compile(r"\.data-\d{5}-of-\d{5}$")
_FIRST_FORMAT = re.compile(r"\.ckpt(?:-\d+)?$")
_TF2 = "_CHECKPOINTABLE_OBJECT_GRAPH"
# What only training needs, by the ends of its names.
_TRAINING = re.compile(
  rf"(?:^|/)(?:global_step|{AVERAGE}|beta[12]_power|(?:RMSProp|Momentum|Ada\w+)(?:_\d+)?)$"
)


class Checkpoint:
  """The variables of a checkpoint, by name.

  Args:
    prefix: a path.
    title: what a person called it, for errors.
    averages: give a variable's moving average where there is one.

  Attributes:
    title: as above.
    shapes: of the variables of the model, without what only training needs.
    ignored: how many variables of each kind only training needs.
  """

  def __init__(self, prefix: str, title: str, averages: bool = False):
    import tensorflow as tf

    try:
      self._reader = tf.train.load_checkpoint(prefix)
      found = self._reader.get_variable_to_shape_map()
    except Exception as error:  # of many classes, by the kind of damage
      raise ValueError(
        f"Expected a whole checkpoint of TensorFlow 1. Received: {title!r} ({error})"
      ) from error
    require(
      _TF2 not in found,
      "a checkpoint of TensorFlow 1, with a variable a name (this one is of "
      "TensorFlow 2, which keeps objects)",
      checkpoint=title,
    )
    self.title = title
    self._averages = averages
    self._stored = found
    self.shapes: dict[str, tuple[int, ...]] = {}
    self.ignored: dict[str, int] = {}
    for name in sorted(found):
      match = _TRAINING.search(name)
      if match is None:
        self.shapes[name] = tuple(found[name])
      else:
        kind = match[0].strip("/")
        self.ignored[kind] = self.ignored.get(kind, 0) + 1

  def get(self, name: str) -> np.ndarray:
    """A variable of `shapes`, or its moving average if these are wanted."""
    average = f"{name}/{AVERAGE}"
    wanted = average if self._averages and average in self._stored else name
    return np.asarray(self._reader.get_tensor(wanted))

  @property
  def num_averages(self) -> int:
    """Variables that have a moving average."""
    return self.ignored.get(AVERAGE, 0)


def is_checkpoint(source: str) -> bool:
  """Whether a source may be one, by its name and what lies there."""
  if _ARCHIVE.search(source):
    return True
  if is_url(source):
    parent, name = parent_and_name(source)
    inside = folder(source).names()
    return folder(parent).exists(name + _INDEX) or any(map(_begins, inside))
  if os.path.isdir(source):
    return any(map(_begins, os.listdir(source)))
  is_first = bool(_FIRST_FORMAT.search(source)) and os.path.isfile(source)
  return is_first or os.path.isfile(source + _INDEX)


@contextlib.contextmanager
def opened(source: str, averages: bool = False) -> Iterator[Checkpoint]:
  """The checkpoint of a source.

  Raises:
    ValueError: there is none, or several.
  """
  with folder_of(source) as (place, name):
    yield Checkpoint(
      os.path.join(place, name or _only(place, source)), source, averages
    )


@contextlib.contextmanager
def folder_of(source: str) -> Iterator[tuple[str, str | None]]:
  """A folder of this machine with a source's files, and the prefix, if it named one.

  Of an archive, only the files of checkpoints and their configs are taken out, by the
  last part of their names, into a folder that goes with the block.

  Raises:
    ValueError: no such source, or an archive that is damaged or unclear.
  """
  if _ARCHIVE.search(source):
    with _file_of(source) as path, _extracted(path, source) as place:
      yield place, None
  elif is_url(source):
    parent, name = parent_and_name(source)
    if folder(parent).exists(name + _INDEX):
      with local_copy(parent, wanted=lambda one: one.startswith(f"{name}.")) as place:
        yield place, name
    else:
      with local_copy(source, wanted=_is_wanted) as place:
        yield place, None
  elif os.path.isdir(source):
    yield source, None
  else:
    _require_there(os.path.exists(source + _INDEX) or os.path.isfile(source), source)
    yield os.path.dirname(source) or ".", os.path.basename(source)


def _require_there(there: bool, source: str) -> None:
  require(
    there,
    "a checkpoint: the path before .index, a folder with one, or a .tar.gz",
    checkpoint=source,
  )


@contextlib.contextmanager
def _file_of(source: str) -> Iterator[str]:
  if not is_url(source):
    _require_there(os.path.isfile(source), source)
    yield source
    return
  parent, name = parent_and_name(source)
  _require_there(folder(parent).exists(name), source)
  with folder(parent).local_copy(name) as path:
    yield os.fspath(path)


@contextlib.contextmanager
def _extracted(path: str, title: str) -> Iterator[str]:
  with tempfile.TemporaryDirectory(prefix="hardmine-checkpoint-") as place:
    taken: dict[str, str] = {}
    try:
      with tarfile.open(path) as archive:
        for member in archive:
          name = os.path.basename(member.name)
          if member.isfile() and _is_wanted(name):
            require(
              name not in taken,
              "an archive with one checkpoint",
              checkpoint=title,
              files=[taken.get(name), member.name],
            )
            taken[name] = member.name
            _write(archive, member, os.path.join(place, name))
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
      raise ValueError(
        f"Expected a whole .tar.gz, as it was downloaded. Received: {title!r} ({error})"
      ) from error
    yield place


def _write(archive: tarfile.TarFile, member: tarfile.TarInfo, path: str) -> None:
  content: Any = archive.extractfile(member)
  with content, open(path, "xb") as file:
    shutil.copyfileobj(content, file)


def _is_wanted(name: str) -> bool:
  """Whether a file is part of a checkpoint, or the config of its detector."""
  return name == PIPELINE_CONFIG or _begins(name) or bool(_DATA.search(name))


def _begins(name: str) -> bool:
  return name.endswith(_INDEX) or bool(_FIRST_FORMAT.search(name))


def _only(place: str, source: str) -> str:
  """The prefix of the one checkpoint in a folder."""
  names = sorted(os.listdir(place))
  prefixes = [name.removesuffix(_INDEX) for name in names if _begins(name)]
  _require_there(bool(prefixes), source)
  require(
    len(prefixes) == 1,
    "one of the checkpoints of the folder, as FOLDER/PREFIX",
    checkpoint=source,
    prefixes=prefixes,
  )
  return prefixes[0]
