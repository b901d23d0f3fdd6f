"""A store to make a board of, and the making."""

from __future__ import annotations

import pytest

from components.board.build import write_board
from tests.components.board import pages
from tests.components.board.fake_store import FakeStore


@pytest.fixture
def store() -> FakeStore:
  return FakeStore()


@pytest.fixture
def board(store, tmp_path):
  """Writes the board of `store` and gives its pages by file name."""

  def write(**options):
    write_board(store, tmp_path / "board", **options)
    return pages.read(tmp_path / "board")

  return write
