"""What a run amounts to: blessed or why not, the numbers, and where they lie."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from hardmine.components.pushes import CANDIDATE
from hardmine.pipelines.losses import Losses, loss_lines, losses_of
from hardmine.pipelines.runs import Run
from hardmine.schemas.folders import folder
from hardmine.schemas.uris import parent_and_name
from hardmine.serving.store.catalogue import Catalogue

SHOWN_PRECISIONS = ("AP", "AP50", "AP75", "AR_100")  # of a detector's twelve numbers
EVALUATORS = ("CodecEvaluator", "DetectionEvaluator")  # a pipeline has one of them


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
  """The end of a run, for people and programs.

  Attributes:
    blessed: by the gates and by InfraCheck; None where the run stopped before.
    reasons: why it was not blessed, one line each.
    metrics: the content of `metrics.json`, or None.
    report_path: of `report.html`, or None; a URL where the root is one.
    pushed_dir: the exported model that the run pushed, or None; a URL where the
      model store is one.
    store: that model store, or None.
    pushed_version: its number there, or None.
    candidate_version: what the alias `candidate` of that store means by now, or None.
    losses: what was read and what was left out, by node.
  """

  blessed: bool | None
  reasons: tuple[str, ...]
  metrics: dict[str, Any] | None
  report_path: str | None
  pushed_dir: str | None
  store: str | None = None
  pushed_version: int | None = None
  candidate_version: int | None = None
  losses: tuple[Losses, ...] = ()


def outcome_of(run: Run) -> Outcome:
  """Reads a completed run's verdict, answer and numbers from its artifacts."""
  metrics = _read(_evaluated(run, "metrics.json"))
  verdict = _read(_evaluated(run, "verdict.json"))
  answer = _read(_output(run, "InfraCheck", "answer.json"))
  reasons = []
  if answer is not None and not answer["passed"]:
    reasons.append(f"InfraCheck: {answer['reason']}")
  if verdict is not None and not verdict["passed"]:
    failed = [result for result in verdict["results"] if not result["passed"]]
    reasons.extend(f"{result['metric']}: {result['reason']}" for result in failed)
    if not failed:
      reasons.append("the experiment has no gate, and no gate blesses nothing")
    reasons.extend((metrics or {}).get("problems", ()))
  blessed = None
  if reasons:
    blessed = False
  elif verdict is not None and answer is not None:
    blessed = True
  report = _evaluated(run, "report.html")
  pushed_dir = _pushed(run)
  # What Pusher says of itself is STORE/versions/N.
  folders = pushed_dir.rsplit("/", 2) if pushed_dir else None
  return Outcome(
    blessed=blessed,
    reasons=tuple(reasons),
    metrics=metrics,
    report_path=report,
    pushed_dir=pushed_dir,
    store=folders[0] if folders else None,
    pushed_version=int(folders[2]) if folders else None,
    candidate_version=_candidate(folders[0]) if folders else None,
    losses=losses_of(run),
  )


def outcome_lines(run: Run, outcome: Outcome) -> list[str]:
  """What was left out, the verdict with its reasons, and where all lies."""
  lines = loss_lines(outcome.losses)
  if outcome.blessed is not None:
    lines.append("blessed" if outcome.blessed else "NOT BLESSED, nothing pushed:")
    lines.extend(f"  {reason}" for reason in outcome.reasons)
  for name, value in (outcome.metrics or {}).items():
    if name.endswith("_auc") or name in SHOWN_PRECISIONS:
      lines.append(f"{name:13} {value:.4f}")
  if outcome.report_path:
    lines.append(f"{'report':13} {outcome.report_path}")
  if outcome.pushed_dir:
    candidate = "the candidate of its store"
    if outcome.candidate_version != outcome.pushed_version:
      other = outcome.candidate_version or "none"
      candidate = f"no longer the candidate of its store, which is {other}"
    lines.append(f"{'pushed':13} {outcome.pushed_dir}, {candidate}")
  if run.log_path:
    lines.append(f"{'log':13} {run.log_path}")
  return lines


def _evaluated(run: Run, name: str) -> str | None:
  """The file of a name that the run's evaluator put out."""
  found = (_output(run, node, name) for node in EVALUATORS)
  return next((path for path in found if path), None)


def _output(run: Run, node: str, name: str) -> str | None:
  """The file of a name among everything that a node put out."""
  found = run.node(node)
  for uris in found.outputs.values() if found else ():
    for uri in uris:
      places = folder(uri)
      for path in sorted(places.tree()):
        if path.rpartition("/")[2] == name:
          return places.at(path)
  return None


def _read(place: str | None) -> dict[str, Any] | None:
  if place is None:
    return None
  parent, name = parent_and_name(place)
  return json.loads(folder(parent).read(name))


def _pushed(run: Run) -> str | None:
  pusher = run.node("Pusher")
  facts = pusher.properties.get("pushed_model", {}) if pusher else {}
  return facts["pushed_destination"] if facts.get("pushed") == 1 else None


def _candidate(store: str) -> int | None:
  """What the alias means that the push moved, and others may have moved since."""
  pointer = Catalogue(store).all_aliases().pointers.get(CANDIDATE)
  return pointer.version if pointer else None
