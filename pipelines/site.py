"""Where and by which means a pipeline runs; the experiment is what it produces."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from hardmine.pipelines.beam_runners import direct


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
  """What a graph needs beside its experiment.

      ROOT/metadata.sqlite  artifacts/  checkpoints/  store/  logs/  lock

  Attributes:
    root: folder (or bucket prefix) of everything the runs keep.
    store: the model store that blessed models go into, a folder or URL; None is
      `store` below the root.
    metadata: TFX's connection to ML Metadata; None where the orchestrator brings
      its own.
    beam_arguments: for the nodes that run Beam jobs, strings or TFX's
      placeholders; one process of this machine unless told.
    enable_cache: reuse nodes whose settings and inputs did not change.
    rival_strategy: how the rival is found; None is
      `hardmine.components.rival.LatestOtherBlessedModel`. Vertex knows TFX's own
      only.
    run_fn: dotted path of the training function; None is the one of the pipeline.
  """

  root: str
  store: str | None = None
  metadata: Any = None
  beam_arguments: Sequence[Any] = dataclasses.field(default_factory=direct)
  enable_cache: bool = True
  rival_strategy: type | None = None
  run_fn: str | None = None

  @property
  def metadata_path(self) -> str:
    """ML Metadata's SQLite file, where the orchestrator brings no other."""
    return os.path.join(self.root, "metadata.sqlite")

  @property
  def artifacts_dir(self) -> str:
    """Every node's outputs: TFX's `pipeline_root`."""
    return os.path.join(self.root, "artifacts")

  def checkpoint_dir(self, name: str) -> str:
    """Where the training of the experiment of a name keeps its checkpoints.

    `run_fn` keys them by settings and data. The Trainer's own output folder is new
    in every execution, so a killed run would have to start again from there.
    """
    return os.path.join(self.root, "checkpoints", name)

  @property
  def store_url(self) -> str:
    """The model store's folder or URL."""
    return self.store or os.path.join(self.root, "store")

  @property
  def logs_dir(self) -> str:
    """What TFX, Beam and TensorFlow said, one file a run."""
    return os.path.join(self.root, "logs")

  @property
  def lock_path(self) -> str:
    """The file whose lock the one run in this root holds."""
    return os.path.join(self.root, "lock")
