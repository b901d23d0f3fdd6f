"""A store to make a board of, and the making."""

from __future__ import annotations

import pytest

from hardmine.serving.board.build import write_board
from tests.serving.board import pages
from tests.serving.board.fake_store import FakeStore


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
