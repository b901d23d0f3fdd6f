"""What one request may cost, and how many may be there at once."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING

from hardmine.schemas.config import Config, require

if TYPE_CHECKING:
  from hardmine.trainers.codec.running.memory import Needs

_AT_LEAST_ONE = (
  "max_body_bytes",
  "max_pixels",
  "max_memory_bytes",
  "max_iterations",
  "concurrency",
  "max_connections",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits(Config):
  """Bounds of a server.

  Attributes:
    max_body_bytes: of a request; larger ones are refused without reading them.
    max_pixels: of a photograph, and of a stream's image; to a codec as it pads them.
    max_memory_bytes: that a codec may take for one request, its picture included, by
      `trainers.codec.running.memory`; so all requests together take `concurrency` times
      that.
    max_iterations: a codec runs at most so many for one request.
    concurrency: requests that a model works on at the same time.
    max_waiting: requests that may wait for that; more are turned away.
    timeout_seconds: from a request's first byte to its answer; also how long a client
      may send nothing or read nothing.
    max_connections: that are open at the same time; more are turned away.
  """

  max_body_bytes: int = 32 << 20
  max_pixels: int = 1 << 24
  max_memory_bytes: int = 5 << 29  # what the page sends to the shipped codec, 1024x1024
  max_iterations: int = 32
  concurrency: int = 2
  max_waiting: int = 16
  timeout_seconds: float = 60.0
  max_connections: int = 256

  def __post_init__(self):
    for name in _AT_LEAST_ONE:
      require(getattr(self, name) >= 1, f"{name} >= 1", **{name: getattr(self, name)})
    require(self.max_waiting >= 0, "max_waiting >= 0", max_waiting=self.max_waiting)
    require(
      0 < self.timeout_seconds < math.inf,
      "a finite timeout_seconds > 0",
      timeout_seconds=self.timeout_seconds,
    )

  def max_codec_pixels(self, needs: Needs) -> int:
    """The most pixels, as it pads them, that a codec may be given.

    Those that it can also decode with all iterations, which may take more than
    encoding.
    """
    within = needs.max_pixels(
      needs.fixed_bytes + self.max_memory_bytes, self.max_iterations
    )
    return max(1, min(self.max_pixels, within))
