"""What tests of every folder share."""

import os
from pathlib import Path

import pytest

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def data_dir() -> Path:
  """The photographs that are too large for the repository, one folder a set."""
  folder = Path(os.environ.get("HARDMINE_DATA") or DATA)
  if not folder.is_dir():
    pytest.skip(f"no photographs in {folder}: name their folder in HARDMINE_DATA")
  return folder
