"""Versions of what an evaluation's numbers depend on."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Sequence


def environment(packages: Sequence[str]) -> dict[str, str]:
  """Python, platform and packages to their versions; absent ones are left out."""
  versions = {"python": platform.python_version(), "platform": platform.platform()}
  for package in packages:
    try:
      versions[package] = importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
      continue
  return versions
