"""`hardmine models verify`, `gc` and `export`: the files of a store."""

from __future__ import annotations

import argparse
import sys

from pipelines.cli.model_store_arguments import (
  add_action,
  add_who,
  open_store,
  print_json,
  who_of,
)


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the three actions."""
  verify = add_action(
    actions, "verify", run_verify, "hold every byte against manifests and log"
  )
  verify.add_argument(
    "versions", metavar="VERSION", nargs="*", help="numbers or aliases (default: all)"
  )
  gc = add_action(
    actions,
    "gc",
    run_gc,
    "remove old versions, never one that an alias holds",
    "Removes all but the newest versions and what killed writers left. A version that "
    "an alias holds stays.",
  )
  gc.add_argument(
    "--keep", type=int, required=True, metavar="N", help="so many of the newest stay"
  )
  gc.add_argument("--dry-run", action="store_true", help="only say which")
  add_who(gc)
  export = add_action(actions, "export", run_export, "copy a version out, checked")
  export.add_argument("reference", metavar="VERSION", help="a number or an alias")
  export.add_argument("directory", metavar="DIR", help="does not exist or is empty")


def run_verify(args: argparse.Namespace) -> int:
  """A line a version; 1 if one is damaged."""
  store = open_store(args)
  references = args.versions or store.versions()
  numbers = sorted({store.resolve(reference) for reference in references})
  faults: dict[int, str] = {}
  for number in numbers:
    try:
      store.verify(number)
    except RuntimeError as error:
      faults[number] = str(error)
    if not args.json:
      print(f"version {number}: {faults.get(number, 'as it was added')}", flush=True)
  if args.json:
    rows = [{"number": number, "fault": faults.get(number)} for number in numbers]
    print_json({"store": store.url, "versions": rows})
  elif faults:
    print(f"hardmine: {len(faults)} of {len(numbers)} are damaged", file=sys.stderr)
  return 1 if faults else 0


def run_gc(args: argparse.Namespace) -> int:
  """Says what went."""
  store = open_store(args)
  gone = store.gc(args.keep, args.dry_run, who=who_of(args), why=args.why)
  if args.json:
    print_json({"store": store.url, "removed": gone, "dry_run": args.dry_run})
  else:
    verb = "would remove" if args.dry_run else "removed"
    print(f"{verb} {', '.join(map(str, gone)) or 'no version'}")
  return 0


def run_export(args: argparse.Namespace) -> int:
  """Copies."""
  store = open_store(args)
  number = store.resolve(args.reference)
  store.export(number, args.directory)
  if args.json:
    print_json({"store": store.url, "number": number, "directory": args.directory})
  else:
    print(f"version {number} -> {args.directory}")
  return 0
