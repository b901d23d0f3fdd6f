"""A JSON object of long arrays, read element by element.

COCO's annotations are hundreds of megabytes in one object whose keys come in any
order. The standard decoder reads one element at a time out of a window of text, so
memory stays flat. It is as fast as `json.load`, and it reads the `NaN` and
`Infinity` that Python's own `json.dump` writes, which strict parsers (ijson's yajl)
refuse with the whole file.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

_WINDOW = 1 << 20  # characters
_MAX_ELEMENT = 1 << 26  # of which a single element may have
_SPACE = re.compile(r"[ \t\n\r]*")
_LONGEST_WORD = len("-Infinity")
_OF_NUMBERS = frozenset("0123456789+-.eE")
_DECODER = json.JSONDecoder()


def stream(file: TextIO, arrays: list[str] | None = None) -> Iterator[tuple[str, Any]]:
  """Yields what a JSON object holds, in the order of the file.

  Args:
    file: text that is one object.
    arrays: gets the key of every array, before its first element: an empty one is
      there, too.

  Yields:
    (key, element) for every element of an array, (key, value) for what is no array.
    An empty array yields nothing.

  Raises:
    ValueError: not JSON, not an object, or cut short; says where.
  """
  window = _Window(file)
  window.take("{")
  if window.peek() == "}":
    window.take("}")
  else:
    while True:
      key = window.value()
      if not isinstance(key, str):
        raise window.error("a key in double quotes")
      window.take(":")
      if window.peek() == "[":
        if arrays is not None:
          arrays.append(key)
        yield from ((key, element) for element in _elements(window))
      else:
        yield key, window.value()
      if window.take(",}") == "}":
        break
  if window.peek():
    raise window.error("nothing behind the object")


def _elements(window: _Window) -> Iterator[Any]:
  window.take("[")
  if window.peek() == "]":
    window.take("]")
    return
  while True:
    yield window.value()
    if window.take(",]") == "]":
      return


class _Window:
  """The text around the place that was reached."""

  def __init__(self, file: TextIO):
    self._file = file
    self._text = ""
    self._at = 0  # within _text
    self._dropped = 0  # characters before _text
    self._ended = False

  def peek(self) -> str:
    """The next character that is no space; empty at the end."""
    while True:
      space = _SPACE.match(self._text, self._at)
      assert space is not None  # it matches nothing, too
      self._at = space.end()
      if self._at < len(self._text):
        return self._text[self._at]
      if self._ended:
        return ""
      self._read(_WINDOW)

  def take(self, expected: str) -> str:
    """Passes one of the `expected` characters and returns it."""
    found = self.peek()
    if not found or found not in expected:
      raise self.error(" or ".join(repr(character) for character in expected))
    self._at += 1
    return found

  def value(self) -> Any:
    """Passes a whole value and returns it."""
    self.peek()
    while True:
      try:
        value, end = _DECODER.raw_decode(self._text, self._at)
        # A number at the end of the window may go on behind it: `1`, `1.`, `1e+`.
        behind = self._text[end : end + _LONGEST_WORD]
        whole = len(behind) == _LONGEST_WORD or (
          behind != "" and behind[0] not in _OF_NUMBERS
        )
        if self._ended or whole:
          self._at = end
          return value
      except json.JSONDecodeError as error:
        left = len(self._text) - error.pos
        cut = error.msg.startswith(("Unterminated", "Invalid \\")) or (
          left <= _LONGEST_WORD
        )
        if self._ended or not cut or len(self._text) - self._at > _MAX_ELEMENT:
          self._at = error.pos
          raise self.error(f"JSON ({error.msg})") from error
      except (ValueError, RecursionError) as error:  # endless digits, endless brackets
        raise self.error(f"JSON that Python reads ({error})") from error
      self._read(max(_WINDOW, len(self._text) - self._at))  # doubles: linear time

  def error(self, expected: str) -> ValueError:
    """What is wrong at the place that was reached."""
    place = self._dropped + self._at
    found = self._text[self._at : self._at + 20]
    received = repr(found) if found else "the end of the file"
    return ValueError(f"Expected {expected} at character {place}. Received: {received}")

  def _read(self, num: int) -> None:
    try:
      more = self._file.read(num)
    except UnicodeDecodeError as error:
      raise ValueError(f"Expected UTF-8. Received: {error}") from error
    self._text, self._dropped = self._text[self._at :] + more, self._dropped + self._at
    self._at = 0
    self._ended = len(more) < num
