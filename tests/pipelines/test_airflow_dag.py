"""The DAG file: what stands in it, and what a real Airflow makes of it."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hardmine.pipelines.orchestrators import airflow

RUNS = Path(__file__).with_name("airflow_runs.py")
# As `make` and each lane's Airflow go together: one version a lane.
AIRFLOW = f"apache-airflow=={'3' if sys.version_info >= (3, 12) else '2.10'}.*"
NOTHING_OF = {"hardmine", "tensorflow", "keras", "apache_beam", "tfx", "ml_metadata"}
# What a person may have in the names of folders and in settings.
AWKWARD = "a b'c\"d\\e\n{{ f }} $g `h` ünï \udcff"

# Stands for `hardmine`: notes its words, and ends as $folder/NODE says.
STAND_IN = """#!{python}
import json, pathlib, sys
words, folder = sys.argv[1:], pathlib.Path({folder!r})
with open(folder / "calls", "a") as file:
  print(json.dumps(words), file=file)
node = words[words.index("--node") + 1] if "--node" in words else "Promote"
print(node, "says \\x1b[31mred\\x1b[0m, 1%\\r2%")
how = folder / node
statuses = how.read_text().split() if how.exists() else ["0"]
how.write_text(" ".join(statuses[1:]) or "0")
raise SystemExit(int(statuses[0]))
"""


def settings(**changes):
  """Of a DAG of a few nodes."""
  return {
    "dag_id": "small",
    "schedule": None,
    "doc": "a small one",
    "program": "/no/such/hardmine",
    "working_dir": "/",
    "run": ["small_codec", "--root", "/runs/small"],
    "assignments": [],
    "promote": ["--store", "/runs/small/store", "--experiment", "small"],
    "records": "/runs/small/metadata.sqlite",
    "alias": None,
    "nodes": {
      "PatchGen": [],
      "Trainer": ["PatchGen"],
      "InfraCheck": ["Trainer"],
      "Pusher": ["Trainer", "InfraCheck"],
    },
    "params": {
      "training.steps": {"default": 40, "schema": {"type": "integer"}},
      "training.clip_norm": {"default": None, "schema": {"type": ["null", "number"]}},
    },
    "retries": 2,
    "retry_delay_seconds": 0,
    "timeout_hours": 6,
    "training_timeout_hours": 168,
    "training_pool": "training",
    "max_active_runs": 1,
    **changes,
  }


def functions_of(text):
  """All of a DAG file that needs no Airflow, run."""
  tree = ast.parse(text)
  tree.body = [
    node for node in tree.body if not isinstance(node, (ast.Try, ast.ClassDef, ast.If))
  ]
  found = {}
  exec(compile(tree, "dag", "exec"), found)
  return found


@pytest.fixture(scope="module")
def functions():
  return functions_of(airflow.rendered(settings()))


def test_equal_settings_give_equal_files():
  assert airflow.rendered(settings()) == airflow.rendered(settings())
  assert airflow.rendered(settings()) != airflow.rendered(settings(retries=3))


def test_only_airflow_and_the_standard_library_are_imported():
  tree = ast.parse(airflow.rendered(settings()))
  names = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      names.update(alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      names.add(str(node.module).partition(".")[0])
  assert names - set(sys.stdlib_module_names) == {"airflow"}


def test_any_text_of_a_users_arrives_as_it_is():
  awkward = settings(working_dir=f"/{AWKWARD}", assignments=[f"name={AWKWARD}"])
  text = airflow.rendered(awkward)
  assert functions_of(text)["SETTINGS"] == awkward


def test_the_words_of_a_node_are_those_that_the_form_changed(functions):
  given = {
    "training.steps": 40,
    "training.clip_norm": 1.5,
    "settings": [f"name={AWKWARD}"],
    "no_cache": True,
  }
  context = {"run_id": "manual__1", "params": given}
  assert functions["run_node"]("Trainer")(context) == [
    *("run", "small_codec", "--root", "/runs/small"),
    *("--node", "Trainer", "--run-id", "manual__1"),
    "--set=training.clip_norm=1.5",
    f"--set=name={AWKWARD}",
    "--no-cache",
  ]
  untouched = {"training.steps": 40, "training.clip_norm": None, "settings": None}
  context["params"] = {**untouched, "no_cache": False}
  assert functions["run_node"]("Trainer")(context)[-1] == "manual__1"


@pytest.mark.parametrize(
  ("line", "text"),
  [
    (b"step 1\r", "step 1"),
    (b"1%\r2%\r3%", "3%"),
    (b"\x1b[1;31mred\x1b[0m", "red"),
    (b"a\tb\x00c\x07", "a\tb c"),
    ("ünï".encode(), "ünï"),
    (b"\xff", "\\xff"),
    (b"", ""),
  ],
)
def test_a_line_of_the_log_has_no_control_characters(functions, line, text):
  assert functions["plain"](line) == text


@pytest.mark.parametrize(
  ("code", "lines"),
  [
    ("print('a'); print('b', end='')", ["a", "b"]),
    ("print('x' * 200_000)", ["x" * 131072, "x" * 68928]),
    ("", []),
    # A child that keeps the output open is not waited for.
    (
      "import subprocess; print('a'); "
      "subprocess.Popen(['sleep', '8'], start_new_session=True)",
      ["a"],
    ),
  ],
  ids=["short", "long", "none", "held_open"],
)
def test_the_lines_of_a_process_are_all_there(functions, code, lines):
  with subprocess.Popen(
    [sys.executable, "-u", "-c", code], stdout=subprocess.PIPE
  ) as process:
    found = list(functions["lines_of"](process))
  assert "".join(found) == "".join(lines)
  assert len(found) >= len(lines)


def test_what_somebody_has_edited_is_not_ours(tmp_path):
  path, text = tmp_path / "dag.py", airflow.rendered(settings())
  path.write_text(text, "utf-8")
  assert airflow.KIND.holds(path)
  path.write_text(text.replace("GRACE_SECONDS = 6", "GRACE_SECONDS = 7"), "utf-8")
  assert not airflow.KIND.holds(path)
  path.write_text("from airflow import DAG\n", "utf-8")
  assert not airflow.KIND.holds(path)
  path.write_bytes(b"")
  assert airflow.KIND.holds(path)


@pytest.fixture(scope="module")
def airflow_python(tmp_path_factory):
  """The Python of an environment with Airflow: $HARDMINE_AIRFLOW, or a new one."""
  given = os.environ.get("HARDMINE_AIRFLOW")
  if given:
    yield given
    return
  uv = shutil.which("uv") or str(Path(__file__).parents[2] / ".tools" / "bin" / "uv")
  if not os.access(uv, os.X_OK):
    pytest.skip("no Airflow: name a Python that has it in HARDMINE_AIRFLOW")
  folder = tmp_path_factory.mktemp("airflow")
  python = str(folder / "bin" / "python")
  for words in (
    ["venv", "-q", "--python", sys.executable, str(folder)],
    ["pip", "install", "-q", "--python", python, AIRFLOW],
  ):
    try:
      done = subprocess.run(
        [uv, *words], capture_output=True, text=True, timeout=90, check=False
      )
    except subprocess.TimeoutExpired:
      pytest.skip(f"no Airflow: {AIRFLOW} was not installed in 90 s")
    if done.returncode:
      pytest.skip(f"no Airflow: {AIRFLOW} cannot be installed ({done.stderr[-300:]})")
  yield python
  shutil.rmtree(folder)


class Airflow:
  """A home of Airflow with one DAG file, whose program is a stand-in."""

  def __init__(self, python: str, folder: Path):
    self.python, self.folder = python, folder
    (folder / "dags").mkdir()
    self.dag_file = folder / "dags" / "small.py"
    program = folder / "hardmine"
    program.write_text(STAND_IN.format(python=sys.executable, folder=str(folder)))
    program.chmod(0o755)
    text = airflow.rendered(settings(program=str(program), working_dir=str(folder)))
    self.dag_file.write_text(text, "utf-8")
    self._call("-m", "airflow", "db", "migrate")

  def _call(self, *words):
    home = {
      "AIRFLOW_HOME": str(self.folder / "home"),
      "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
      "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    done = subprocess.run(
      [self.python, *words],
      capture_output=True,
      text=True,
      env={**os.environ, **home},
      timeout=300,
      check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    self.log = done.stderr
    return done.stdout

  def run(self, *runs, **endings):
    """Runs DAGs, one after the other; nodes end as `endings` says, try by try."""
    for node, statuses in endings.items():
      (self.folder / node).write_text(statuses)
    (self.folder / "calls").unlink(missing_ok=True)
    out = self._call(str(RUNS), str(self.dag_file), json.dumps(runs))
    return json.loads(out.splitlines()[-1])

  def calls(self):
    return [json.loads(line) for line in (self.folder / "calls").open()]


@pytest.mark.slow
def test_a_real_airflow_runs_it(airflow_python, tmp_path):
  home = Airflow(airflow_python, tmp_path)
  found = home.run(
    ["small", {"training.steps": 60}],  # Trainer is tried twice, nothing is promoted
    ["small", {"promote": "production"}],  # InfraCheck refuses
    ["small", {}],  # PatchGen's settings are wrong
    ["small", {"promote": "production"}],
    ["small_promote", {"run_id": "manual__7"}],
    Trainer="1 0 0 0",
    InfraCheck="0 3 0",
    PatchGen="0 0 2 0",
    Promote="0 3",
  )
  assert not found["errors"]
  assert found["seconds"] < 1
  assert not NOTHING_OF & set(found["modules"])
  assert set(found["dags"]) == {"small", "small_promote"}
  tasks = found["dags"]["small"]["tasks"]
  assert {name: facts["upstream"] for name, facts in tasks.items()} == {
    "PatchGen": [],
    "Trainer": ["PatchGen"],
    "InfraCheck": ["Trainer"],
    "Pusher": ["InfraCheck", "Trainer"],
    "Promote": ["Pusher"],
  }
  assert tasks["Trainer"]["pool"] == "training"
  assert tasks["Trainer"]["timeout"] == 168 * 3600
  assert tasks["Pusher"]["pool"] == "default_pool"
  assert found["dags"]["small"]["params"]["training.steps"] == 40

  retried, refused, mistaken, promoted, promotion = found["runs"]
  states = {name: state for name, (state, _) in retried["tasks"].items()}
  assert retried["state"] == "success"
  assert states.pop("Promote") == "skipped"
  assert set(states.values()) == {"success"}
  assert refused["state"] == "success"
  for name in ("InfraCheck", "Pusher", "Promote"):
    assert refused["tasks"][name][0] == "skipped"
  assert mistaken["state"] == "failed"
  assert mistaken["tasks"]["PatchGen"][0] == "failed"
  assert promoted["state"] == "success"
  assert promoted["tasks"]["Promote"][0] == "success"
  assert promotion["state"] == "failed"  # a person asked, and was refused

  calls = home.calls()
  nodes = [words[words.index("--node") + 1] for words in calls if "--node" in words]
  whole = ["PatchGen", "Trainer", "InfraCheck", "Pusher"]
  assert nodes == [
    *("PatchGen", "Trainer", "Trainer", "InfraCheck", "Pusher"),
    *("PatchGen", "Trainer", "InfraCheck"),
    "PatchGen",
    *whole,
  ]
  assert "--set=training.steps=60" in calls[0]
  assert calls[0][calls[0].index("--run-id") + 1] == retried["id"]
  by_param, by_person = [words for words in calls if "--node" not in words]
  assert by_param[:3] == ["models", "promote", f"run:{promoted['id']}"]
  assert by_person[2] == "run:manual__7"
  assert by_person[by_person.index("--to") + 1] == "production"
  assert "Trainer says red, 1%" not in home.log
  assert "2%" in home.log
