"""What `hardmine doctor` says of one thing."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
  """One line: `ok`, `note` (works without) or `missing` (does not)."""

  status: str
  subject: str
  found: str
  remedy: str = ""
