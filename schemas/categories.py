"""The categories of a detection set: what a label means, and the way back.

A network's class index must be dense; COCO's category ids are not (1..90, ten of
them unused). `label` counts 1..C in order of id, 0 being the background; results
are written with `id` again.
"""

from __future__ import annotations

import dataclasses
import json
import os

from hardmine.schemas.config import Config, require
from hardmine.schemas.folders import folder

CATEGORIES_NAME = "categories.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Category(Config):
  """One class of objects: `id` as the data set numbers it, and its `name`."""

  id: int
  name: str


@dataclasses.dataclass(frozen=True, kw_only=True)
class Categories(Config):
  """All classes, in order of id; the position plus one is the label."""

  categories: tuple[Category, ...]

  def __post_init__(self):
    ids = [category.id for category in self.categories]
    require(bool(ids), "at least one category", categories=self.categories)
    require(ids == sorted(set(ids)), "ids that rise, none twice", ids=ids)

  def __len__(self) -> int:
    return len(self.categories)

  @property
  def ids(self) -> tuple[int, ...]:
    """Category ids by label: `ids[label - 1]`."""
    return tuple(category.id for category in self.categories)

  @property
  def names(self) -> tuple[str, ...]:
    """Names by label: `names[label - 1]`."""
    return tuple(category.name for category in self.categories)

  @property
  def label_of(self) -> dict[int, int]:
    """Category id to label."""
    return {category.id: label for label, category in enumerate(self.categories, 1)}

  def to_file(self) -> str:
    """The content of `categories.json`."""
    return json.dumps(json.loads(self.to_json()), indent=2, ensure_ascii=False) + "\n"


def read_categories(examples_dir: str | os.PathLike) -> Categories:
  """What the labels of a folder of examples mean; a path or URL.

  Raises:
    RuntimeError: the folder does not say.
  """
  places = folder(examples_dir)
  try:
    content = places.read(CATEGORIES_NAME)
  except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
    path = places.at(CATEGORIES_NAME)
    raise RuntimeError(f"{path} is missing: convert the images again") from error
  return Categories.from_json(content.decode("utf-8"))
