"""Boxes of an evaluation set, true and detected, as columns."""

from __future__ import annotations

import dataclasses

import numpy as np

from hardmine.schemas.config import require

_BOX_COLUMNS = (
  *("box_image_ids", "box_category_ids", "boxes_xywh_px", "areas_px", "is_crowd"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GroundTruth:
  """All annotations of an evaluation set; n of them.

  Attributes:
    image_ids: int64 [images], every image evaluated, with boxes or without; unique.
    category_ids: int64 [categories], every category evaluated; unique.
    box_image_ids: int64 [n], each one of `image_ids`.
    box_category_ids: int64 [n], each one of `category_ids`.
    boxes_xywh_px: float64 [n, 4], left, top, width and height in pixels of the
      original image; sizes of 0 or more.
    areas_px: float64 [n], COCO's `area`: that of the object's outline, not of its
      box. It decides between small, medium and large.
    is_crowd: bool [n], boxes around many objects: neither to be found nor wrong.
    category_names: one a category, in the order of `category_ids`, or none.

  Raises:
    ValueError: columns of other shapes or unequal lengths, an id that is not listed
      or listed twice, a number that is not finite, or a negative size or area.
  """

  image_ids: np.ndarray
  category_ids: np.ndarray
  box_image_ids: np.ndarray
  box_category_ids: np.ndarray
  boxes_xywh_px: np.ndarray
  areas_px: np.ndarray
  is_crowd: np.ndarray
  category_names: tuple[str, ...] = ()

  def __post_init__(self) -> None:
    for name in ("image_ids", "category_ids"):
      ids = getattr(self, name)
      _require_column(name, ids, "iu", None)
      require(len(np.unique(ids)) == len(ids), f"unique {name}", duplicate=_twice(ids))
    _require_boxes(self.boxes_xywh_px)
    length = len(self.boxes_xywh_px)
    _require_column("box_image_ids", self.box_image_ids, "iu", length)
    _require_column("box_category_ids", self.box_category_ids, "iu", length)
    _require_column("areas_px", self.areas_px, "f", length)
    _require_column("is_crowd", self.is_crowd, "b", length)
    usable = np.isfinite(self.areas_px) & (self.areas_px >= 0)
    require_all(usable, "finite areas_px of 0 or more", areas_px=self.areas_px)
    require_listed(self, self.box_image_ids, self.box_category_ids)
    require(
      len(self.category_names) in (0, len(self.category_ids)),
      f"{len(self.category_ids)} category_names, or none",
      length=len(self.category_names),
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class DetectedBoxes:
  """All detections of an evaluation set; m of them, in any order.

  Attributes:
    image_ids: int64 [m].
    category_ids: int64 [m].
    boxes_xywh_px: float64 [m, 4], as in `GroundTruth`.
    scores: float64 [m], any finite numbers; higher is surer. Equal ones keep the
      order of the rows, which can change the metrics.

  Raises:
    ValueError: columns of other shapes or unequal lengths, a number that is not
      finite, or a negative size.
  """

  image_ids: np.ndarray
  category_ids: np.ndarray
  boxes_xywh_px: np.ndarray
  scores: np.ndarray

  def __post_init__(self) -> None:
    _require_boxes(self.boxes_xywh_px)
    length = len(self.boxes_xywh_px)
    _require_column("image_ids", self.image_ids, "iu", length)
    _require_column("category_ids", self.category_ids, "iu", length)
    _require_column("scores", self.scores, "f", length)
    require_all(np.isfinite(self.scores), "finite scores", scores=self.scores)


def require_listed(
  ground_truth: GroundTruth, image_ids: np.ndarray, category_ids: np.ndarray
) -> None:
  """Raises ValueError unless the evaluation set lists every one of these ids."""
  known = np.isin(image_ids, ground_truth.image_ids)
  require_all(known, "an image of the ground truth", image_id=image_ids)
  known = np.isin(category_ids, ground_truth.category_ids)
  require_all(
    known,
    "a category of the ground truth",
    category_id=category_ids,
    image_id=image_ids,
  )


def restricted(
  ground_truth: GroundTruth,
  detections: DetectedBoxes,
  *,
  image_ids: np.ndarray | None = None,
  category_ids: np.ndarray | None = None,
) -> tuple[GroundTruth, DetectedBoxes]:
  """What concerns some images and categories, as pycocotools' imgIds and catIds.

  Args:
    ground_truth: of the evaluation set.
    detections: of the same images and categories.
    image_ids: int64 [any], some of the set's, in any order; None keeps all.
    category_ids: likewise.

  Raises:
    ValueError: an id, wanted or of a detection, that the set does not list.
  """
  require_listed(ground_truth, detections.image_ids, detections.category_ids)
  images = _chosen("image", ground_truth.image_ids, image_ids)
  categories = _chosen("category", ground_truth.category_ids, category_ids)
  kept_images = ground_truth.image_ids[images]
  kept_categories = ground_truth.category_ids[categories]

  def rows(of_images: np.ndarray, of_categories: np.ndarray) -> np.ndarray:
    return np.isin(of_images, kept_images) & np.isin(of_categories, kept_categories)

  true = rows(ground_truth.box_image_ids, ground_truth.box_category_ids)
  found = rows(detections.image_ids, detections.category_ids)
  names = ground_truth.category_names
  part = dataclasses.replace(
    ground_truth,
    image_ids=kept_images,
    category_ids=kept_categories,
    category_names=tuple(names[i] for i in categories.tolist()) if names else (),
    **{name: getattr(ground_truth, name)[true] for name in _BOX_COLUMNS},
  )
  columns = [field.name for field in dataclasses.fields(detections)]
  return part, DetectedBoxes(
    **{name: getattr(detections, name)[found] for name in columns}
  )


def _chosen(name: str, listed: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
  """Positions, rising, of the wanted ids among all."""
  if wanted is None:
    return np.arange(len(listed))
  unknown = wanted[~np.isin(wanted, listed)]
  require(
    not len(unknown),
    f"{name} ids that the annotations list",
    unknown=unknown[:5].tolist(),
  )
  return np.flatnonzero(np.isin(listed, wanted))


def require_all(good: np.ndarray, expected: str, **columns: np.ndarray) -> None:
  """Raises the house's ValueError about the first row that is not `good`."""
  if not good.all():
    index = int(np.argmin(good))
    values = {name: column[index].tolist() for name, column in columns.items()}
    require(False, expected, index=index, **values)


def _require_boxes(boxes_xywh_px: np.ndarray) -> None:
  _require_column("boxes_xywh_px", boxes_xywh_px, "f", None, 4)
  usable = np.isfinite(boxes_xywh_px).all(1) & (boxes_xywh_px[:, 2:] >= 0).all(1)
  require_all(
    usable, "finite boxes, widths and heights of 0 or more", box_xywh_px=boxes_xywh_px
  )


def _require_column(
  name: str, column: np.ndarray, kinds: str, length: int | None, *rest: int
) -> None:
  """Raises ValueError unless `column` is [length, *rest] of one of NumPy's kinds.

  `length` None stands for any.
  """
  words = {"iu": "integers", "f": "floats", "b": "booleans"}[kinds]
  shape = ", ".join(str(size) for size in ("any" if length is None else length, *rest))
  require(
    isinstance(column, np.ndarray)
    and column.dtype.kind in kinds
    and column.ndim == 1 + len(rest)
    and column.shape[1:] == rest
    and length in (None, len(column)),
    f"{name} as {words} [{shape}]",
    type=type(column).__name__,
    dtype=str(getattr(column, "dtype", None)),
    shape=getattr(column, "shape", None),
  )


def _twice(ids: np.ndarray) -> int | None:
  values, counts = np.unique(ids, return_counts=True)
  return int(values[counts > 1][0]) if (counts > 1).any() else None
