"""An experiment of Hardmine's as an Airflow DAG, each node a task of its own.

A task calls the `hardmine` command, as its log shows; nothing of Hardmine is imported
here. How a node ends decides about its task:

    exit status 0    success, also where an earlier try had done the work
    exit status 1    broken plumbing: the task is tried again
    exit status 2    the words, settings or data are wrong: the task fails at once
    exit status 3    the model is not blessed: this task and what follows are skipped
    anything else    ended by a signal, or not started: the task is tried again

`Promote` is skipped unless the run's param `promote` names an alias; a person promotes
what a run has pushed by starting the other DAG of this file, whose name ends in
`_promote`.
"""
# pyright: reportMissingImports=false

from __future__ import annotations

import datetime
import json
import os
import re
import select
import shlex
import subprocess
import sys

try:  # Airflow 3
  from airflow.sdk import DAG, BaseOperator, Param
except ImportError:
  from airflow import DAG
  from airflow.models.baseoperator import BaseOperator
  from airflow.models.param import Param
try:
  from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
  )
except ImportError:
  from airflow.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSkipException,
  )

SETTINGS: dict = {}  # hardmine compile writes it
GUARD = ""  # a program that ends the command with its task; written too

GRACE_SECONDS = 6  # hardmine ends within 5, its remote work cancelled
USERS_MISTAKE, NOT_BLESSED = 2, 3
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_LONGEST_LINE = 1 << 16


class HardmineOperator(BaseOperator):
  """Runs one command of `hardmine` as a process group that ends with the task."""

  ui_color = "#e8f0fe"

  def __init__(self, *, words, **options):
    """Makes the task.

    Args:
      words: gives the words behind `hardmine`, of Airflow's context; or raises what
        ends the task.
      **options: Airflow's own.
    """
    super().__init__(logger_name="hardmine", **options)
    self._words = words
    self._process = None

  def execute(self, context):
    """Runs it, and takes its lines into the log."""
    command = [SETTINGS["program"], *self._words(context)]
    self.log.info("%s", shlex.join(command))
    guard = [sys.executable, "-I", "-S", "-c", GUARD]
    process = self._process = subprocess.Popen(
      [*guard, str(GRACE_SECONDS), str(os.getpid()), *command],
      cwd=SETTINGS["working_dir"],
      env={**os.environ, "PYTHONUNBUFFERED": "1"},
      stdin=subprocess.DEVNULL,
      stdout=subprocess.PIPE,
      stderr=subprocess.STDOUT,
      start_new_session=True,
    )
    try:
      self._log_lines(process)
    finally:  # a timeout, or Airflow 2's answer to SIGTERM
      if process.poll() is None:
        process.terminate()
        self._log_lines(process)
    self._judge(process.wait())

  def on_kill(self):
    """Asks the command to end; it is killed after a grace, by the guard."""
    if self._process is not None and self._process.poll() is None:
      self._process.terminate()

  def _log_lines(self, process):
    for line in lines_of(process):
      self.log.info("%s", line)

  def _judge(self, status):
    name = f"hardmine ended with exit status {status}"
    if status == USERS_MISTAKE:
      raise AirflowFailException(
        f"{name}: the words, the settings or the data are wrong, as its last line says"
      )
    if status == NOT_BLESSED:
      self._end_branch()
    elif status > 128:
      raise AirflowException(f"{name}: ended by signal {status - 128}")
    elif status:
      raise AirflowException(f"{name}: broken plumbing, worth another try")

  def _end_branch(self):
    raise AirflowSkipException("All went well, and the model is not blessed.")


class StrictOperator(HardmineOperator):
  """Of what a person has asked for: a refusal is no success."""

  def _end_branch(self):
    raise AirflowFailException("The promotion is refused, as the lines above say.")


def lines_of(process):
  """The lines that a process writes, until it has ended; without control characters.

  Who else holds its standard output after that is not waited for.
  """
  pipe, rest = process.stdout.fileno(), b""
  while True:
    ended = process.poll() is not None
    ready, _, _ = select.select([pipe], [], [], 0 if ended else 1)
    piece = os.read(pipe, _LONGEST_LINE) if ready else b""
    *whole, rest = (rest + piece).split(b"\n")
    for line in whole:
      yield plain(line)
    if len(rest) > _LONGEST_LINE:
      yield plain(rest)
      rest = b""
    if not piece and (ended or ready):
      break
  if rest:
    yield plain(rest)
  process.wait()


