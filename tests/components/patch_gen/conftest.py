"""Photographs to mine."""

import pytest
from PIL import Image

from tests.components.patch_gen.mining import photograph


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("photographs")
  for seed in range(9):
    path = folder / f"{'ab'[seed % 2]}" / f"{seed}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(photograph(seed)).save(path)
  return folder
