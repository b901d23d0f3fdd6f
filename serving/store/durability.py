"""Makes what was written outlive a power cut."""

from __future__ import annotations

import os
from pathlib import Path


def sync(path: Path) -> None:
  """Waits until a file's content, or the names in a folder, lie on the disk."""
  descriptor = os.open(path, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)


def sync_tree(root: Path) -> None:
  """All files and folders of a tree, inner ones first."""
  for folder, _, names in os.walk(root, topdown=False):
    for name in names:
      sync(Path(folder, name))
    sync(Path(folder))
