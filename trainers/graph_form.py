"""In which operations layers write themselves: those of training, or of a light form.

In training a 1x1 convolution is one matrix product and depth-to-space a reshape, which
any backend differentiates fast. A runtime of finished graphs wants to see convolutions.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_LIGHT = contextvars.ContextVar("light", default=False)


def is_light() -> bool:
  """Whether what is called now becomes part of a light form."""
  return _LIGHT.get()


@contextlib.contextmanager
def light_form() -> Iterator[None]:
  """Inside, layers that are called write themselves for a light form."""
  token = _LIGHT.set(True)
  try:
    yield
  finally:
    _LIGHT.reset(token)
