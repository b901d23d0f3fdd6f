"""What models found in the views of annotated images, kept pass by pass.

    OUTPUT/measured/KEY.npz     the boxes of a model in one kind of view, all images
    OUTPUT/measured/KEY.json    that they are whole, what they depend on, and the time

Any combination of views and models is fused from these, so that no network runs twice.
"""

from __future__ import annotations

import dataclasses
import io
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hardmine.pipelines.studies.records import (
  Records,
  key_of,
  machine,
  runtime_version,
)
from hardmine.schemas.ensemble_config import Views
from hardmine.schemas.files import write_atomically
from hardmine.trainers.detection.detector import Detections, Detector
from hardmine.trainers.detection.ensembles.ensemble import answer_of, ids_by_name
from hardmine.trainers.detection.ensembles.fusing import Answer
from hardmine.trainers.detection.ensembles.views import View, views_of
from hardmine.trainers.detection.inputs.annotated_set import AnnotatedSet, pixels_of

_COLUMNS = ("boxes_yxyx_px", "scores", "category_ids")


@dataclasses.dataclass(frozen=True)
class Pass:
  """A kind of view: the whole picture or its crops, mirrored or not.

  Attributes:
    crops: a side; 1 is the whole picture.
    flipped: mirrored.
  """

  crops: int
  flipped: bool

  def views(self, height_px: int, width_px: int) -> list[View]:
    """Those of a picture."""
    found = views_of(height_px, width_px, Views(crops=self.crops))
    found = found if self.crops == 1 else found[1:]
    return [dataclasses.replace(one, flipped=self.flipped) for one in found]


def passes_of(views: Views) -> list[Pass]:
  """All that views are made of."""
  crops = (1, views.crops) if views.crops > 1 else (1,)
  mirrored = (False, True) if views.flip else (False,)
  return [Pass(num, flipped) for flipped in mirrored for num in crops]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Found:
  """What a model found in all images by one pass.

  Attributes:
    answers: of every image, of every view, under the ids of the data.
    seconds: of a picture, mean.
    num_left_out: boxes of categories that the data does not have.
  """

  answers: list[list[Answer]]
  seconds: float
  num_left_out: int


class Passes:
  """Runs models over annotated images, as far as no record has what they find.

  Args:
    data: the images.
    digest: names them.
    records: what was measured before, and what is added.
    num_threads: of one call, None for all.
  """

  def __init__(
    self,
    data: AnnotatedSet,
    digest: str,
    records: Records,
    num_threads: int | None,
  ):
    self._data, self._records = data, records
    self._facts = {
      "what": "passes",
      "data": digest,
      "num_images": len(data.names),
      "machine": machine(),
      "num_threads": num_threads,
    }

  def run(
    self,
    detector: Detector,
    runtime: str,
    one: Pass,
    on_step: Callable[[], None],
  ) -> None:
    """Runs one pass of a model, unless that was done.

    Args:
      detector: the model.
      runtime: what it runs on.
      one: the pass.
      on_step: called after each image.

    Raises:
      OSError: what was found cannot be kept.
    """
    facts = self._of(detector, runtime, one)
    key = key_of(facts)
    if self._records.find(key) is not None and self._records.beside(key).is_file():
      for _ in self._data.names:
        on_step()
      return
    found: list[Detections] = []
    seconds: list[float] = []
    for image in self._data.images:
      pixels = pixels_of(image)
      started = time.perf_counter()
      for view in one.views(*pixels.shape[:2]):
        found.append(detector.detect(view.cut(pixels)))
      seconds.append(time.perf_counter() - started)
      on_step()
    columns = {
      name: np.concatenate([getattr(each, name) for each in found]) for name in _COLUMNS
    }
    file = io.BytesIO()
    np.savez_compressed(file, counts=[len(each) for each in found], **columns)
    write_atomically(self._records.beside(key), file.getvalue(), durable=False)
    # The first also sets the graph up.
    told = {"seconds": float(np.mean(seconds[1:] or seconds))}
    self._records.keep(key, facts, told)

  def read(self, detector: Detector, runtime: str, one: Pass) -> Found:
    """What `run` kept."""
    key = key_of(self._of(detector, runtime, one))
    ids = ids_by_name(detector.categories, self._data.categories)
    with np.load(self._records.beside(key)) as file:
      counts, columns = file["counts"], {name: file[name] for name in _COLUMNS}
    known = np.isin(columns["category_ids"], list(ids))
    ends = np.cumsum(counts)
    views = [one.views(*size) for size in self._data.sizes_px.tolist()]
    parts = zip(np.r_[0, ends[:-1]].tolist(), ends.tolist())
    answers = [
      [
        answer_of(view, _rows(columns, start, end, known), ids)
        for view, (start, end) in zip(of_image, parts)
      ]
      for of_image in views
    ]
    return Found(
      answers=answers,
      seconds=self._records.find(key)["seconds"],
      num_left_out=int((~known).sum()),
    )

  def _of(self, detector: Detector, runtime: str, one: Pass) -> dict[str, Any]:
    return {
      **self._facts,
      "model_id": detector.model_id.hex(),
      "runtime": runtime,
      "version": runtime_version(runtime),
      **dataclasses.asdict(one),
    }


def _rows(
  columns: dict[str, np.ndarray], start: int, end: int, known: np.ndarray
) -> Detections:
  rows = start + np.flatnonzero(known[start:end])
  return Detections(**{name: columns[name][rows] for name in _COLUMNS})


def joined(found: Sequence[Found]) -> list[list[Answer]]:
  """The answers of several passes of a model, image by image."""
  return [
    [one for of_pass in of_image for one in of_pass]
    for of_image in zip(*(one.answers for one in found))
  ]
