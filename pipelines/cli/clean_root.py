"""`hardmine clean ROOT`: what runs left in a pipeline's root is listed, or goes."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.set_facts import in_bytes
from hardmine.pipelines.cli.tables import print_table, printable
from hardmine.schemas.config import require

if TYPE_CHECKING:
  from ml_metadata import MetadataStore

  from hardmine.pipelines.root_leftovers import Remain, Rules
  from hardmine.pipelines.site import Site

_UNITS = {"d": 86_400, "h": 3_600, "m": 60}
_FLAGS = ("older_than", "keep_runs", "checkpoints", "logs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the rules."""
  rules = parser.add_argument_group(
    "of a root of `hardmine run`",
    "Without a rule it is only listed. Outputs go that both of the first two rules "
    "take, where both are given.",
  )
  rules.add_argument(
    "--older-than",
    metavar="AGE",
    help="outputs, and what else is named, last written so long ago, as 30d or 12h",
  )
  rules.add_argument(
    "--keep-runs",
    type=int,
    metavar="N",
    help="outputs that none of the N newest runs of a pipeline used",
  )
  rules.add_argument("--checkpoints", action="store_true", help="checkpoints")
  rules.add_argument("--logs", action="store_true", help="logs")
  rules.add_argument(
    "--metadata",
    metavar="PATH|URL",
    help="the records, as of `run` (default: $HARDMINE_METADATA, or in the root)",
  )


def refuse_rules(args: argparse.Namespace) -> None:
  """Raises ValueError where a rule of roots is given for something else."""
  for flag in _FLAGS:
    if getattr(args, flag) not in (None, False):
      name = flag.replace("_", "-")
      raise ValueError(
        f"Expected --{name} with a root of `hardmine run`, which holds artifacts/. "
        f"Received: {args.places[0]}"
      )


def run(args: argparse.Namespace) -> int:
  """Lists, or removes by rule.

  Raises:
    ValueError: several places, a rule that says nothing, or records that are not there.
    RuntimeError: a run holds the root, or something could not be removed.
  """
  from hardmine.pipelines import root_leftovers
  from hardmine.pipelines.site import Site

  require(len(args.places) == 1, "one root at a time", places=args.places)
  rules = _rules(args)
  place = args.metadata or os.environ.get("HARDMINE_METADATA")
  site = Site(root=args.places[0], metadata_place=place)
  has_rule = any(getattr(args, flag) not in (None, False) for flag in _FLAGS)
  if not has_rule or args.dry_run:
    with _looked_at(site) as store:
      found = root_leftovers.remains(site, store)
    gone = [one for one in found if has_rule and rules.takes(one)]
    _tell(args, site, found, gone, is_list=not has_rule)
    return 0
  with _held(site) as store:
    found = root_leftovers.remains(site, store)
    gone = [one for one in found if rules.takes(one)]
    stuck = root_leftovers.remove(site, store, gone)
  _tell(args, site, found, [one for one in gone if one not in stuck], is_list=False)
  if stuck:
    raise RuntimeError(f"{stuck[0].place} could not be removed whole: try again")
  return 0


def _rules(args: argparse.Namespace) -> Rules:
  from hardmine.pipelines.root_leftovers import Rules

  require(
    args.keep_runs is None or args.keep_runs > 0, "--keep-runs > 0", keep=args.keep_runs
  )
  seconds = None
  if args.older_than is not None:
    told = re.fullmatch(r"(\d+)([dhm])", args.older_than)
    require(told is not None, "--older-than as 30d, 12h or 45m", age=args.older_than)
    assert told is not None
    seconds = float(int(told[1]) * _UNITS[told[2]])
  return Rules(
    older_seconds=seconds,
    keep_runs=args.keep_runs,
    checkpoints=args.checkpoints,
    logs=args.logs,
  )


@contextlib.contextmanager
def _looked_at(site: Site) -> Iterator[MetadataStore]:
  """The records, which are not changed: of a bucket's root, the copy there."""
  from hardmine.schemas.folders import folder
  from hardmine.schemas.uris import is_url

  if not is_url(site.root) or not site.has_own_records:
    yield _records(site, site.metadata_path)
    return
  place = folder(site.root)
  name = "metadata.sqlite"
  require(place.exists(name), "a root with its records", root=site.root)
  with place.local_copy(name) as copy:
    yield _records(site, str(copy))


@contextlib.contextmanager
def _held(site: Site) -> Iterator[MetadataStore]:
  """The records of a root that is ours until the end."""
  from hardmine.pipelines.orchestrators.bucket_root import held_bucket
  from hardmine.pipelines.orchestrators.held_root import sole_holder

  with sole_holder(site), held_bucket(site):
    yield _records(site, site.metadata_path)


def _records(site: Site, path: str) -> MetadataStore:
  from ml_metadata.proto import metadata_store_pb2 as mlmd

  from hardmine.pipelines import metadata_store

  if metadata_store.is_database(site.metadata_place):
    config = metadata_store.connection_config(path)
    return metadata_store.opened(config, path)
  require(
    os.path.isfile(path),
    "the records of the root's runs: --metadata says where they are",
    metadata=path,
  )
  config = mlmd.ConnectionConfig()
  config.sqlite.filename_uri = path
  return metadata_store.opened(config, path)


def _tell(
  args: argparse.Namespace,
  site: Site,
  found: list[Remain],
  gone: list[Remain],
  *,
  is_list: bool,
) -> None:
  kept = [one for one in found if one not in gone]
  if args.json:
    told: dict[str, Any] = {
      "root": site.root,
      "dry_run": args.dry_run or is_list,
      "removed": [dataclasses.asdict(one) for one in gone],
      "kept": [dataclasses.asdict(one) for one in kept],
      "num_bytes": sum(one.num_bytes for one in gone),
    }
    print(json.dumps(told))
    return
  rows = [
    (printable(one.name), one.kind, in_bytes(one.num_bytes), _age(one), _fate(one))
    for one in (found if is_list else gone)
  ]
  if rows:
    print_table(("what", "", ">size", ">last written", "goes by"), rows)
  if is_list:
    total = in_bytes(sum(one.num_bytes for one in found))
    print(f"{len(found):,} folders and files, {total}; nothing was removed")
    return
  verb = "would remove" if args.dry_run else "removed"
  total = in_bytes(sum(one.num_bytes for one in gone))
  print(f"{verb} {sum(one.num_files for one in gone):,} files, {total}")
  print(f"kept {in_bytes(sum(one.num_bytes for one in kept))}")


def _age(one: Remain) -> str:
  if one.seconds is None:
    return "unknown"
  return f"{datetime.timedelta(seconds=round(one.seconds))} ago"


def _fate(one: Remain) -> str:
  if one.kept:
    return printable(f"stays: {one.kept}")
  if one.kind in ("checkpoint", "log"):
    return f"--{one.kind}s"
  if one.rank is None:
    return "--older-than, --keep-runs"
  return f"--older-than, --keep-runs {one.rank - 1}"
