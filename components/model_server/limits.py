"""What one request may cost, and how many may be there at once."""

from __future__ import annotations

import dataclasses

from schemas.config import Config, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits(Config):
  """Bounds of a server.

  Attributes:
    max_body_bytes: of a request; larger ones are refused without reading them.
    max_pixels: of a photograph, and of a stream's image.
    max_iterations: a codec runs at most so many for one request.
    concurrency: requests that a model works on at the same time.
    max_waiting: requests that may wait for that; more are turned away.
    timeout_seconds: from a request's first byte to its answer.
  """

  max_body_bytes: int = 32 << 20
  max_pixels: int = 1 << 24
  max_iterations: int = 32
  concurrency: int = 2
  max_waiting: int = 16
  timeout_seconds: float = 60.0

  def __post_init__(self):
    for name in ("max_body_bytes", "max_pixels", "max_iterations", "concurrency"):
      require(getattr(self, name) >= 1, f"{name} >= 1", **{name: getattr(self, name)})
    require(self.max_waiting >= 0, "max_waiting >= 0", max_waiting=self.max_waiting)
    require(
      self.timeout_seconds > 0,
      "timeout_seconds > 0",
      timeout_seconds=self.timeout_seconds,
    )
