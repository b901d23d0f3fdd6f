"""Brings annotations to the parts that hold their images, on disk.

A set's rows lie in the order of its file; a part's worker wants its own, together.
Rows are read in blocks, counted, and written where they belong; what is held in
memory does not grow with their number.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from hardmine.components.coco_gen.annotations import ROW, AnnotationSet

NOT_TAKEN = -1  # of an image that the job leaves out
LOST = -2  # of an image that cannot be used
UNKNOWN = -3  # of no image that is listed
REPEATED = -4  # an earlier annotation is the same

_BLOCK = 1 << 15  # rows
_IDS_AT_ONCE = 1 << 19
_MIX = np.uint64(0x9E3779B97F4A7C15)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Destinations:
  """Where the annotations of a set go.

  Attributes:
    image_ids: int64 [n], rising: all listed images.
    parts: int64 [n], the part that takes an image, `NOT_TAKEN` or `LOST`.
  """

  image_ids: np.ndarray
  parts: np.ndarray

  def of(self, image_ids: np.ndarray) -> np.ndarray:
    """int64 [m] to int64 [m]: parts, or one of the constants above."""
    if not len(self.image_ids):
      return np.full(len(image_ids), UNKNOWN)
    places = np.searchsorted(self.image_ids, image_ids)
    places = np.minimum(places, len(self.image_ids) - 1)
    known = self.image_ids[places] == image_ids
    return np.where(known, self.parts[places], UNKNOWN)


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnsortedRows:
  """A set's rows as they were read, with what sorting them needs to know.

  Attributes:
    found: the set.
    destinations: where its rows go.
    repeated: int64 [n], rising positions in the file of rows.
  """

  found: AnnotationSet
  destinations: Destinations
  repeated: np.ndarray

  def blocks(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows (`ROW` [m]) and where each goes (int64 [m])."""
    for start, rows in _blocks(self.found.rows_path):
      goes = self.destinations.of(rows["image_id"])
      inside = slice(*np.searchsorted(self.repeated, (start, start + len(rows))))
      again = np.zeros(len(rows), bool)
      again[self.repeated[inside] - start] = True
      goes[again & (goes >= 0)] = REPEATED
      yield rows, goes


def repeated_rows(found: AnnotationSet) -> np.ndarray:
  """Positions of rows that an earlier row equals, but for its place in the file.

  Ids alone do not count: nothing refers to an annotation, and where several files
  were joined, they start anew.

  Returns:
    int64 [n], rising.
  """
  num_turns = max(1, math.ceil(found.num_rows / _IDS_AT_ONCE))
  again = []
  for turn in range(num_turns):  # each looks at those ids that hash to it
    ids, places = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for start, rows in _blocks(found.rows_path):
      block = rows["annotation_id"]
      mixed = (block.astype(np.uint64) * _MIX) >> np.uint64(32)
      chosen = np.flatnonzero(mixed % np.uint64(num_turns) == turn)
      ids.append(block[chosen])
      places.append(chosen + start)
    values, order = np.concatenate(ids), np.concatenate(places)
    rising = np.argsort(values, kind="stable")
    values, order = values[rising], order[rising]
    twice = np.flatnonzero(values[1:] == values[:-1])
    sharing = np.unique(np.concatenate([order[twice], order[twice + 1]]))
    again.append(_equal_to_earlier(found.rows_path, sharing))
  return np.sort(np.concatenate(again))


def _equal_to_earlier(path: Path, places: np.ndarray) -> np.ndarray:
  """Of rows at these rising places, those that are equal to one before."""
  if not len(places):
    return places
  rows = np.array(np.memmap(path, ROW, "r")[places])
  rows["number"] = 0
  _, first = np.unique(rows.view(f"V{ROW.itemsize}"), return_index=True)
  return np.delete(places, first)


def sort_rows(sets: list[UnsortedRows], num_parts: int, path: Path) -> np.ndarray:
  """Writes all rows that a part takes, part after part.

  Within a part, sets and their rows keep their order.

  Args:
    sets: to be read twice.
    num_parts: parts count from 0.
    path: of the new file.

  Returns:
    int64 [num_parts + 1]: part p has the rows from entry p to entry p + 1.
  """
  counts = np.zeros(num_parts, np.int64)
  for found in sets:
    for _, goes in found.blocks():
      counts += np.bincount(goes[goes >= 0], minlength=num_parts)
  bounds = np.concatenate([[0], np.cumsum(counts)])
  place = bounds[:-1].copy()
  with path.open("wb", buffering=0) as file:
    for found in sets:
      for rows, goes in found.blocks():
        order = np.argsort(goes, kind="stable")
        order = order[np.searchsorted(goes[order], 0) :]  # below 0 goes nowhere
        parts, starts = np.unique(goes[order], return_index=True)
        chosen = rows[order]
        ends = itertools.chain(starts[1:].tolist(), [len(order)])
        for part, start, end in zip(parts.tolist(), starts.tolist(), ends):
          offset = int(place[part]) * ROW.itemsize
          os.pwrite(file.fileno(), chosen[start:end].tobytes(), offset)
          place[part] += end - start
  return bounds


def read_rows(path: Path, start: int, stop: int) -> np.ndarray:
  """Rows `start` to `stop` of a file: `ROW` [stop - start]."""
  return np.fromfile(path, ROW, stop - start, offset=start * ROW.itemsize)


def _blocks(path: Path) -> Iterator[tuple[int, np.ndarray]]:
  """Yields (position of the first row, rows)."""
  for start in itertools.count(0, _BLOCK):
    rows = read_rows(path, start, start + _BLOCK)
    if not len(rows):
      return
    yield start, rows
