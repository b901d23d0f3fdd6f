"""Several files in one call: a bad one is named, and the others are done.

As many at once as there are processors, each by one thread; what is printed comes in
the order of the files.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import sys
import traceback
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.cli.batch_inputs import (
  OF_A_SHELL,
  Input,
  Inputs,
  find_inputs,
  is_one_file,
  named,
)
from hardmine.pipelines.cli.images import PIPE
from hardmine.pipelines.cli.progress import progress
from hardmine.pipelines.cli.tables import os_error_line, printable
from hardmine.schemas.config import require

_WAITING = 4  # files a worker, of which those that are done wait to be told of


@dataclasses.dataclass(frozen=True, kw_only=True)
class Item:
  """One file to read and where the outcome goes.

  Attributes:
    source: that is read.
    target: that is written; empty where nothing is.
    error: why there is nothing to read.
  """

  source: str
  target: str = ""
  error: Exception | None = None


@dataclasses.dataclass(kw_only=True)
class Done:
  """What came of an item; filled by whoever works on it.

  Attributes:
    facts: for `--json`.
    lines: for the standard output.
    notes: for the standard error.
    value: whatever else `settle` needs.
    error: what ended the work.
  """

  item: Item
  facts: dict[str, Any] = dataclasses.field(default_factory=dict)
  lines: list[str] = dataclasses.field(default_factory=list)
  notes: list[str] = dataclasses.field(default_factory=list)
  value: Any = None
  error: Exception | None = None


@dataclasses.dataclass(kw_only=True)
class Report:
  """What came of all items.

  Attributes:
    results: the facts, in order, with an `error` where there was one.
    num_failed: of the items.
    status: 0; 1 where a failure may pass another time; 2 where all are the caller's.
  """

  results: list[dict[str, Any]] = dataclasses.field(default_factory=list)
  num_failed: int = 0
  status: int = 0

  def fail(self, name: str, error: Exception, *, traced: bool = False) -> str:
    """Tells of an error in one line, which it gives."""
    if traced:
      traceback.print_exception(error)
    line = _told(name, error)
    print(f"hardmine: {printable(line)}", file=sys.stderr, flush=True)
    status = 2 if isinstance(error, ValueError) else 1
    self.status = min(filter(None, (self.status, status)))
    return line


def add_arguments(
  parser: argparse.ArgumentParser, *, source: str, target: str, written: str
) -> None:
  """Adds the names of files, in all forms.

  Args:
    parser: the command's.
    source: what is read, for the usage, as `IMAGE`.
    target: what is written, likewise.
    written: the ending of what is written beside a file or into a folder.
  """
  parser.usage = (
    f"%(prog)s [options] {source} [{target}]\n"
    f"       %(prog)s [options] {source}... --output DIR"
  )
  parser.add_argument(
    "paths",
    nargs="+",
    metavar=source,
    help=f"{source} and {target}, of which - is a pipe; without {target} the outcome "
    f"lies beside {source} and ends in {written}; with --output any number of files, "
    "patterns in quotes, or folders, searched with those below",
  )
  parser.add_argument(
    "--output",
    metavar="DIR",
    help=f"gets the outcomes, each named as its source but ending in {written}; a file "
    "that cannot be used is named, and the others are done",
  )


def single(args: argparse.Namespace, ending: str) -> Item | None:
  """The one file of the simple form, None for a folder of outcomes.

  Args:
    args: with those of `add_arguments`.
    ending: of the outcome's name where none was given.

  Raises:
    ValueError: several files, or a folder or pattern, and no folder for the outcomes.
  """
  if args.output is not None:
    return None
  require(
    len(args.paths) <= 2,
    "the name of one file to read and of one to write, or --output DIR for any number",
    paths=args.paths[:4] if len(args.paths) < 5 else [*args.paths[:3], "..."],
  )
  source = args.paths[0]
  if len(args.paths) == 2:
    return Item(source=source, target=args.paths[1])
  if source == PIPE:
    return Item(source=PIPE, target=PIPE)
  require(
    is_one_file(source) and not source.startswith(OF_A_SHELL),
    "the name of one file, beside which the outcome goes, or --output DIR for folders, "
    "patterns and URLs",
    path=source,
  )
  return Item(source=source, target=str(Path(source).with_suffix(ending)))


def several(
  args: argparse.Namespace,
  ending: Callable[[str], str],
  *,
  what: str,
  endings: Collection[str] | None = None,
) -> list[Item]:
  """What names, folders and patterns mean, each with its place below `args.output`.

  Files that are passed over are told, and counted in `args.skipped`.

  Args:
    args: with `paths` and `output`; without an output, targets are empty.
    ending: of the outcome of a file of some name.
    what: is read, for errors.
    endings: of the names that folders are searched for; None are those of pictures.
  """
  inputs = find_inputs(args.paths, endings=endings, what=what)
  _tell_skipped(inputs)
  args.skipped = inputs.skipped_facts()
  usable = [one for one in inputs.files if one.error is None]
  targets: dict[Input, str] = {}
  if args.output is not None and usable:
    names = named(usable, ending)
    targets = {one: os.path.join(args.output, name) for one, name in zip(usable, names)}
  return [
    Item(source=one.path, target=targets.get(one, ""), error=one.error)
    for one in inputs.files
  ]


def num_at_once(items: Sequence[Item]) -> int:
  """How many are worked on at the same time: one a processor.

  By one thread each, which is less work than one picture by all of them.
  """
  return max(1, min(len(items), len(os.sched_getaffinity(0))))


def run(
  items: Sequence[Item],
  work: Callable[[Done], None],
  *,
  verb: str,
  noun: str,
  args: argparse.Namespace,
  settle: Callable[[Done], None] | None = None,
  key: str = "source",
) -> Report:
  """Works on each item, tells of each in order, and goes on behind one that fails.

  Args:
    items: in order.
    work: fills a `Done`, in a thread of several; raises for an item that cannot be
      used.
    verb: what is done, for progress.
    noun: to what.
    args: with `json`, which prints nothing here but errors and notes, and `traceback`.
    settle: what is to follow in order, in this thread; may raise, too.
    key: of the facts about a failure, the name of the file.
  """
  report = Report()
  quiet = args.json or len(items) < 2
  with progress(verb, noun, quiet=quiet) as on_progress:
    for number, done in enumerate(_in_order(items, work)):
      if done.error is None and settle is not None:
        _attempt(settle, done)
      for note in done.notes:
        print(note, file=sys.stderr, flush=True)
      if not args.json:
        for line in done.lines:
          print(line, flush=True)
      if done.error is not None:
        report.num_failed += 1
        error = report.fail(
          done.item.source, done.error, traced=getattr(args, "traceback", False)
        )
        done.facts = {key: done.item.source, **done.facts, "error": error}
      if args.json:
        report.results.append(done.facts)
      if on_progress is not None:
        on_progress(number + 1, len(items))
  return report


def print_end(report: Report, num_items: int, noun: str, args: Any) -> int:
  """Prints the one object of `--json`, or how many failed; gives the exit status."""
  if args.json:
    answer = {"results": report.results, "failed": report.num_failed}
    print(json.dumps({**answer, **({"skipped": args.skipped} if args.skipped else {})}))
  elif report.num_failed:
    print(
      f"hardmine: {report.num_failed} of {num_items} {noun} failed", file=sys.stderr
    )
  return report.status


def run_single(
  item: Item, work: Callable[[Done], None], args: argparse.Namespace
) -> int:
  """Works on one file; whatever fails is raised.

  What is told goes to the standard error where the outcome is in the standard output.
  """
  done = Done(item=item)
  work(done)
  for note in done.notes:
    print(note, file=sys.stderr, flush=True)
  with contextlib.redirect_stdout(sys.stderr if item.target == PIPE else sys.stdout):
    print(json.dumps(done.facts) if args.json else "\n".join(done.lines))
  return 0


def _in_order(items: Sequence[Item], work: Callable[[Done], None]) -> Iterator[Done]:
  """What came of each; at most one item a processor is being worked on."""
  workers = num_at_once(items)
  if workers == 1:
    for item in items:
      yield _worked(item, work)
    return
  from concurrent.futures import Future, ThreadPoolExecutor

  pool = ThreadPoolExecutor(workers, "hardmine-batch")
  begun: collections.deque[Future[Done]] = collections.deque()
  try:
    for item in items:
      if len(begun) == _WAITING * workers:
        yield begun.popleft().result()
      begun.append(pool.submit(_worked, item, work))
    while begun:
      yield begun.popleft().result()
  finally:
    # After a signal too: what is half done ends, and nothing new begins.
    pool.shutdown(cancel_futures=True)


def _worked(item: Item, work: Callable[[Done], None]) -> Done:
  done = Done(item=item, error=item.error)
  if done.error is None:
    _attempt(work, done)
  return done


def _attempt(work: Callable[[Done], None], done: Done) -> None:
  try:
    work(done)
  except Exception as error:  # whatever one item does, others are not to pay for it
    done.error = error


def _tell_skipped(inputs: Inputs) -> None:
  for why, (count, example) in inputs.skipped.items():
    more = f", such as {printable(example)}" if count > 1 else f": {printable(example)}"
    print(f"hardmine: {count} skipped ({why}){more}", file=sys.stderr)


def _told(name: str, error: Exception) -> str:
  """A line that names the file and says what is wrong."""
  text = os_error_line(error) if isinstance(error, OSError) else str(error)
  text = " ".join(text.split())
  if not isinstance(error, (ValueError, OSError, RuntimeError)):
    kind = type(error).__name__
    text = f"{kind}: {text}" if text else kind
    text += " (--traceback says where)"
  return text if text.startswith(f"{name}: ") else f"{name}: {text}"
