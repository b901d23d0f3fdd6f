"""What a run read and what it left out: counts, an example a reason, the whole list."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from hardmine.components.jobs.dead_letters import DEAD_LETTERS, first_examples
from hardmine.pipelines.runs import NodeRun, Run
from hardmine.schemas.folders import Folder, folder
from hardmine.schemas.manifest import MANIFEST_NAME

# Counts of a manifest: what came in and what is used.
_KEPT = ("photographs", "images", "used", "patches", "annotations", "objects")
# What was left out or changed, with words for people where its name is none.
_LOST = {
  "matched_again": "matched by two globs",
  "duplicates": "duplicate",
  "copies": "copies of others",
  "clipped": "boxes clipped to their image",
  "lost_with_image": "annotations lost with their images",
}
# The same by reason, with the kind of its dead letters.
_LOST_BY_REASON = {
  "dead_by_reason": ("refused", "dead"),
  "skipped": ("skipped", "dead"),
  "skipped_by_reason": ("annotations skipped", "skipped"),
  "notes": ("noted", "dead"),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Loss:
  """What was left out or changed for one reason.

  Attributes:
    what: happened, as `refused: damaged`.
    count: how often.
    first: the first that it befell and what was found, or None.
  """

  what: str
  count: int
  first: str | None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Losses:
  """What a node left out.

  Attributes:
    node: its id.
    kept: what it read and what it used, counts by word.
    lost: what it did not use, or not as it was.
    letters_path: the list of all; None where nothing is on it.
  """

  node: str
  kept: dict[str, int]
  lost: tuple[Loss, ...]
  letters_path: str | None


def losses_of(run: Run) -> tuple[Losses, ...]:
  """Of every node that left a manifest with counts, or pictures out of its metrics."""
  return tuple(filter(None, map(_losses, run.nodes)))


def loss_lines(losses: tuple[Losses, ...]) -> list[str]:
  """What was read and used in a line a node, and behind it what was not."""
  lines = []
  for one in losses:
    kept = ", ".join(f"{count:,} {word}" for word, count in one.kept.items())
    lines.append(f"{one.node}: {kept}")
    for loss in one.lost:
      first = f", the first: {loss.first}" if loss.first else ""
      lines.append(f"  {loss.what}: {loss.count:,}{first}")
    if one.letters_path:
      lines.append(f"  all of them: {one.letters_path}")
  return lines


def _losses(node: NodeRun) -> Losses | None:
  for uris in node.outputs.values():
    for uri in uris:
      places = folder(uri)
      counts = _read(places, MANIFEST_NAME).get("counts")
      if isinstance(counts, dict):
        return _of_counts(node.node, counts, places)
      metrics = _read(places, "metrics.json")
      if metrics.get("left_out"):
        return _of_metrics(node.node, metrics, places.at("metrics.json"))
  return None


def _of_counts(node: str, counts: dict[str, Any], places: Folder) -> Losses:
  """From a manifest's counts and the dead letters beside it."""
  examples = first_examples(places.at(DEAD_LETTERS))
  lost = [
    Loss(what=what, count=counts[name], first=examples["dead"].get(what))
    for name, what in _LOST.items()
    if counts.get(name)
  ]
  for name, (what, kind) in _LOST_BY_REASON.items():
    reasons = counts.get(name)
    if isinstance(reasons, Mapping):  # of annotations, `skipped` is their sum
      lost += [
        Loss(what=f"{what}: {one}", count=count, first=examples[kind].get(one))
        for one, count in reasons.items()
      ]
  return Losses(
    node=node,
    kept={word: counts[word] for word in _KEPT if word in counts},
    lost=tuple(lost),
    letters_path=places.at(DEAD_LETTERS) if any(examples.values()) else None,
  )


def _of_metrics(node: str, metrics: dict[str, Any], path: str) -> Losses:
  """From the pictures that an evaluator could not measure."""
  reasons: dict[str, list[str]] = {}
  for one in metrics["left_out"]:
    reasons.setdefault(one["reason"], []).append(f"{one['image']}: {one['detail']}")
  return Losses(
    node=node,
    kept={"images": metrics["num_images"]},
    lost=tuple(
      Loss(what=f"left out: {reason}", count=len(told), first=told[0])
      for reason, told in reasons.items()
    ),
    letters_path=path,
  )


def _read(places: Folder, name: str) -> dict[str, Any]:
  try:
    content = json.loads(places.read(name))
  except (OSError, ValueError):
    return {}
  return content if isinstance(content, dict) else {}
