"""The categories of a data set as the Object Detection API wrote them."""

from __future__ import annotations

import json
from pathlib import Path

from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.config import require
from hardmine.trainers.detection.released_detectors.text_format import Message, parse


def read_categories_file(path: str) -> Categories:
  """Of a label map (`.pbtxt`), a `categories.json`, or COCO's annotations.

  Raises:
    ValueError: no such file, or it names no categories.
  """
  require(Path(path).is_file(), "a file of categories", categories=path)
  text = Path(path).read_text("utf-8")
  if path.endswith(".json"):
    return _of_json(text, path)
  found = []
  for item in parse(text, path).all("item"):
    require(isinstance(item, Message), "item { id: 1 name: 'cat' }", file=path)
    number, name = item.get("id"), item.get("display_name", item.get("name"))
    require(
      isinstance(number, int) and name is not None,
      f"an id and a name in every item of {path}",
      id=number,
      name=name,
    )
    if number != 0:  # the background, which some maps name
      found.append(Category(id=number, name=str(name)))
  return _ordered(found)


def _of_json(text: str, path: str) -> Categories:
  try:
    plain = json.loads(text)["categories"]
    return _ordered([Category(id=one["id"], name=one["name"]) for one in plain])
  except (json.JSONDecodeError, KeyError, TypeError) as error:
    raise ValueError(
      "Expected a JSON object with `categories`, each with an id and a name. "
      f"Received: {path!r} ({error!r})"
    ) from error


def _ordered(found: list[Category]) -> Categories:
  return Categories(categories=tuple(sorted(found, key=lambda one: one.id)))
