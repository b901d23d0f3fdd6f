"""Frozen dataclasses that survive a trip through JSON.

A config travels as one JSON string: as a TFX execution parameter (so ML
Metadata records it and the cache misses when it changes), beside a checkpoint,
inside an exported model. Open families (cells, feature extractors) are classes,
written as `module:Name` (`class_names`). Closed ones are unions, whose members but the
first say which they are under "kind", their `KIND`.

A field that joins a config later is an `added` one: it is left out of the JSON while
it holds its default, so that ids, caches and checkpoints of before stay valid.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any, ClassVar, TypeVar

from hardmine.schemas.class_names import class_path, import_class

C = TypeVar("C", bound="Config")


def added(default: Any) -> Any:
  """A field of a config that its first version did not have, with its default."""
  return dataclasses.field(default=default, metadata={"added": True})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
  """Base of every config: `from_json` inverts `to_json`.

  Attributes:
    KIND: which member of a union it is; None in configs that were there before the
      union, and in those that are in none.
  """

  KIND: ClassVar[str | None] = None

  def to_json(self) -> str:
    """One line of JSON with sorted keys, equal for equal configs."""
    return json.dumps(_to_plain(self), sort_keys=True)

  @classmethod
  def from_json(cls: type[C], text: str) -> C:
    """The config that `to_json` wrote.

    Raises:
      ValueError: not JSON, an unknown field, or a value its config refuses.
    """
    try:
      plain = json.loads(text)
    except json.JSONDecodeError as error:
      raise ValueError(
        f"Expected a {cls.__name__} as JSON ({error}). Received: text={text[:80]!r}"
      ) from error
    return _from_plain(cls, plain, cls.__name__)

  def override(self: C, assignments: list[str]) -> C:
    """A copy with fields replaced, each named by its dotted path.

    Args:
      assignments: strings like `training.steps=500`; the value is JSON, or a
        bare string where it is not. A member of a list is named by its place, as in
        `conversion.sources.0.images=photos`; one bare string stands for a list of it.

    Raises:
      ValueError: no `=`, an unknown field, no such place, or a value its config
        refuses.
    """
    plain = _to_plain(self, whole=True)
    for assignment in assignments:
      _assign(plain, assignment)
    return _from_plain(type(self), plain, type(self).__name__)


def require(condition: bool, expected: str, **received: Any) -> None:
  """Raises the house's ValueError unless `condition` holds."""
  if not condition:
    values = ", ".join(f"{name}={value!r}" for name, value in received.items())
    raise ValueError(f"Expected {expected}. Received: {values}")


def _assign(plain: dict[str, Any], assignment: str) -> None:
  """Puts the value of `PATH=VALUE` into nested JSON values."""
  path, equals, text = assignment.partition("=")
  *parents, leaf = path.split(".")
  node: Any = plain
  for parent in parents:
    node = node[_place(node, parent, assignment)]
  place = _place(node, leaf, assignment)
  if not equals:
    raise ValueError(
      f"Expected FIELD=VALUE, as {path}={json.dumps(node[place])}. "
      f"Received: {assignment!r}"
    )
  node[place] = _value(path, text, node[place])


def _value(path: str, text: str, now: Any) -> Any:
  """What a text means in the place of a value, which tells whether it is a list."""
  try:
    value = json.loads(text)
  except json.JSONDecodeError:
    value = text
  if not isinstance(now, list) or isinstance(value, list):
    return value
  of_objects = bool(now) and isinstance(now[0], dict)
  example = f"{path}.0.FIELD=... for a field" if of_objects else f'{path}=["a", "b"]'
  require(
    not of_objects and text[:1] != "[",
    f"a list as JSON, in single quotes for the shell, or {example}",
    value=text,
  )
  return [value]


