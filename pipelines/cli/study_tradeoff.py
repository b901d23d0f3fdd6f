"""`hardmine study tradeoff`: what detectors cost, and what they find, side by side."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.progress import progress
from hardmine.pipelines.cli.study_arguments import (
  NONE,
  add_study_arguments,
  chosen_how,
)
from hardmine.pipelines.cli.tables import print_table, printable
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically

if TYPE_CHECKING:
  from hardmine.pipelines.studies.combinations import Combination
  from hardmine.pipelines.studies.records import Records
  from hardmine.pipelines.studies.sweep import How, Row

SUMMARY = "detectors by time, memory, arithmetic and precision"
HELP = (
  "Measures detectors of the study of Huang et al. (arXiv 1611.10012) on this machine: "
  "parameters, multiply-adds, time by part with and without suppression, memory, and "
  "average precision where there are trained weights. Writes table.csv, table.md, "
  "table.json and index.html. Called again, it goes on where it stopped. The exit "
  "status is 1 where a detector could not be measured; the others are."
)
_SHOWN = 20  # rows in the terminal


add_arguments = add_study_arguments


def run(args: argparse.Namespace) -> int:
  """Counts, measures, writes, and prints what was found.

  Raises:
    ValueError: a word on the command line cannot be.
    RuntimeError: another study is at work in the output, or the annotated images
      cannot be read.
    OSError: something cannot be written.
  """
  how = chosen_how(args)
  from hardmine.pipelines.studies.records import Records

  records = Records(args.output)
  combinations = _combinations(args)
  with records.held():
    return _run(args, how, records, combinations)


def _run(
  args: argparse.Namespace,
  how: How,
  records: Records,
  combinations: list[Combination],
) -> int:
  from hardmine.pipelines.studies.asking import Failed
  from hardmine.pipelines.studies.calibration import measured_speeds
  from hardmine.pipelines.studies.sweep import Sweep, counted

  with progress("counting", "detectors", quiet=args.json) as on_step:
    rows = counted(combinations, on_step)
  speeds = measured_speeds(how.num_threads)
  sweep = Sweep(how, records, lambda line: _say(line, args.json))
  try:
    if how.runtimes:
      with progress("measuring", "times", quiet=args.json) as on_step:
        sweep.measure(rows, on_step)
  except Failed as error:
    raise RuntimeError(f"the annotated images cannot be read: {error}") from error
  finally:  # an interrupt too leaves whole tables of what was measured until then
    found = _write(args, how, records, rows, speeds, sweep.data)
  _print(args, records, *found)
  return 1 if any(row.problems for row in rows) else 0


def _combinations(args: argparse.Namespace) -> list[Combination]:
  """The study's that were chosen, then the user's own."""
  from hardmine.pipelines.studies import combinations as study

  found: list[Combination] = []
  only = args.only or ["*"]
  if only != [NONE]:
    choose_from = study.everything if args.all else study.paper
    found = study.chosen(choose_from(args.width, args.categories), only)
  from hardmine.pipelines.cli.model_ref import resolve_model
  from hardmine.pipelines.studies.own import experiments, models

  sides = _numbers("resolutions", args.resolutions)
  numbers = _numbers("proposals", args.proposals)
  trained = [(ref, resolve_model(ref, "detector")) for ref in args.model]
  own = [*experiments(args.experiment, args.categories), *models(trained)]
  found += [one for each in own for one in study.variants(each, sides, numbers)]
  require(bool(found), f"--experiment or --model beside --only {NONE}", only=args.only)
  names = [one.name for one in found]
  for name in names:
    require(names.count(name) == 1, "each of your own once", name=name)
  return found


def _numbers(name: str, text: str | None) -> list[int]:
  words = [word.strip() for word in (text or "").split(",") if word.strip()]
  for word in words:
    require(
      word.isdecimal() and int(word) > 0,
      f"--{name} as whole numbers with commas between, such as 50,300",
      **{name: word},
    )
  return list(dict.fromkeys(map(int, words)))


def _write(
  args: argparse.Namespace,
  how: How,
  records: Records,
  rows: list[Row],
  speeds: dict[str, float],
  data: dict[str, Any] | None,
) -> tuple[list[dict[str, Any]], dict[str, str]]:
  """The tables and the page; rows, and paths by name."""
  from hardmine.components.evaluation.environment import environment
  from hardmine.pipelines.studies import page, tables
  from hardmine.pipelines.studies.calibration import num_threads_here
  from hardmine.pipelines.studies.records import machine

  flat = tables.flat(rows, how.runtimes, speeds)
  num = len(how.photographs)
  facts = {
    "machine": machine(),
    "runtimes": list(how.runtimes),
    "num_threads": how.num_threads or num_threads_here(),
    "pictures": f"{num} photograph{'s' * (num != 1)}" if num else "a picture of noise",
    "multiply_adds_per_second": {kind: round(one) for kind, one in speeds.items()},
    "data": data,
    "environment": environment(
      ("hardmine", "keras", "tensorflow", "onnxruntime", "openvino", "numpy")
    ),
    "command": shlex.join(["hardmine", *sys.argv[1:]]),
  }
  texts = {
    "table.csv": tables.to_csv(flat),
    "table.md": tables.to_markdown(flat),
    "table.json": tables.to_json(flat, facts),
    "index.html": page.render(flat, facts),
  }
  for name, text in texts.items():
    write_atomically(records.folder / name, text, durable=False)
  return flat, {name: os.path.join(args.output, name) for name in texts}


def _print(
  args: argparse.Namespace,
  records: Records,
  rows: list[dict[str, Any]],
  files: dict[str, str],
) -> None:
  from hardmine.pipelines.studies import tables

  if args.json:
    print(json.dumps({"output": args.output, "files": files, "rows": rows}))
    return
  heads, cells = tables.shown(rows)
  print_table([heads[0], *(f">{head}" for head in heads[1:])], cells[:_SHOWN])
  if len(cells) > _SHOWN:
    print(f"... and {len(cells) - _SHOWN} more")
  print(*map(printable, files.values()), sep="\n")
  failed = [row for row in rows if row["problem"]]
  if failed:
    print(
      f"hardmine: {len(failed)} of {len(rows)} detectors could not be measured; "
      f"{printable(failed[0]['name'])}: {printable(failed[0]['problem'])}",
      file=sys.stderr,
    )


def _say(line: str, quiet: bool) -> None:
  if not quiet:
    print(f"hardmine: {printable(line)}", file=sys.stderr, flush=True)
