"""The set of `rectangles.py` as an Examples folder."""

from __future__ import annotations

import pytest

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.categories import CATEGORIES_NAME
from hardmine.schemas.coco_example import serialize
from tests.trainers.detection.rectangles import CATEGORIES, rectangle


@pytest.fixture(scope="session")
def rectangles(tmp_path_factory):
  """An Examples folder: 24 images to train on, 6 to look at, `categories.json`."""
  folder = tmp_path_factory.mktemp("rectangles")
  for split, indices in (("train", range(24)), ("eval", range(100, 106))):
    path = folder / f"Split-{split}" / "data_tfrecord-00000-of-00001.gz"
    path.parent.mkdir()
    write_records(path, (serialize(rectangle(index)) for index in indices))
  (folder / CATEGORIES_NAME).write_text(CATEGORIES.to_file())
  return folder
