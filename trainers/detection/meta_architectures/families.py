"""What a meta-architecture adds to a family of backbones: tables of it."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

E = TypeVar("E")


def entry_of(table: dict[Any, E], extractor: type, usual: type[E]) -> E:
  """The entry of a family, or of the nearest one that it is derived from.

  A user's own extractor says in attributes of these names what is not the usual.

  Args:
    table: entries by family.
    extractor: the family.
    usual: the dataclass of entries, whose defaults are the usual.
  """
  for family in extractor.__mro__:
    if family in table:
      return table[family]
  fields = [field.name for field in dataclasses.fields(usual)]  # pyright: ignore
  own = {name: getattr(extractor, name) for name in fields if hasattr(extractor, name)}
  return usual(**own)
