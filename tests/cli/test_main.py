"""`hardmine` itself: help, errors and exit statuses, in process where possible."""

from __future__ import annotations

import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import time
import types
import weakref
from importlib import metadata

import pytest
from botocore.exceptions import NoCredentialsError
from packaging.requirements import Requirement

from hardmine.pipelines.cli import doctor_packages, signals
from hardmine.pipelines.cli import main as cli
from hardmine.schemas.outputs import StagedFolder


@pytest.fixture
def command(monkeypatch):
  """Puts a command of the given behaviour in the place of `board`."""

  def install(behaviour, **attributes):
    module = types.ModuleType("hardmine.pipelines.cli.board")
    module.HELP = "A command for this test."
    module.add_arguments = lambda parser: parser.add_argument("--flag")
    module.run = behaviour
    for name, value in attributes.items():
      setattr(module, name, value)
    monkeypatch.setitem(sys.modules, "hardmine.pipelines.cli.board", module)

  monkeypatch.delenv("HARDMINE_TRACEBACK", raising=False)
  return install


def raising(error):
  def run(args):
    raise error

  return run


def test_help_lists_every_command(capsys):
  assert cli.main(["--help"]) == 0
  lines = capsys.readouterr().out.splitlines()
  for name, text in cli.COMMANDS.items():
    assert any(line.split()[:1] == [name] and text in line for line in lines)


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_command_explains_itself(name, capsys):
  if importlib.util.find_spec(f"hardmine.pipelines.cli.{name}") is None:
    pytest.fail(f"COMMANDS names {name}, which pipelines/cli does not have")
  module = importlib.import_module(f"hardmine.pipelines.cli.{name}")
  assert cli.main([name, "--help"]) == 0
  out = " ".join(capsys.readouterr().out.split())
  assert f"usage: hardmine {name}" in out
  assert " ".join(module.HELP.split())[:40] in out


def test_no_command_prints_help_and_is_a_usage_error(capsys):
  assert cli.main([]) == 2
  assert "commands:" in capsys.readouterr().out


def test_version_is_the_packages(capsys):
  assert cli.main(["--version"]) == 0
  assert capsys.readouterr().out.split() == ["hardmine", metadata.version("hardmine")]


@pytest.mark.parametrize(
  "words", [["nonsense"], ["--nonsense"], ["inspect"], ["inspect", "f", "--nonsense"]]
)
def test_usage_errors_exit_2_without_a_traceback(words, capsys):
  assert cli.main(words) == 2
  captured = capsys.readouterr()
  assert "usage: hardmine" in captured.err
  assert "Traceback" not in captured.err