def plain(line):
  """A line of bytes as text: of what was drawn over and over, the last."""
  text = _ESCAPES.sub("", line.decode("utf-8", "backslashreplace"))
  return _CONTROLS.sub(" ", text.rstrip("\r").rpartition("\r")[2]).rstrip()


def run_node(node):
  """Gives the words that run a node with the settings that the DAG run's form changed.

  Whatever it left alone is as the experiment has it, also where that was edited since.
  """

  def words(context):
    given = context["params"]
    changed = [
      f"{name}={json.dumps(given[name])}"
      for name, facts in SETTINGS["params"].items()
      if given[name] != facts["default"]
    ]
    settings = [*SETTINGS["assignments"], *changed, *(given["settings"] or ())]
    return [
      *("run", *SETTINGS["run"], "--node", node, "--run-id", context["run_id"]),
      *(f"--set={one}" for one in settings),
      *(["--no-cache"] if given["no_cache"] else []),
    ]

  return words


def promote_words(run_id, alias, context):
  """The words that move an alias to what a run has pushed."""
  who = f"airflow {context['dag'].dag_id} {context['run_id']}"
  words = ["models", "promote", f"run:{run_id}", *SETTINGS["promote"]]
  if SETTINGS["records"] and not os.environ.get("HARDMINE_METADATA"):
    words += ["--metadata", SETTINGS["records"]]
  return [*words, "--to", alias, "--who", who]


def promote_if_allowed(context):
  """Of the DAG run itself, where its param names an alias."""
  alias = context["params"]["promote"]
  if not alias:
    raise AirflowSkipException("Nobody asked for a promotion: the param is empty.")
  return promote_words(context["run_id"], alias, context)


def promote_as_asked(context):
  """Of an earlier DAG run that a person names."""
  given = context["params"]
  return promote_words(given["run_id"], given["to"], context)


def options_of(node):
  """What a task has of its own."""
  options = {
    "execution_timeout": datetime.timedelta(hours=SETTINGS["timeout_hours"]),
  }
  if node == "Trainer":
    hours = SETTINGS["training_timeout_hours"]
    options["execution_timeout"] = datetime.timedelta(hours=hours)
    options["pool"] = SETTINGS["training_pool"]
  return options


def dag_options():
  """What both DAGs share."""
  return {
    "start_date": datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
    "catchup": False,
    "tags": ["hardmine"],
    "doc_md": SETTINGS["doc"],
    "default_args": {
      "retries": SETTINGS["retries"],
      "retry_delay": datetime.timedelta(seconds=SETTINGS["retry_delay_seconds"]),
    },
  }


def pipeline_dag():
  """The experiment's pipeline, and the promotion behind it."""
  params = {
    name: Param(facts["default"], **facts["schema"])
    for name, facts in SETTINGS["params"].items()
  }
  params["settings"] = Param(
    [],
    type=["null", "array"],
    items={"type": "string"},
    description="more settings of the experiment, FIELD=VALUE, one a line",
  )
  params["no_cache"] = Param(
    False, type="boolean", description="run every node, train from step 0"
  )
  params["promote"] = Param(
    SETTINGS["alias"],
    type=["null", "string"],
    description="the alias that is to move to the new model, such as production; "
    "empty leaves that to a person",
  )
  with DAG(
    SETTINGS["dag_id"],
    schedule=SETTINGS["schedule"],
    max_active_runs=SETTINGS["max_active_runs"],
    params=params,
    **dag_options(),
  ) as dag:
    tasks = {}
    for node, upstream in SETTINGS["nodes"].items():
      tasks[node] = HardmineOperator(
        task_id=node, words=run_node(node), **options_of(node)
      )
      for other in upstream:
        tasks[other].set_downstream(tasks[node])
    last = HardmineOperator(
      task_id="Promote", words=promote_if_allowed, **options_of("Promote")
    )
    tasks["Pusher"].set_downstream(last)
  return dag


def promotion_dag():
  """A task that a person starts."""
  run_id = "of which DAG run the model is, such as manual__2026-01-31T12:00:00+00:00"
  params = {
    "run_id": Param("", type="string", minLength=1, description=run_id),
    "to": Param("production", type="string", minLength=1, description="the alias"),
  }
  with DAG(
    f"{SETTINGS['dag_id']}_promote", schedule=None, params=params, **dag_options()
  ) as dag:
    StrictOperator(task_id="Promote", words=promote_as_asked, **options_of("Promote"))
  return dag


if SETTINGS:
  pipeline = pipeline_dag()
  promotion = promotion_dag()
