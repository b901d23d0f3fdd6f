"""Where and by which means a pipeline runs; the experiment is what it produces."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Sequence
from typing import Any

from hardmine.pipelines.beam_runners import direct, for_libraries
from hardmine.pipelines.metadata_store import checked_place, is_database
from hardmine.schemas.config import require
from hardmine.schemas.uris import absolute, is_url

# Of patterns, and what neither ML Metadata nor a line on the screen can hold.
_REFUSED = re.compile(r"[*?\[\]{}\\\x00-\x1f\x7f\ud800-\udfff]")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
  """What a graph needs beside its experiment.

      ROOT/metadata.sqlite  artifacts/  checkpoints/  store/  logs/  lock

  SQLite and a file's lock need a disk. Of a root in a bucket these three lie in a
  folder of this machine that depends on the root alone, and `bucket_root` keeps a copy
  of the first in the bucket:

      ~/.local/state/hardmine/roots/KEY/metadata.sqlite  logs/  lock

  Attributes:
    root: folder (or bucket prefix) of everything the runs keep; local ones become
      absolute, with `~` for the home folder.
    store: the model store that blessed models go into, a folder or URL; None is
      `store` below the root.
    metadata: TFX's connection to ML Metadata; None where the orchestrator brings
      its own.
    metadata_place: where ML Metadata is to lie instead: the local path of a SQLite
      file, or `mysql://USER:PASSWORD@HOST:PORT/DATABASE`, which several machines and
      roots may share.
    beam_arguments: for the nodes that run Beam jobs, strings or TFX's
      placeholders; one process of this machine unless told.
    library_beam_arguments: what nodes of TFX's own libraries get behind them; None
      is what `beam_runners.for_libraries` says of them.
    enable_cache: reuse nodes whose settings and inputs did not change.
    rival_strategy: how the rival is found; None is
      `hardmine.components.rival.LatestOtherBlessedModel`. Vertex knows TFX's own
      only.
    run_fn: dotted path of the training function; None is the one of the pipeline.
    run_id: of a run whose nodes are processes of their own; where nothing may be
      reused, its training keeps its checkpoints apart.

  Raises:
    ValueError: the root or the store has a character that patterns are made of.
  """

  root: str
  store: str | None = None
  metadata: Any = None
  metadata_place: str | None = None
  beam_arguments: Sequence[Any] = dataclasses.field(default_factory=direct)
  library_beam_arguments: Sequence[Any] | None = None
  enable_cache: bool = True
  rival_strategy: type | None = None
  run_fn: str | None = None
  run_id: str | None = None

  def __post_init__(self):
    object.__setattr__(self, "root", _place("root", self.root))
    if self.store is not None:
      object.__setattr__(self, "store", _place("store", self.store))
    if self.metadata_place is not None:
      object.__setattr__(self, "metadata_place", checked_place(self.metadata_place))
    if self.library_beam_arguments is None:
      added = for_libraries(self.beam_arguments)
      object.__setattr__(self, "library_beam_arguments", added)

  @property
  def local_dir(self) -> str:
    """The folder of what needs a disk: the root, or what stands for one in a bucket."""
    if not is_url(self.root):
      return self.root
    base = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    key = hashlib.sha256(self.root.encode("utf-8")).hexdigest()[:16]
    return os.path.join(os.path.abspath(base), "hardmine", "roots", key)

  @property
  def has_own_records(self) -> bool:
    """Whether ML Metadata is a SQLite file of this root, and of nobody else."""
    return self.metadata is None and not is_database(self.metadata_place)

  @property
  def metadata_path(self) -> str:
    """ML Metadata's SQLite file, where the root has one."""
    return self.metadata_place or os.path.join(self.local_dir, "metadata.sqlite")

  @property
  def artifacts_dir(self) -> str:
    """Every node's outputs: TFX's `pipeline_root`."""
    return os.path.join(self.root, "artifacts")

  def checkpoint_dir(self, name: str) -> str:
    """Where the training of the experiment of a name keeps its checkpoints.

    `run_fn` keys them by settings and data. The Trainer's own output folder is new
    in every execution, so a killed run would have to start again from there.
    """
    folder = os.path.join(self.root, "checkpoints", name)
    if self.run_id is None or self.enable_cache:
      return folder
    return f"{folder}-{hashlib.sha256(self.run_id.encode()).hexdigest()[:12]}"

  @property
  def store_url(self) -> str:
    """The model store's folder or URL."""
    return self.store or os.path.join(self.root, "store")

  @property
  def logs_dir(self) -> str:
    """What TFX, Beam and TensorFlow said, one file a run."""
    return os.path.join(self.local_dir, "logs")

  @property
  def lock_path(self) -> str:
    """The file whose lock the one run of this machine in this root holds."""
    return os.path.join(self.local_dir, "lock")


def _place(name: str, path: str) -> str:
  """A folder's absolute path, a URL as it is.

  TFX and Beam find the files of a folder by patterns that begin with its path, which
  then are not these files.
  """
  require(bool(path), "a folder or URL", **{name: path})
  path = absolute(path) if "://" in path else os.path.abspath(os.path.expanduser(path))
  found = _REFUSED.search(path)
  if found:
    raise ValueError(
      f"Expected a path without {found[0]!r}, which TFX and Beam take for a part of a "
      f"pattern: choose or rename the folder, or make a link to it under a plain name. "
      f"Received: {name}={path!r}"
    )
  return path