def _place(node: Any, name: str, assignment: str) -> Any:
  """The key or index that a step of a path means."""
  if isinstance(node, list):
    if name.isdecimal() and int(name) < len(node):
      return int(name)
    raise ValueError(
      f"Expected a place from 0 on in a list of {len(node)}, and not {name!r}. "
      f"Received: {assignment!r}"
    )
  if not isinstance(node, dict):
    raise ValueError(
      f"Expected a field that has fields before {name!r}. Received: {assignment!r}"
    )
  if name not in node:
    raise ValueError(
      f"Expected FIELD=VALUE with a field among {', '.join(sorted(node))}. "
      f"Received: {assignment!r}"
    )
  return name


def _to_plain(value: Any, whole: bool = False) -> Any:
  """JSON values; `whole` keeps the added fields that hold their defaults."""
  if dataclasses.is_dataclass(value) and not isinstance(value, type):
    fields = {
      field.name: _to_plain(getattr(value, field.name), whole)
      for field in dataclasses.fields(value)
      if whole or not _is_left_out(field, getattr(value, field.name))
    }
    kind = getattr(value, "KIND", None)
    return fields if kind is None else {"kind": kind, **fields}
  if isinstance(value, type):
    return class_path(value)
  if isinstance(value, (tuple, list)):
    return [_to_plain(item, whole) for item in value]
  return value


def _hints(config: Any) -> dict[str, Any]:
  """Field to type."""
  hints = typing.get_type_hints(config)
  return {field.name: hints[field.name] for field in dataclasses.fields(config)}


def _member(members: list[Any], plain: Any, where: str) -> Any:
  """The member of a union that JSON values were written from."""
  if len(members) == 1:
    return members[0]
  kind = plain.get("kind") if isinstance(plain, dict) else None
  kinds = {member.KIND: member for member in members}
  require(
    kind in kinds, f"{where} with a kind among {', '.join(map(str, kinds))}", kind=kind
  )
  return kinds[kind]


def _is_left_out(field: dataclasses.Field, value: Any) -> bool:
  return bool(field.metadata.get("added")) and value == field.default


def _from_plain(expected: Any, plain: Any, where: str) -> Any:
  """Builds `expected` (a type hint) from JSON values; `where` names it in errors."""
  origin, arguments = typing.get_origin(expected), typing.get_args(expected)
  if origin in (typing.Union, types.UnionType):
    if plain is None and type(None) in arguments:
      return None
    members = [a for a in arguments if a is not type(None)]
    return _from_plain(_member(members, plain, where), plain, where)
  if origin is typing.Literal:
    require(plain in arguments, f"{where} among {arguments}", **{where: plain})
    return plain
  if origin is tuple:
    example = ', as ["a", "b"]' if arguments[0] is str else ""
    require(isinstance(plain, list), f"{where} as a list{example}", **{where: plain})
    if arguments[-1] is Ellipsis:
      return tuple(_from_plain(arguments[0], item, where) for item in plain)
    require(len(plain) == len(arguments), f"{len(arguments)} values", **{where: plain})
    return tuple(_from_plain(a, item, where) for a, item in zip(arguments, plain))
  if origin is type or expected is type:
    require(isinstance(plain, str), f"{where} as 'module:Name'", **{where: plain})
    return import_class(plain)
  if dataclasses.is_dataclass(expected):
    require(isinstance(plain, dict), f"{where} as an object", **{where: plain})
    kind, plain = plain.get("kind"), {n: v for n, v in plain.items() if n != "kind"}
    require(kind == expected.KIND, f"{where} of kind {expected.KIND}", kind=kind)
    hints = _hints(expected)
    unknown = sorted(set(plain) - set(hints))
    require(
      not unknown, f"only fields of {where} ({', '.join(hints)})", unknown=unknown
    )
    values = {
      name: _from_plain(hints[name], item, name) for name, item in plain.items()
    }
    make: Any = expected
    try:
      return make(**values)
    except TypeError as error:  # a field without default is missing
      raise ValueError(
        f"Expected a whole {where}: {error}. Received: {plain}"
      ) from error
  if expected is float and isinstance(plain, int) and not isinstance(plain, bool):
    return float(plain)
  if expected in (int, float, str, bool):
    require(
      type(plain) is expected, f"{where} as {expected.__name__}", **{where: plain}
    )
  return plain
