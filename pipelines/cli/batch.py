"""Several files in one call: a bad one is named, and the others are done."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Callable, Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from hardmine.pipelines.cli.progress import progress
from hardmine.pipelines.cli.tables import os_error_line
from hardmine.schemas.config import require


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
  """One file to read and where the outcome goes."""

  source: str
  target: str


def add_arguments(
  parser: argparse.ArgumentParser, *, source: str, target: str, written: str
) -> None:
  """Adds the names of files, in both forms.

  Args:
    parser: the command's.
    source: what is read, for the usage, as `IMAGE`.
    target: what is written, likewise.
    written: the ending of what is written into a folder.
  """
  parser.usage = (
    f"%(prog)s [options] {source} {target}\n"
    f"       %(prog)s [options] {source}... --output DIR"
  )
  parser.add_argument(
    "paths",
    nargs="+",
    metavar=source,
    help=f"{source} and {target}, of which - is a pipe; with --output any number of "
    "files, patterns in quotes, or folders, searched with those below",
  )
  parser.add_argument(
    "--output",
    metavar="DIR",
    help=f"gets the outcomes, each named as its source but ending in {written}; a file "
    "that cannot be used is named, and the others are done",
  )


def single(args: argparse.Namespace) -> Item | None:
  """The two names of the simple form, None for a folder of outcomes.

  Raises:
    ValueError: one name, or more than two, and no folder.
  """
  if args.output is not None:
    return None
  require(
    len(args.paths) == 2,
    "the name of one file to read and of one to write, or --output DIR for any number",
    paths=args.paths if len(args.paths) < 4 else [*args.paths[:3], "..."],
  )
  return Item(source=args.paths[0], target=args.paths[1])


def several(
  args: argparse.Namespace, ending: str, *, endings: Collection[str], what: str
) -> list[Item]:
  """What patterns match, each with its place below `args.output`.

  Args:
    args: with those of `add_arguments`.
    ending: of the outcomes' names.
    endings: of the names that folders are searched for.
    what: is read, for errors.

  Raises:
    ValueError: a pattern matches nothing.
  """
  from hardmine.components.jobs.sources import find_sources

  listing = find_sources(args.paths, endings=endings, what=what)
  for path, reason in listing.skipped.items():
    print(f"hardmine: {path} is skipped ({reason})", file=sys.stderr)
  sources = [source for source in listing.sources if not source.is_directory]
  stems = [str(PurePosixPath(source.id).with_suffix("")) for source in sources]
  return [
    Item(
      source=source.path,
      # a.jpg and a.png would meet in one name
      target=str(
        Path(args.output, (stem if stems.count(stem) == 1 else source.id) + ending)
      ),
    )
    for source, stem in zip(sources, stems)
  ]


def run(
  items: Sequence[Item],
  work: Callable[[Item], dict[str, Any]],
  show: Callable[[dict[str, Any]], None],
  *,
  verb: str,
  noun: str,
  as_json: bool,
) -> int:
  """Works on each item, tells of each, and goes on behind one that fails.

  Args:
    items: in order.
    work: gives facts for `--json`; raises for an item that cannot be used.
    show: prints a line about the facts.
    verb: what is done, for progress.
    noun: to what.
    as_json: prints one object at the end, whose `results` have an `error` for an item
      that failed, and nothing else.

  Returns:
    The exit status: 0, or 2 where all failures are the caller's to mend, else 1.
  """
  results: list[dict[str, Any]] = []
  statuses = set()
  with progress(verb, noun, quiet=as_json or len(items) < 2) as on_progress:
    for number, item in enumerate(items):
      try:
        facts = work(item)
        if not as_json:
          show(facts)
      except Exception as error:  # whatever one item does, others are not to pay for it
        statuses.add(2 if isinstance(error, ValueError) else 1)
        text = " ".join(_told(error).split())
        text = text if item.source in text else f"{item.source}: {text}"
        print(f"hardmine: {text}", file=sys.stderr, flush=True)
        facts = {"source": item.source, "error": text}
      results.append(facts)
      if on_progress is not None:
        on_progress(number + 1, len(items))
  failed = sum("error" in facts for facts in results)
  if as_json:
    print(json.dumps({"results": results, "failed": failed}))
  elif failed:
    print(f"hardmine: {failed} of {len(items)} {noun} failed", file=sys.stderr)
  return min(statuses, default=0)


def _told(error: Exception) -> str:
  line = os_error_line(error) if isinstance(error, OSError) else str(error)
  return line or type(error).__name__
