"""What became of the variables of a checkpoint and of the weights of a network."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

_NUM_SHOWN = 3


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
  """Nothing was loaded unless `missing` and `mismatched` are empty.

  Attributes:
    source: of the weights, as a person named it.
    num_weights: of the network that were to be filled.
    matched: variables of the checkpoint whose values were taken.
    missing: weights of the network for which there is no variable.
    mismatched: weights and variables whose shapes differ.
    unused: variables that belong to no weight of the network.
    ignored: variables that only training needs: kind to number.
    notes: what was not taken as it stands, and why the outcome is the same.
  """

  source: str
  num_weights: int
  matched: Sequence[str]
  missing: Sequence[str]
  mismatched: Sequence[str]
  unused: Sequence[str]
  ignored: Mapping[str, int]
  notes: Sequence[str]

  @property
  def fits(self) -> bool:
    """Whether every weight has its value."""
    return not self.missing and not self.mismatched and self.num_weights > 0

  def lines(self) -> list[str]:
    """For people: counts, with the first examples of each."""
    counts = f"{self.num_weights} weights, {len(self.matched)} variables matched"
    found = [f"{self.source}: {counts}"]
    for title in ("missing", "mismatched", "unused"):
      names = getattr(self, title)
      if names:
        found.append(f"  {title}: {len(names)}, {shown(names)}")
    if self.ignored:
      counts = ", ".join(f"{kind} {n}" for kind, n in sorted(self.ignored.items()))
      found.append(f"  of training alone, passed over: {counts}")
    return [*found, *(f"  {note}" for note in self.notes)]

  def without(self, beginnings: Sequence[str]) -> Report:
    """The same, with unused variables whose names begin so as those of training."""
    known = [name for name in self.unused if name.startswith(tuple(beginnings))]
    if not known:
      return self
    return dataclasses.replace(
      self,
      unused=tuple(name for name in self.unused if name not in known),
      ignored={**self.ignored, "made in vain": len(known)},
    )

  def require(self, network: str, *, whole: bool = False) -> None:
    """Refuses a checkpoint that would be loaded by halves.

    Args:
      network: what was to be filled, for the error.
      whole: the checkpoint is to hold nothing else.

    Raises:
      ValueError: a weight has no value, or one of another shape, or there is more.
    """
    if self.fits and not (whole and self.unused):
      return
    titles = ("missing", "mismatched", *(("unused",) if whole else ()))
    faults = [
      f"{len(names)} {title} ({shown(names)})"
      for title in titles
      if (names := getattr(self, title))
    ]
    raise ValueError(
      f"Expected a checkpoint with all weights of {network}, and nothing was loaded. "
      f"Received: {self.source}, {'; '.join(faults) or 'which has none of them'}"
    )


def shown(names: Sequence[str]) -> str:
  """The first of some names."""
  return ", ".join(names[:_NUM_SHOWN]) + ", ..." * (len(names) > _NUM_SHOWN)
