"""`hardmine clean`: what killed Beam jobs left at their outputs goes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from hardmine.pipelines.cli import clean_root
from hardmine.pipelines.cli.set_facts import in_bytes, leftover_line
from hardmine.pipelines.cli.tables import printable

HELP = (
  "Removes what killed jobs (of `mine`, `coco`, `encode` and `detect`) left at an "
  "output, and puts back a set that one had moved aside. A set, what a job may still "
  "be at work on (in a bucket: whose process lives, or was seen in the last 15 "
  "minutes), and whatever was not made by such a job stay. `hardmine inspect PLACE` "
  "shows what there is. Of a root of "
  "`run` it lists what runs left, and removes what the rules name, never what the "
  "model store, the next run's rival or a run at work needs."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "places",
    nargs="+",
    metavar="PLACE",
    help="a folder or a URL that was an --output of those, or the --root of `run`",
  )
  clean_root.add_arguments(parser)
  parser.add_argument(
    "--dry-run", action="store_true", help="only say what would be removed"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Removes what is nobody's any more, and says what that was and what stays.

  Raises:
    ValueError: a URL that nothing installed can read.
    RuntimeError: a manifest is damaged, so nothing can be told.
    OSError: something cannot be removed.
  """
  from hardmine.pipelines.root_leftovers import is_root
  from hardmine.schemas.leftovers import collect, leftovers

  if any(map(is_root, args.places)):
    return clean_root.run(args)
  clean_root.refuse_rules(args)
  gone: list[dict[str, Any]] = []
  kept: list[dict[str, Any]] = []
  for place in args.places:
    if args.dry_run:
      found = [vars(one) for one in leftovers(place)]
      some = [one for one in found if one["state"] in ("left", "aside")]
      kept += [one for one in found if one not in some]
    else:
      some = [vars(one) for one in collect(place)]
      kept += [vars(one) for one in leftovers(place)]
    gone += [one for one in some if one["state"] != "stuck"]
  stuck = [one for one in kept if one["state"] == "left"] if not args.dry_run else []
  if args.json:
    told = {"dry_run": args.dry_run, "removed": gone, "kept": kept}
    print(json.dumps({**told, "num_bytes": _total(gone)}))
  else:
    _show(gone, kept, dry_run=args.dry_run)
  if stuck:
    raise RuntimeError(f"{stuck[0]['place']} could not be removed whole: try again")
  return 0


def _total(some: list[dict[str, Any]]) -> int:
  return sum(one["num_bytes"] for one in some if one["state"] == "left")


def _show(
  gone: list[dict[str, Any]], kept: list[dict[str, Any]], *, dry_run: bool
) -> None:
  verbs = {"left": "removed", "aside": "put back"}
  if dry_run:
    verbs = {"left": "would remove", "aside": "would put back"}
  for one in gone:
    print(printable(f"{verbs[one['state']]}  {leftover_line(one)}"))
  for one in kept:
    print(printable(f"kept  {leftover_line(one)}"))
  if not gone and not kept:
    print("nothing was left behind")
  elif gone:
    num_files = sum(one["num_files"] for one in gone if one["state"] == "left")
    print(f"{verbs['left']} {num_files:,} files, {in_bytes(_total(gone))}")
