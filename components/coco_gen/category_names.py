"""What several sources call their categories, which must agree."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping

from hardmine.schemas.config import require


def unite(sources: Mapping[str, Mapping[int, str]]) -> dict[int, str]:
  """Name by id over all COCO files.

  Args:
    sources: name by id of each, by the file's path.

  Raises:
    ValueError: they disagree about an id or about a name.
  """
  names: dict[int, str] = {}
  ids_of: dict[str, set[int]] = {}
  for path, categories in sources.items():
    ids_here: dict[str, set[int]] = {}
    for number, name in categories.items():
      require(
        names.setdefault(number, name) == name,
        f"sources that agree about category {number} ({names[number]!r} so far)",
        annotations=path,
        name=name,
      )
      ids_here.setdefault(name, set()).add(number)
    for name, ids in ids_here.items():
      require(
        ids_of.setdefault(name, ids) == ids,
        f"sources that agree about category {name!r} (id {sorted(ids_of[name])} "
        "so far)",
        annotations=path,
        id=sorted(ids),
      )
  check_spelling({path: set(found.values()) for path, found in sources.items()})
  return names


def check_spelling(sources: Mapping[str, set[str]]) -> None:
  """Refuses a name that another source writes with other letters' case or spaces.

  Within one source such names may be meant: those of letters are.

  Args:
    sources: the names of each, by its path.

  Raises:
    ValueError: two sources seem to mean one category by two names.
  """
  seen: dict[str, tuple[set[str], str]] = {}  # folded: (spellings, path)
  for path, names in sources.items():
    here: dict[str, set[str]] = collections.defaultdict(set)
    for name in names:
      here[_folded(name)].add(name)
    for folded, spellings in here.items():
      known, where = seen.setdefault(folded, (spellings, path))
      require(
        bool(known & spellings),
        f"sources that spell a category alike ({sorted(known)} in {where})",
        annotations=path,
        names=sorted(spellings),
      )
      known |= spellings


def named_once(categories: Mapping[int, str], paths: Iterable[str]) -> dict[str, int]:
  """Id by name, for annotations that know their categories by name alone.

  Args:
    categories: name by id.
    paths: of those annotations, for the message.

  Raises:
    ValueError: two ids have one name.
  """
  ids: dict[str, int] = {}
  for number, name in categories.items():
    require(
      ids.setdefault(name, number) == number,
      f"categories that differ in name, as {list(paths)} have no ids",
      name=name,
      ids=(ids[name], number),
    )
  return ids


def _folded(name: str) -> str:
  return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())
