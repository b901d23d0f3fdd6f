"""Reads protobuf's text format without its schema: `pipeline.config`, label maps.

A message is a list of its fields in order, names with values, as one name may come
several times. Values are messages, strings, numbers, booleans, or names of an
enumeration, which become strings too.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from hardmine.schemas.config import require

_TOKEN = re.compile(
  r"""(?P<blank>\s+|\#[^\n]*)
  |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
  |(?P<word>[-+\w.]+)
  |(?P<sign>[{}\[\]<>:;,/])""",
  re.X,
)
_CLOSED_BY = {"{": "}", "<": ">"}
_WORDS = {"true": True, "True": True, "t": True, "false": False, "False": False}


class Message:
  """The fields of a message.

  Args:
    fields: name and value, in order.
    where: the path that leads to it, for errors.
  """

  def __init__(self, fields: list[tuple[str, Any]], where: str = ""):
    self.fields = fields
    self._where = where

  @property
  def names(self) -> list[str]:
    """Names of its fields, each once."""
    return list(dict.fromkeys(name for name, _ in self.fields))

  def all(self, name: str) -> list[Any]:
    """The values of a field that may come several times."""
    return [value for field, value in self.fields if field == name]

  def get(self, name: str, default: Any = None) -> Any:
    """The value of a field, the last one as in protobuf; `default` where it is not."""
    return (self.all(name) or [default])[-1]

  def has(self, name: str) -> bool:
    """Whether a field is there."""
    return bool(self.all(name))

  def message(self, name: str) -> Message:
    """A field that is a message; an empty one where it is not there.

    Raises:
      ValueError: it is there and is no message.
    """
    where = f"{self._where}.{name}".strip(".")
    found = self.get(name, Message([]))
    require(isinstance(found, Message), f"{where} {{ ... }}", **{name: found})
    return Message(found.fields, where)


def parse(text: str, title: str) -> Message:
  """The message that a text is.

  Args:
    text: in protobuf's text format.
    title: of the file, for errors.

  Raises:
    ValueError: it is none, and where it ceases to be one.
  """
  tokens, place = [], 0
  while place < len(text):
    match = _TOKEN.match(text, place)
    require(
      match is not None,
      "a file in protobuf's text format",
      file=title,
      line=text.count("\n", 0, place) + 1,
    )
    assert match is not None
    if match.lastgroup != "blank":
      tokens.append((match[0], match.lastgroup, text.count("\n", 0, place) + 1))
    place = match.end()
  return _Parser(tokens, title).whole()


class _Parser:
  def __init__(self, tokens: list[tuple[str, Any, int]], title: str):
    self._tokens = [*tokens, ("", "end", tokens[-1][2] if tokens else 1)]
    self._next, self._title = 0, title

  def whole(self) -> Message:
    found = self._fields("")
    self._need(self._kind == "end", "a field, or the end")
    return found

  @property
  def _text(self) -> str:
    return self._tokens[self._next][0]

  @property
  def _kind(self) -> str:
    return self._tokens[self._next][1]

  def _take(self) -> str:
    self._next += 1
    return self._tokens[self._next - 1][0]

  def _need(self, there: bool, expected: str) -> None:
    line = self._tokens[self._next][2]
    require(
      there,
      f"{expected} in line {line} of {self._title}",
      text=self._text or "the end of the file",
    )

  def _fields(self, closed_by: str) -> Message:
    fields = []
    while self._kind == "word":
      name = self._take()
      has_colon = self._text == ":"
      if has_colon:
        self._take()
      self._need(has_colon or self._text in _CLOSED_BY, f"{name}: VALUE or {name} {{")
      fields += [(name, value) for value in self._values()]
      if self._text in (",", ";"):
        self._take()
    self._need(self._text == closed_by, f"a field or {closed_by!r}")
    return Message(fields)

  def _values(self) -> list[Any]:
    if self._text != "[":
      return [self._value()]
    self._take()
    found = []
    while self._text != "]":
      found.append(self._value())
      if self._text == ",":
        self._take()
    self._take()
    return found

  def _value(self) -> Any:
    if self._text in _CLOSED_BY:
      closed_by = _CLOSED_BY[self._take()]
      found = self._fields(closed_by)
      self._take()
      return found
    if self._kind == "string":
      parts = []
      while self._kind == "string":  # those that follow each other are one
        parts.append(_unquoted(self._take()))
      return "".join(parts)
    self._need(self._kind == "word", "a value")
    return _plain(self._take())


def _unquoted(text: str) -> str:
  """Of C's escapes, where a byte above 127 is part of a letter in UTF-8."""
  escaped = (
    one if one.isascii() else "".join(f"\\x{byte:02x}" for byte in one.encode())
    for one in text
  )
  plain = "".join(escaped)
  return ast.literal_eval(f"b{plain}").decode("utf-8", "replace")


def _plain(text: str) -> Any:
  if text in _WORDS:
    return _WORDS[text]
  number = re.sub(r"(?<=[\d.])f$", "", text)
  for kind in (int, float):
    try:
      return kind(number)
    except ValueError:
      continue
  return text
