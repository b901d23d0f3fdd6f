"""An experiment as a DAG file of Airflow 2.10 and later, and of Airflow 3.

The file is `airflow_dag`, with a block of settings and the text of `airflow_guard`. It
imports nothing of hardmine, whose environment Airflow does not fit into.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import pprint
import re
from pathlib import Path
from typing import Any

from hardmine.pipelines.orchestrators.compiled import (
  Request,
  edges_of,
  offered_fields,
)
from hardmine.schemas.config import require
from hardmine.schemas.outputs import FileKind
from hardmine.schemas.uris import is_url

_HEADER = (
  "# Written by `hardmine compile`, which replaces it only while nobody edits it:"
)
_DAG_ID = re.compile(r"[A-Za-z0-9_.-]{1,200}")


@dataclasses.dataclass(frozen=True)
class _Unedited(FileKind):
  """A DAG file as it was written: what somebody has changed is theirs."""

  def holds(self, path: Path) -> bool:
    """Whether its first lines are the hash of the others, or it is empty."""
    head, _, body = path.read_bytes().partition(b"\n\n")
    return not (head or body) or head == _head(body).encode()


KIND = _Unedited(
  "a DAG file as hardmine compile wrote it, edited by nobody", re.compile(b"")
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the options that only Airflow's files have."""
  options = parser.add_argument_group("Airflow", "Options of --for airflow.")
  options.add_argument(
    "--dag-id", metavar="NAME", help="of the DAG (default: hardmine_NAME)"
  )
  options.add_argument(
    "--schedule",
    metavar="CRON",
    help="as Airflow spells it, such as @weekly or '0 3 * * 1' (default: none)",
  )
  options.add_argument(
    "--param",
    metavar="FIELD",
    action="append",
    default=[],
    help="a field of the experiment that a DAG run's form offers, beside those of "
    "training; may be repeated",
  )
  options.add_argument(
    "--training-pool",
    metavar="POOL",
    default="default_pool",
    help="of Airflow, whose slots count the trainings at once (default %(default)s)",
  )
  for name, default, text in (
    ("retries", 2, "of a task that broken plumbing has ended"),
    ("retry-delay-seconds", 60, "before a retry"),
    ("timeout-hours", 6, "after which a try of a task is ended"),
    ("training-timeout-hours", 168, "the same, of the Trainer"),
    ("max-active-runs", 1, "runs of the DAG at once"),
  ):
    options.add_argument(
      f"--{name}",
      metavar="N",
      type=int if isinstance(default, int) and "hours" not in name else float,
      default=default,
      help=f"{text} (default %(default)s)",
    )
  options.add_argument(
    "--promote",
    metavar="ALIAS",
    help="the alias that a run moves to its model unless its form says otherwise "
    "(default: none, a person promotes)",
  )


def compiled(request: Request, args: argparse.Namespace) -> str:
  """The text of the DAG file, equal for equal words.

  Raises:
    ValueError: an option that Airflow would not take, or no such field.
  """
  settings = _settings(request, args)
  nodes = edges_of(request.experiment, request.site)  # last, for it imports TFX
  settings["nodes"] = {node: list(upstream) for node, upstream in nodes.items()}
  return rendered(settings)


def rendered(settings: dict[str, Any]) -> str:
  """The DAG file of these settings, with the hash by which an edited one is told."""
  here = Path(__file__).parent
  text = (here / "airflow_dag.py").read_text("utf-8")
  guard = (here / "airflow_guard.py").read_text("utf-8")
  block = pprint.pformat(settings, width=88, sort_dicts=False)
  for line, value in (
    ("SETTINGS: dict = {}  # hardmine compile writes it\n", f"SETTINGS = {block}\n"),
    ('GUARD = ""', f"GUARD = {_literal(guard)}"),
    ("# pyright: reportMissingImports=false\n", ""),
  ):
    assert text.count(line) == 1, line
    text = text.replace(line, value)
  return f"{_head(text.encode('utf-8'))}\n\n{text}"


def told(request: Request, args: argparse.Namespace) -> list[str]:
  """What to do with the file."""
  name = _dag_id(request, args)
  lines = [
    f"put it where Airflow looks for DAGs; its DAGs are {name} and {name}_promote",
    f"its tasks call {request.program} in {request.working_dir}",
  ]
  if request.metadata is None:
    in_bucket = is_url(request.site.root)
    who = "a root in a bucket needs" if in_bucket else "several machines need"
    lines.append(
      f"{who} a database for the records: --metadata mysql://USER@HOST/DATABASE, or "
      "HARDMINE_METADATA where the tasks run"
    )
  return lines


def _settings(request: Request, args: argparse.Namespace) -> dict[str, Any]:
  for name in ("retries", "retry_delay_seconds"):
    require(getattr(args, name) >= 0, f"{name} >= 0", **{name: getattr(args, name)})
  for name in ("timeout_hours", "training_timeout_hours", "max_active_runs"):
    require(getattr(args, name) > 0, f"{name} > 0", **{name: getattr(args, name)})
  require(bool(args.training_pool), "a name of a pool", training_pool="")
  experiment = request.experiment
  return {
    "dag_id": _dag_id(request, args),
    "schedule": args.schedule,
    "doc": f"`{experiment.name}` of Hardmine, in `{request.site.root}`; models go to "
    f"`{request.site.store_url}`.",
    "program": request.program,
    "working_dir": request.working_dir,
    "run": request.run_words(),
    "assignments": list(request.assignments),
    "promote": _promote_words(request),
    "records": None
    if request.metadata is not None or is_url(request.site.root)
    else request.site.metadata_path,
    "alias": args.promote,
    "params": offered_fields(experiment, args.param),
    "retries": args.retries,
    "retry_delay_seconds": args.retry_delay_seconds,
    "timeout_hours": args.timeout_hours,
    "training_timeout_hours": args.training_timeout_hours,
    "training_pool": args.training_pool,
    "max_active_runs": args.max_active_runs,
  }


def _promote_words(request: Request) -> list[str]:
  site = request.site
  words = ["--store", site.store_url, "--experiment", request.experiment.name]
  return words if request.metadata is None else [*words, "--metadata", request.metadata]


def _dag_id(request: Request, args: argparse.Namespace) -> str:
  name = args.dag_id or f"hardmine_{request.experiment.name}"
  require(
    _DAG_ID.fullmatch(name) is not None,
    "a name of letters, digits, _, . and -, at most 200 of them",
    dag_id=name,
  )
  return name


def _head(body: bytes) -> str:
  return f"{_HEADER}\n# sha256 {hashlib.sha256(body).hexdigest()}"


def _literal(text: str) -> str:
  """A text as a raw literal of many lines, as it is."""
  assert "'''" not in text, "a guard without three apostrophes"
  return f"r'''{text}'''"
