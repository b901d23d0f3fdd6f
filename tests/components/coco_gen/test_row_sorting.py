"""Rows come to the parts of their images."""

import numpy as np

from hardmine.components.coco_gen import row_sorting
from hardmine.components.coco_gen.annotations import ROW, AnnotationSet
from hardmine.components.coco_gen.row_sorting import (
  NOT_TAKEN,
  Destinations,
  UnsortedRows,
  read_rows,
  repeated_rows,
  sort_rows,
)


def random_set(folder, num, seed):
  generator = np.random.default_rng(seed)
  found = AnnotationSet("set", folder)
  with found:
    for number in range(num):
      ids = (int(generator.integers(0, num)), int(generator.integers(-5, 40)))
      # Equal ids often, equal rows sometimes: as in joined files.
      found.add_row((number, *ids, 1, generator.integers(2), 3, 4, 5, np.nan, 0))
    for number in range(num, num + num // 10):
      found.add_row((number, *ids, 1, 0.5, 3, 4, 5, np.nan, 0))
  return found


def test_rows_come_to_their_parts_in_order(tmp_path, monkeypatch):
  monkeypatch.setattr(row_sorting, "_BLOCK", 64)
  monkeypatch.setattr(row_sorting, "_IDS_AT_ONCE", 100)
  found = random_set(tmp_path, 1000, 3)
  rows = np.fromfile(found.rows_path, ROW)
  seen, again = set(), []
  rows["number"] = 0
  for place, row in enumerate(rows):
    if row.tobytes() in seen:
      again.append(place)
    seen.add(row.tobytes())
  rows = np.fromfile(found.rows_path, ROW)
  assert len(np.unique(rows["annotation_id"])) + len(again) < len(rows) - 100
  repeated = repeated_rows(found)
  assert repeated.tolist() == again

  image_ids = np.arange(30)
  parts = np.where(image_ids % 5 == 4, NOT_TAKEN, image_ids % 5)
  goes = Destinations(image_ids=image_ids, parts=parts)
  unsorted = UnsortedRows(found=found, destinations=goes, repeated=repeated)
  bounds = sort_rows([unsorted], 4, tmp_path / "sorted")
  first = np.ones(len(rows), bool)
  first[again] = False
  for part in range(4):
    known = first & (rows["image_id"] >= 0) & (rows["image_id"] < 30)
    expected = rows[known & (rows["image_id"] % 5 == part)]
    mine = read_rows(tmp_path / "sorted", *bounds[part : part + 2].tolist())
    assert mine.tobytes() == expected.tobytes()  # an area that is NaN is one, too
