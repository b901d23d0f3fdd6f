"""`hardmine models sign`, `verify`, `gc` and `export`: the files of a store."""

from __future__ import annotations

import argparse
import os
import sys

from hardmine.pipelines.cli.model_store_arguments import (
  add_action,
  add_public_keys,
  add_reason,
  open_store,
  print_json,
  public_keys_of,
  reason_of,
)

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
  """A line a version; 1 if one is damaged, or lacks a signature that was asked for."""
  from hardmine.serving.store.signing import short, verify_signature

  store, public_keys = open_store(args), public_keys_of(args)
  references = args.versions or store.versions()
  numbers = sorted({store.resolve(reference) for reference in references})
  faults: dict[int, str] = {}
  keys: dict[int, str] = {}
  for number in numbers:
    found = "as it was added"
    try:
      store.verify(number)
      if public_keys:
        keys[number] = verify_signature(store, number, public_keys)
        found += f", signed by {short(keys[number])}"
    except RuntimeError as error:
      found = faults[number] = str(error)
    if not args.json:
      print(f"version {number}: {found.removeprefix(f'version {number} ')}", flush=True)
  if args.json:
    rows = [
      {"number": number, "fault": faults.get(number), "signed_by": keys.get(number)}
      for number in numbers
    ]
    print_json({"store": store.url, "versions": rows})
  elif faults:
    what = "damaged or not signed" if public_keys else "damaged"
    print(f"hardmine: {len(faults)} of {len(numbers)} are {what}", file=sys.stderr)
  return 1 if faults else 0


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
