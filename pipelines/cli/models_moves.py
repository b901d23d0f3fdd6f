"""`hardmine models promote` and `rollback`: what the aliases hold."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli import run_ref
from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  add_public_keys,
  add_reason,
  open_store,
  print_json,
  public_keys_of,
  reason_of,
)
from hardmine.pipelines.cli.tables import print_table, printable

if TYPE_CHECKING:
  from hardmine.serving.store.catalogue import Catalogue
  from hardmine.serving.store.promotion import Promotion, Refused
  from hardmine.serving.store.store import ModelStore

REFUSED = 3


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the two actions."""
  promote = add_action(
    actions,
    "promote",
    run_promote,
    "move an alias to a version that passes every check",
    "Moves an alias to a version whose verdict passed, that is newer and not worse "
    "than what the alias holds (by the gates of its experiment, on the same evaluation "
    "set), whose files are whole, and that loads and answers. Exits 3 where a check or "
    "--if-current says no, 1 where another try may help.",
  )
  promote.add_argument(
    "reference",
    metavar="VERSION",
    help="a number or an alias of the store; run:ID, what the run of this ID pushed; "
    "or STORE:VERSION of another store, as in runs/NAME/store:candidate, which is "
    "copied when it has passed",
  )
  run_ref.add_arguments(promote)
  promote.add_argument("--to", required=True, metavar="ALIAS", help="the alias to move")
  promote.add_argument(
    "--override",
    metavar="REASON",
    help="pass over verdict, numbers and age; the log keeps the reason and them",
  )
  promote.add_argument(
    "--if-current",
    metavar="VERSION",
    help="only if the alias holds this version, or none",
  )
  promote.add_argument(
    "--allow-older", action="store_true", help="an older version may follow"
  )
  rollback = add_action(
    actions,
    "rollback",
    run_rollback,
    "move an alias back to what it held before",
    "Moves an alias back to the version it held before, after checking its files and "
    "that it answers. A second rollback goes back further. Nothing is removed.",
  )
  rollback.add_argument("alias", metavar="ALIAS", help="the alias to move")
  rollback.add_argument("--to", metavar="VERSION", help="the version to go back to")
  for parser in (promote, rollback):
    parser.add_argument("--dry-run", action="store_true", help="check, move nothing")
    add_public_keys(
      parser, "the version must be signed by this key, whatever --override"
    )
    add_reason(parser)


def run_promote(args: argparse.Namespace) -> int:
  """Checks, moves, and says what it found."""
  from hardmine.serving.store.entries import UNSET
  from hardmine.serving.store.promotion import Refused, promote

  if_current: Any = UNSET
  if args.if_current is not None:
    if args.if_current != "none" and not args.if_current.isdecimal():
      raise ValueError(
        f"Expected a version or none. Received: --if-current {args.if_current}"
      )
    if_current = None if args.if_current == "none" else int(args.if_current)
  store, source, reference = _reached(args)
  try:
    found = promote(
      store,
      reference,
      args.to,
      reason=reason_of(args),
      dry_run=args.dry_run,
      override=args.override,
      if_current=if_current,
      allow_older=args.allow_older,
      public_keys=public_keys_of(args),
      source=source,
    )
  except Refused as refused:
    return _refuse(store, refused, args)
  return _print(store, found, args)


def run_rollback(args: argparse.Namespace) -> int:
  """Checks, moves, and says what it found."""
  from hardmine.serving.store.promotion import Refused, rollback

  store = open_store(args)
  try:
    found = rollback(
      store,
      args.alias,
      to=None if args.to is None else store.resolve(args.to),
      reason=reason_of(args),
      dry_run=args.dry_run,
      public_keys=public_keys_of(args),
    )
  except Refused as refused:
    return _refuse(store, refused, args)
  return _print(store, found, args)


def _reached(args: argparse.Namespace) -> tuple[ModelStore, Catalogue | None, str]:
  """The store of the alias, the one that holds the version, and the version there."""
  from hardmine.pipelines.cli.model_ref import split_store_reference
  from hardmine.serving.store.catalogue import Catalogue

  run_id = run_ref.run_id_of(args.reference)
  if run_id is not None:
    store = open_store(args)
    number = run_ref.version_of_run(
      store, run_id, experiment=args.experiment, metadata=args.metadata
    )
    return store, None, str(number)
  elsewhere = split_store_reference(args.reference)
  if elsewhere is None:
    return open_store(args), None, args.reference
  return open_store(args, must_exist=False), Catalogue(elsewhere[0]), elsewhere[1]


def _refuse(store: ModelStore, refused: Refused, args: argparse.Namespace) -> int:
  """Shows what was found, and the reason in a line of its own."""
  status = _print(store, refused.promotion, args)
  print(f"hardmine: {printable(str(refused))}", file=sys.stderr)
  return status


def _status(found: Promotion) -> int:
  """3 where a check said no to the model; 1 where another try may go better."""
  from hardmine.components.plumbing import says_of_machine

  if not found.refusals:
    return 0
  for check in found.refusals:
    broken = check.name == "answers" and says_of_machine(check.reason)
    if broken or check.name == "files":
      return 1
  return REFUSED


def _print(store: ModelStore, found: Promotion, args: argparse.Namespace) -> int:
  """Returns the exit status."""
  if args.json:
    plain = dataclasses.asdict(found)
    plain["refused"] = [check.name for check in found.refusals]
    print_json({"store": store.url, **plain})
    return _status(found)
  if found.checks:
    print_table(
      ("check", "", "why"),
      [
        (
          check.name,
          "passed"
          if check.passed
          else ("OVERRIDDEN" if check not in found.refusals else "REFUSED"),
          check.reason,
        )
        for check in found.checks
      ],
    )
  if found.differences:
    print_table(
      ("metric", ">before", ">after", ">better by", ">required"),
      [
        (
          one.metric,
          _number(one.before),
          _number(one.after),
          _number(one.gain, "+.4f"),
          _number(one.required, "+.4f"),
        )
        for one in found.differences
      ],
    )
  before = "nothing" if found.from_version is None else f"version {found.from_version}"
  line = f"{found.alias}: {before} -> version {found.to_version}"
  if found.already:
    print(f"{found.alias}: already version {found.to_version}")
  elif found.moved:
    print(line)
  elif args.dry_run:
    print(f"{line} would be {'refused' if found.refusals else 'done'}")
  return _status(found)


def _number(value: float | None, form: str = ".4f") -> str:
  return "" if value is None else format(value, form)
