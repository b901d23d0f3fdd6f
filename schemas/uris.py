"""Local paths and URLs of buckets, joined and told apart by one rule.

A path is made absolute once, where a person gave it: what is handed on does not depend
on the folder in which a process stands. A URL is anything with `://` that fsspec knows;
`file://` means the local path behind it.
"""

from __future__ import annotations

import os
import re
from urllib.parse import unquote

_LOCAL = re.compile(r"(?i)^(?:file|local)://(?:localhost(?=/))?")


def is_url(place: str | os.PathLike) -> bool:
  """Whether a place is no path of this machine."""
  text = os.fspath(place)
  return "://" in text and not _LOCAL.match(text)


def absolute(place: str | os.PathLike) -> str:
  """A path without links and `..`, or a URL without a slash at its end."""
  text = os.fspath(place)
  if is_url(text):
    scheme, _, rest = text.partition("://")
    return f"{scheme}://{rest.rstrip('/')}"
  if _LOCAL.match(text):
    text = unquote(_LOCAL.sub("", text))
  return os.path.realpath(os.path.expanduser(text))


def join(place: str, *names: str) -> str:
  """A place below a place; empty names are passed over."""
  return "/".join([place.rstrip("/"), *filter(None, names)])


def parent_and_name(place: str) -> tuple[str, str]:
  """(the folder or bucket that a place lies in, its last name).

  Raises:
    ValueError: a whole bucket, or the root of the disk.
  """
  head, _, name = place.rstrip("/").rpartition("/")
  if not name or head.endswith(":/") or ("://" in place and "://" not in head):
    raise ValueError(
      f"Expected a place inside a folder or a bucket. Received: {place!r}"
    )
  return head or "/", name


def is_below(place: str, folder: str) -> bool:
  """Whether a place is a folder or lies in it; both as `absolute` gives them."""
  return place == folder or place.startswith(join(folder, "x")[:-1])