@pytest.mark.parametrize(
  ("error", "status", "line"),
  [
    (ValueError("Expected x > 0. Received: x=0"), 2, "Expected x > 0. Received: x=0"),
    (ValueError("first\nsecond"), 2, "first second"),
    (RuntimeError("out/ is incomplete; make it again"), 1, "out/ is incomplete; "),
    (NoCredentialsError(), 1, "storage cannot be reached: Unable to locate credent"),
    (FileNotFoundError(2, "No such file or directory", "a.png"), 1, "a.png: No such"),
    (OSError("disk on fire"), 1, "disk on fire"),
    (MemoryError(), 1, "out of memory"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (ModuleNotFoundError("No module named 'odd'", name="odd"), 1, "hardmine doctor"),
  ],
)
def test_errors_become_one_line_and_a_status(command, capsys, error, status, line):
  command(raising(error))
  assert cli.main(["board"]) == status
  err = capsys.readouterr().err
  assert err.startswith("hardmine: ")
  assert line in err
  assert err.count("\n") == 1


@pytest.mark.parametrize(
  ("module", "line"),
  [
    ("apache_beam.io", "board needs Apache Beam: pip install 'hardmine[worker]'"),
    ("tensorflow", "board needs TensorFlow: pip install 'hardmine[pipelines]'"),
    ("gcsfs", "board needs gcsfs: pip install 'hardmine[gcs]'"),
  ],
)
def test_a_missing_package_comes_with_its_extra(command, capsys, module, line):
  command(raising(ModuleNotFoundError(f"No module named {module!r}", name=module)))
  assert cli.main(["board"]) == 1
  assert capsys.readouterr().err == f"hardmine: {line}\n"


def test_where_no_lane_is_the_line_says_which_pythons_have_one(monkeypatch):
  error = ModuleNotFoundError("No module named 'tfx'", name="tfx")
  monkeypatch.setattr(sys, "version_info", (3, 11, 7))
  assert cli._missing_line("run", error).endswith(
    "'hardmine[pipelines]' under Python 3.10, 3.12 or 3.13"
  )


@pytest.mark.parametrize("module", sorted(cli.PACKAGES))
def test_the_extra_that_is_named_brings_the_package(module):
  _, extra = cli.PACKAGES[module]
  wanted = {requirement.name for requirement in doctor_packages.requirements(extra)}
  brought = set()
  while wanted - brought:  # TFX brings ML Metadata
    name = (wanted - brought).pop()
    brought.add(name)
    for line in metadata.requires(name) or []:
      requirement = Requirement(line)
      if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        wanted.add(requirement.name)
  files = (path for name in brought for path in metadata.files(name) or [])
  assert any(path.parts[0] == module for path in files)


@pytest.mark.parametrize("words", [["run", "codec_cpu"], ["demo"]])
def test_nothing_is_begun_that_could_not_be_done(monkeypatch, capsys, words):
  monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
  assert cli.main(words) == 1
  assert "pip install 'hardmine[pipelines]'" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_traceback_is_there_for_who_asks(command, monkeypatch, how):
  command(raising(ValueError("why?")))
  words = ["--traceback", "board"] if how == "flag" else ["board"]
  if how == "environment":
    monkeypatch.setenv("HARDMINE_TRACEBACK", "1")
  with pytest.raises(ValueError, match="why"):
    cli.main(words)


def test_our_own_bugs_are_not_hidden(command):
  command(raising(TypeError("a bug")))
  with pytest.raises(TypeError, match="a bug"):
    cli.main(["board"])


def test_the_commands_own_status_is_kept(command):
  command(lambda args: 3)
  assert cli.main(["board", "--flag", "x"]) == 3


def test_unknown_arguments_are_passed_on_only_where_wanted(command, capsys):
  seen = []
  behaviour = lambda args: seen.append(args.passed_on) or 0  # noqa: E731
  command(behaviour)
  assert cli.main(["board", "--num_workers=3"]) == 2
  assert "unrecognized arguments: --num_workers=3" in capsys.readouterr().err
  command(behaviour, PASSES_ON=True)
  assert cli.main(["board", "--num_workers=3", "--flag", "x"]) == 0
  assert seen == [["--num_workers=3"]]


def test_what_the_user_set_about_logging_stays(monkeypatch):
  monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
  cli.main(["--version"])
  assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


@pytest.mark.parametrize("words", [["--help"], ["encode", "--help"], ["--version"]])
def test_help_answers_at_once_and_loads_nothing_heavy(words):
  heavy = [
    "tensorflow",
    "tfx",
    "apache_beam",
    "keras",
    "numpy",
    "PIL",
    "matplotlib",
    "rich",
    "jax",
  ]
  program = (
    "import sys; from hardmine.pipelines.cli.main import main; "
    f"status = main({words}); "
    f"print('loaded:', [m for m in {heavy} if m in sys.modules]); sys.exit(status)"
  )
  began = time.perf_counter()
  result = subprocess.run(
    [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
  )
  assert result.returncode == 0, result.stderr
  assert result.stdout.splitlines()[-1] == "loaded: []"
  # 0.2 s on an idle machine; the room is for a busy one.
  assert time.perf_counter() - began < 3


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_the_first_signal_puts_away_what_is_half_made(command, tmp_path, capsys, name):
  number = signal.Signals[name]

  def run(args):
    with StagedFolder(tmp_path / "out") as staging:
      (staging / "part").touch()
      try:
        os.kill(os.getpid(), number)
      finally:
        os.kill(os.getpid(), signal.SIGTERM)  # a supervisor's second one
        os.kill(os.getpid(), signal.SIGINT)

  before = {n: signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)}
  command(run)
  assert cli.main(["board"]) == 128 + number
  assert capsys.readouterr().err == f"hardmine: ended by {name}\n"
  assert not list(tmp_path.iterdir())
  assert {n: signal.getsignal(n) for n in before} == before


@pytest.mark.parametrize("error", [ImportError("half a module"), SystemExit(7)])
def test_a_signal_is_told_whatever_a_library_makes_of_it(command, capsys, error):
  def run(args):
    try:
      os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
      raise error from None

  command(run)
  assert cli.main(["board"]) == 130
  assert capsys.readouterr().err == "hardmine: ended by SIGINT\n"


def test_a_signal_in_a_callback_is_not_swallowed(command, capsys):
  class Module:
    pass

  def run(args):
    module = Module()
    signalled = lambda _: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    reference = weakref.ref(module, signalled)  # as every import makes one
    del module
    time.sleep(30)
    return reference

  command(run)
  assert cli.main(["board"]) == 143
  assert capsys.readouterr().err == "hardmine: ended by SIGTERM\n"


def test_a_signal_that_a_library_swallowed_can_be_sent_again(command, monkeypatch):
  def run(args):
    for _ in range(2):
      try:
        os.kill(os.getpid(), signal.SIGTERM)
      except KeyboardInterrupt:
        monkeypatch.setattr(signals, "_ONCE_SECONDS", 0.0)  # as if time had passed
      else:
        pytest.fail("no exception")
    return 0

  command(run)
  assert cli.main(["board"]) == 0


def test_a_signal_that_is_ignored_stays_ignored(command):  # as `nohup` has it
  before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
  try:
    command(lambda args: os.kill(os.getpid(), signal.SIGHUP) or 5)
    assert cli.main(["board"]) == 5
  finally:
    signal.signal(signal.SIGHUP, before)


def test_a_broken_pipe_that_is_not_stdout_is_a_failure(command, capsys):
  command(raising(BrokenPipeError(32, "Broken pipe")))  # of storage, say
  assert cli.main(["board"]) == 1
  assert "Broken pipe" in capsys.readouterr().err


ANSWER = """
import os, sys
from hardmine.pipelines.cli import doctor, main
def run(args):
  print("a" * 20000)
  print("name", os.fsdecode(b"\\xff\\xe4.png"), "\\u2603", flush=True)
  print("b" * 20000)
  print("told", file=sys.stderr)
  open("work", "w").close()
  return 0
doctor.run = run
sys.argv = ["hardmine", "doctor"]
main.run()
"""


@pytest.mark.parametrize(
  ("streams", "status", "told"),
  [
    ("", 0, "told\n"),
    ("> /dev/full", 1, "told\nhardmine: the answer could not be written: No space le"),
    (">&-", 0, "told\n"),
    ("2>&-", 0, ""),
    ("> /dev/full 2>&-", 1, ""),
    ("2> /dev/full", 0, ""),
    ("<&- >&- 2>&-", 0, ""),
    ("| (exec <&-; sleep 1)", 0, "told\n"),
    ("| head -c 1", 0, "told\n"),
  ],
)
def test_no_work_is_lost_by_a_stream(tmp_path, streams, status, told):
  (tmp_path / "answer.py").write_text(ANSWER)
  environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.getcwd()}
  result = subprocess.run(
    ["bash", "-c", f"{sys.executable} answer.py {streams}; exit ${{PIPESTATUS[0]}}"],
    cwd=tmp_path,
    env=environment,
    capture_output=True,
    text=True,
  )
  assert result.returncode == status, result.stderr
  assert result.stderr.startswith(told)
  assert (tmp_path / "work").exists()
  if not streams:
    assert "name \\udcff\\udce4.png \\u2603\n" in result.stdout


def test_a_closed_pipe_is_no_error():
  # `--help` fits into the pipe's buffer: the reader must be gone before.
  program = (
    "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); "
    "from hardmine.pipelines.cli.main import run; "
    "sys.argv = ['hardmine', 'doctor']; run()"
  )
  result = subprocess.run(
    [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
  )
  assert (result.returncode, result.stderr) == (0, "")
