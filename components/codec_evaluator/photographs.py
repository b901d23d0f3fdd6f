"""The photographs that an evaluation measures on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from hardmine.components.jobs import sources
from hardmine.trainers.images import ImageError, decode_rgb


def find(
  globs: Sequence[str],
  max_images: int | None = None,
  report: Callable[[str], None] = lambda line: None,
) -> list[sources.Source]:
  """The first `max_images` matches of the patterns, in order of name.

  Args:
    globs: as in `components.jobs.patterns`.
    max_images: None takes all.
    report: is told of files that match and are skipped.

  Raises:
    ValueError: a pattern matches nothing.
  """
  listing = sources.find_sources(globs)
  for path, reason in listing.skipped.items():
    report(f"{path} is skipped ({reason})")
  return [one for one in listing.sources if not one.is_directory][:max_images]


def load(found: Sequence[sources.Source]) -> list[tuple[str, np.ndarray]]:
  """Names and uint8 [height, width, 3] pixels.

  Raises:
    ValueError: a file is no usable photograph. None is left out silently, for the
      areas would then be those of another set.
  """
  images = []
  for source in found:
    data = sources.read_source(source.path)
    try:
      images.append((source.id, decode_rgb(data)))
    except ImageError as error:
      raise ValueError(f"{source.path}: {error}") from error
  return images


def fingerprint(globs: Sequence[str], max_images: int | None = None) -> str:
  """Changes with the matched files; empty where they cannot be seen from here.

  A graph may be built on a machine that does not have the photographs; then the
  node runs again whenever the rest of its settings or inputs change, as usual.
  """
  try:
    return sources.fingerprint(find(globs, max_images))
  except (ValueError, OSError):
    return ""
