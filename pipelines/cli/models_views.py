"""`hardmine models list`, `show` and `history`: looking, without touching."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  minutes,
  open_store,
  print_json,
)
from hardmine.pipelines.cli.tables import print_table, printable

if TYPE_CHECKING:
  from hardmine.serving.store.absences import Absences
  from hardmine.serving.store.entries import Version
  from hardmine.serving.store.store import ModelStore

_COLUMN = 25  # of `show`: the longest name, and a space
_HEADLINES = ("ms_ssim_auc", "AP")  # of a codec, of a detector


@dataclasses.dataclass(frozen=True)
class _Unusable:
  """A version that is `missing` or `damaged`."""

  number: int
  state: str

  def facts(self) -> dict[str, Any]:
    return {"number": self.number, self.state: True}


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the three actions."""
  add_action(actions, "list", run_list, "the versions, and what the aliases hold")
  show = add_action(actions, "show", run_show, "one version: numbers, verdict, lineage")
  show.add_argument("reference", metavar="VERSION", help="a number or an alias")
  history = add_action(actions, "history", run_history, "who changed what, when, why")
  history.add_argument("--alias", metavar="NAME", help="only what concerns this alias")


def run_list(args: argparse.Namespace) -> int:
  """A row a version, newest first."""
  from hardmine.serving.store.absences import absences

  store = open_store(args)
  held = {a: p.version for a, p in sorted(store.all_aliases().pointers.items())}
  names: dict[int, list[str]] = {}
  for alias, number in held.items():
    names.setdefault(number, []).append(alias)
  lost = absences(store)
  found = _found(store, lost)
  faults = [*lost.aliases.values(), *filter(None, [lost.log])]
  if args.json:
    rows = [
      {**one.facts(), "aliases": names.get(one.number, [])}
      if isinstance(one, _Unusable)
      else {**_facts(one), "aliases": names.get(one.number, [])}
      for one in found
    ]
    plain = {"store": store.url, "aliases": held, "versions": rows, "faults": faults}
    print_json(plain)
    return 0
  print_table(
    (">version", "aliases", "kind", "model", "made", ">MB", "verdict", "measured"),
    [
      (
        str(one.number),
        ", ".join(names.get(one.number, [])),
        one.state,
        *[""] * 5,
      )
      if isinstance(one, _Unusable)
      else (
        str(one.number),
        ", ".join(names.get(one.number, [])),
        one.kind,
        one.model_id,
        minutes(one.created_at),
        f"{one.num_bytes / 1e6:.1f}",
        "passed" if one.passed else "FAILED",
        _headline(one.numbers),
      )
      for one in found
    ],
  )
  for fault in faults:
    print(f"hardmine: {fault}", file=sys.stderr)
  return 0


def _found(store: ModelStore, lost: Absences) -> list[Version | _Unusable]:
  """What there is, and what ought to be, newest first."""
  found: list[Version | _Unusable] = []
  for number in sorted({*store.versions(), *lost.versions}, reverse=True):
    if number in lost.versions:
      found.append(_Unusable(number, "missing"))
      continue
    try:
      found.append(store.version(number))
    except RuntimeError:  # the others can still be listed; `verify` says what is wrong
      found.append(_Unusable(number, "damaged"))
  return found


def run_show(args: argparse.Namespace) -> int:
  """Everything that is known of a version."""
  from hardmine.serving.store.signing import short

  store = open_store(args)
  one = store.version(store.resolve(args.reference))
  pointers = store.all_aliases().pointers
  aliases = sorted(a for a, p in pointers.items() if p.version == one.number)
  documents = {
    "verdict": one.verdict,
    "lineage": one.lineage,
    "experiment": one.experiment,
  }
  if args.json:
    facts = {**_facts(one), "aliases": aliases, "metrics": one.metrics}
    signatures = sorted(store.signatures(one.number))
    print_json({**facts, "signatures": signatures, **documents})
    return 0
  facts = {**_facts(one), "aliases": ", ".join(aliases) or "none"}
  numbers = facts.pop("numbers")
  for name, value in {**facts, **numbers}.items():
    shown = f"{value:.4f}" if isinstance(value, float) else value
    _print_line(name.replace("_", " "), shown)
  for result in one.results:
    state = "passed" if result.get("passed") else "FAILED"
    _print_line("gate", f"{result.get('metric')} {state}: {result.get('reason')}")
  for key in store.signatures(one.number):
    _print_line("signature", f"by {short(key)}, not checked")
  for name, value in one.lineage.items():
    _print_line(name.replace("_", " "), _lineage_text(value))
  return 0


def _print_line(name: str, value: Any) -> None:
  print(f"{printable(name):<{_COLUMN}} {printable(str(value))}")


def _lineage_text(value: Any) -> str:
  """Artifacts by where they lie; whatever else there is as JSON."""
  if isinstance(value, list) and all(isinstance(a, dict) and "uri" in a for a in value):
    return ", ".join(str(artifact["uri"]) for artifact in value)
  return value if isinstance(value, str) else json.dumps(value)


def run_history(args: argparse.Namespace) -> int:
  """A row a line of the log, oldest first."""
  store = open_store(args)
  entries = [entry for entry in store.audit() if args.alias in (None, entry.alias)]
  if args.json:
    print_json([entry.to_plain() for entry in entries])
    return 0
  rows = []
  for entry in entries:
    why = [entry.why, f"OVERRIDE: {entry.override}" if entry.override else ""]
    refused = entry.details.get("refused")
    if isinstance(refused, dict):
      why += [f"refused: {text}" for text in refused.values()]
    move = f"{entry.from_version or '-'} -> {entry.to_version or '-'}"
    rows.append(
      (
        minutes(entry.at),
        entry.who,
        entry.action,
        entry.alias or "",
        move,
        (entry.digest or "")[:12],
        "; ".join(filter(None, why)),
      )
    )
  print_table(("at (UTC)", "who", "what", "alias", "version", "digest", "why"), rows)
  return 0


def _facts(one: Version) -> dict[str, Any]:
  """The fields that need no document."""
  return {
    field.name: getattr(one, field.name)
    for field in dataclasses.fields(one)
    if field.name != "read_document"
  }


def _headline(numbers: dict[str, float]) -> str:
  name = next((name for name in (*_HEADLINES, *numbers) if name in numbers), None)
  return f"{name} {numbers[name]:.4f}" if name else ""
