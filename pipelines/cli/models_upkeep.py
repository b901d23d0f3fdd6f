"""`hardmine models sign`, `verify`, `gc` and `export`: the files of a store."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  add_public_keys,
  add_reason,
  open_store,
  print_json,
  public_keys_of,
  reason_of,
)

if TYPE_CHECKING:
  from hardmine.serving.store.absences import Absences
  from hardmine.serving.store.store import ModelStore

_PRIVATE_KEY = "HARDMINE_PRIVATE_KEY"
_PASSWORD = "HARDMINE_PRIVATE_KEY_PASSWORD"


def add_actions(actions: argparse._SubParsersAction) -> None:
  """Adds the four actions."""
  sign = add_action(
    actions,
    "sign",
    run_sign,
    "vouch for a version with a private key",
    "Signs every file of a version by OpenSSF Model Signing, with a key of an elliptic "
    f"curve in a PEM file; its password, if it has one, is read from ${_PASSWORD}. The "
    "signature lies in signatures/N/, beside the version.",
  )
  sign.add_argument("reference", metavar="VERSION", help="a number or an alias")
  sign.add_argument(
    "--private-key",
    metavar="FILE",
    default=os.environ.get(_PRIVATE_KEY),
    help=f"a PEM file (default: ${_PRIVATE_KEY})",
  )
  add_reason(sign)
  verify = add_action(
    actions, "verify", run_verify, "hold every byte against manifests and log"
  )
  verify.add_argument(
    "versions", metavar="VERSION", nargs="*", help="numbers or aliases (default: all)"
  )
  add_public_keys(verify, "every version must be signed by this key")
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
  add_reason(gc)
  export = add_action(actions, "export", run_export, "copy a version out, checked")
  export.add_argument("reference", metavar="VERSION", help="a number or an alias")
  export.add_argument("directory", metavar="DIR", help="does not exist or is empty")


def run_sign(args: argparse.Namespace) -> int:
  """Signs, and names the key."""
  from hardmine.serving.store.signing import short, sign

  store = open_store(args)
  if not args.private_key:
    raise ValueError(
      f"Expected --private-key FILE, or {_PRIVATE_KEY}. Received: neither"
    )
  number = store.resolve(args.reference)
  password = os.environ.get(_PASSWORD)
  key = sign(store, number, args.private_key, password=password, reason=reason_of(args))
  if args.json:
    print_json({"store": store.url, "number": number, "key": key})
  else:
    print(f"version {number}: signed by {short(key)}")
  return 0


def run_verify(args: argparse.Namespace) -> int:
  """A line a version and a faulty alias; 1 if anything is damaged, missing, or lacks a
  signature that was asked for."""
  from hardmine.serving.store.absences import absences

  store, public_keys = open_store(args), public_keys_of(args)
  lost = absences(store)
  numbers = _numbers(store, args.versions, lost)
  faults: dict[int, str] = {}
  keys: dict[int, str] = {}
  for number in numbers:
    found, key = _verified(store, number, public_keys, lost)
    if found is not None:
      faults[number] = found
    elif key is not None:
      keys[number] = key
    if not args.json:
      line = _verdict(found, key).removeprefix(f"version {number} ")
      print(f"version {number}: {line}", flush=True)
  # What was asked about by number is not to fail for something else.
  others = {} if args.versions else lost.aliases
  log = None if args.versions else lost.log
  if args.json:
    rows = [
      {"number": number, "fault": faults.get(number), "signed_by": keys.get(number)}
      for number in numbers
    ]
    plain = {"store": store.url, "versions": rows, "aliases": others, "log": log}
    print_json(plain)
  else:
    for alias, fault in others.items():
      print(f"alias {alias}: {fault.removeprefix(f'{alias} ')}", flush=True)
    if log is not None:
      print(f"log: {log}")
    _print_sum(faults, numbers, others, lost, signed=bool(public_keys))
  return 1 if faults or others or log else 0


def _numbers(store: ModelStore, references: list[str], lost: Absences) -> list[int]:
  """The versions to look at, those that are missing among them."""
  if not references:
    return sorted({*store.versions(), *lost.versions})
  missing = {str(number) for number in lost.versions}
  return sorted(
    {int(one) if one in missing else store.resolve(one) for one in references}
  )


def _verified(
  store: ModelStore, number: int, public_keys: list[str], lost: Absences
) -> tuple[str | None, str | None]:
  """The fault of a version, and the key that signed it where there is none."""
  from hardmine.serving.store.signing import verify_signature

  if number in lost.versions:
    return lost.versions[number], None
  try:
    store.verify(number)
    return None, verify_signature(store, number, public_keys) if public_keys else None
  except RuntimeError as error:
    return str(error), None


def _verdict(fault: str | None, key: str | None) -> str:
  from hardmine.serving.store.signing import short

  if fault is not None:
    return fault
  return "as it was added" + (f", signed by {short(key)}" if key else "")


def _print_sum(
  faults: dict[int, str],
  numbers: list[int],
  aliases: dict[str, str],
  lost: Absences,
  *,
  signed: bool,
) -> None:
  """One line about everything that is wrong, nothing where all is well."""
  if faults:
    what = "damaged" + " or missing" * any(number in lost.versions for number in faults)
    what += " or not signed" * signed
    print(f"hardmine: {len(faults)} of {len(numbers)} are {what}", file=sys.stderr)
  elif aliases:
    what = "aliases are damaged or name a version that is missing"
    print(f"hardmine: {len(aliases)} {what}", file=sys.stderr)


def run_gc(args: argparse.Namespace) -> int:
  """Says what went."""
  store = open_store(args)
  gone = store.gc(args.keep, args.dry_run, reason=reason_of(args))
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
