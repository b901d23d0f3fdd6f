"""The `hardmine` command: finds the sub-command, runs it, turns errors into lines.

A sub-command is a module of this folder with

    HELP: str                       what it does, for its own --help
    add_arguments(parser) -> None
    run(args) -> int                the exit status
    PASSES_ON = True                optional: unknown arguments (Beam's flags) are
                                    kept in `args.passed_on` and not refused

and one line in COMMANDS. It is imported only when called, and imports nothing
heavy at its own top level, so every `--help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from types import ModuleType

from hardmine.pipelines.cli.signals import signals_raise
from hardmine.pipelines.cli.tables import os_error_line, printable
from hardmine.schemas.streams import Streams

COMMANDS = {
  "demo": "the whole codec story on bundled photographs, in minutes",
  "mine": "find the patches of photographs that compress worst",
  "coco": "turn annotated images into detection records",
  "run": "run an experiment's pipeline: mine, train, evaluate, push",
  "compile": "write a pipeline as a file of a scheduler, such as Airflow",
  "train": "train a codec for days, stopped and resumed at any time",
  "entropy": "fit what makes a codec's files smaller still",
  "evaluate": "measure a codec's curve or a detector's precision",
  "study": "measure many detectors side by side, and show what buys what",
  "encode": "compress a photograph with a model",
  "decode": "turn a compressed file back into an image",
  "detect": "find the objects in photographs with a model",
  "serve": "serve the model behind an alias over HTTP, with a page",
  "models": "list, promote and roll back the models of a store",
  "inspect": "say what a compressed file or a set holds, and if it is whole",
  "clean": "remove what runs and killed jobs left",
  "new": "make a project of your own, which runs as it is written",
  "board": "write static pages about a model store",
  "doctor": "say what is installed, what is missing and how to get it",
}

# Read by TensorFlow's and gRPC's C++ when they are loaded; what the user set stays.
_QUIET = {
  "TF_CPP_MIN_LOG_LEVEL": "3",
  "GRPC_VERBOSITY": "ERROR",
}
# Module that may be missing: its name in words, the extra of setup.py that brings it.
PACKAGES = {
  "absl": ("Abseil", "pipelines"),
  "apache_beam": ("Apache Beam", "worker"),
  "dask": ("Dask", "dask"),
  "distributed": ("Dask's scheduler", "dask"),
  "gcsfs": ("gcsfs", "gcs"),
  "keras": ("Keras", "pipelines"),
  "matplotlib": ("Matplotlib", "pipelines"),
  "ml_metadata": ("ML Metadata", "pipelines"),
  "model_signing": ("model-signing", "signing"),
  "pycocotools": ("pycocotools", "pipelines"),
  "pymysql": ("pymysql", "mysql"),
  "s3fs": ("s3fs", "s3"),
  "skimage": ("scikit-image", "pipelines"),
  "tensorflow": ("TensorFlow", "pipelines"),
  "tensorflow_metadata": ("TensorFlow Metadata", "pipelines"),
  "tfx": ("TFX", "pipelines"),
}
# Looked for before a command starts: `demo` and `run` would first prepare things.
_NEEDED_AT_ONCE = {
  "compile": "tfx",
  "demo": "tfx",
  "run": "tfx",
}
_OURS = ("schemas", "trainers", "serving", "components", "pipelines")
# Whose own exceptions say that a bucket, or the right to it, is missing.
_CLOUD_CLIENTS = {"aiobotocore", "aiohttp", "boto3", "botocore", "gcsfs", "google"}


def run() -> None:
  """The console script."""
  be_quiet()
  streams = Streams()
  status = main()
  loss = streams.loss()
  if loss is not None and status == 0:
    status = _complain(f"the answer could not be written: {loss.strerror}", 1)
  sys.exit(status)


def be_quiet() -> None:
  """Passes over libraries' advice to their own developers, unless it was asked for."""
  if not sys.warnoptions:
    warnings.simplefilter("ignore")
    os.environ["PYTHONWARNINGS"] = "ignore"  # in Beam's workers too


def main(argv: Sequence[str] | None = None) -> int:
  """Runs one command.

  Args:
    argv: the words behind `hardmine`; None takes the process's own.

  Returns:
    0; 2 for what the caller can fix (a usage error, a ValueError); 1 for what the
    world did (a RuntimeError, an OSError, a missing package); 128 and its number
    when a signal ended it; or what the sub-command returned.
  """
  words = list(sys.argv[1:] if argv is None else argv)
  for name, value in _QUIET.items():
    os.environ.setdefault(name, value)
  shows = "--traceback" in words or bool(os.environ.get("HARDMINE_TRACEBACK"))
  with signals_raise() as signals:
    try:
      return _dispatch(words)
    except BaseException as error:
      if signals:  # whatever became of it on the way here
        if shows:
          traceback.print_exc()
        name = signal.Signals(signals[0]).name
        return _complain(f"ended by {name}", 128 + signals[0])
      if shows:
        raise
      told = _told(error, words)
      if told is None:
        raise
      return _complain(*told)


def _told(error: BaseException, words: list[str]) -> tuple[str, int] | None:
  """The line about an error and the exit status; None for a fault of ours."""
  match error:
    case KeyboardInterrupt():
      return "interrupted", 130
    case ModuleNotFoundError():
      if (error.name or "").split(".")[0] == "hardmine":
        return None
      return _missing_line(_command_of(words) or "hardmine", error), 1
    case ValueError():
      return str(error), 2
    case OSError():
      return os_error_line(error), 1
    case RuntimeError() | MemoryError():
      return str(error) or "out of memory", 1
  if type(error).__module__.split(".")[0] in _CLOUD_CLIENTS:
    return f"storage cannot be reached: {error}", 1
  return None


def _dispatch(words: list[str]) -> int:
  parser = argparse.ArgumentParser(
    prog="hardmine",
    description="Trains image codecs and object detectors, and puts them to work.",
    epilog="`hardmine COMMAND --help` says more about each.",
  )
  parser.add_argument("--version", action="store_true", help="print it and exit")
  parser.add_argument(
    "--traceback",
    action="store_true",
    default=bool(os.environ.get("HARDMINE_TRACEBACK")),
    help="show where an error came from (also: HARDMINE_TRACEBACK=1)",
  )
  commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
  chosen = _command_of(words)
  module, chosen_parser = None, parser
  for name, text in COMMANDS.items():
    command = commands.add_parser(name, help=text)
    if name == chosen:
      module, chosen_parser = _import_command(name), command
      command.description = module.HELP
      module.add_arguments(command)
  try:
    args, unknown = parser.parse_known_args(words)
    if unknown and not getattr(module, "PASSES_ON", False):
      chosen_parser.error(f"unrecognized arguments: {' '.join(unknown)}")
  except SystemExit as stop:  # --help, or a usage error that argparse has printed
    return stop.code if isinstance(stop.code, int) else 2
  if args.version:
    from importlib import metadata

    print(f"hardmine {metadata.version('hardmine')}")
    return 0
  if module is None:
    parser.print_help()
    return 2
  args.passed_on = unknown
  args.own_flags = tuple(chosen_parser._option_string_actions)  # for one misspelt
  _check_needed(args.command)
  return module.run(args)


def _command_of(words: list[str]) -> str | None:
  # Before it stand only options that take no value.
  return next((word for word in words if not word.startswith("-")), None)


def _import_command(name: str) -> ModuleType:
  return importlib.import_module(f"hardmine.pipelines.cli.{name}")


def _check_needed(command: str) -> None:
  module = _NEEDED_AT_ONCE.get(command)
  if module and importlib.util.find_spec(module) is None:
    raise ModuleNotFoundError(f"No module named {module!r}", name=module)


def _missing_line(command: str, error: ModuleNotFoundError) -> str:
  module = (error.name or "").split(".")[0]
  if module in _OURS:  # as experiments of version 0.1 imported it
    return f"{error}: import it as hardmine.{module}"
  if module not in PACKAGES:
    return (
      f"{error}: install it, or put it beside the experiment that imports it "
      "(`hardmine doctor` checks hardmine's own packages)"
    )
  name, extra = PACKAGES[module]
  line = f"{command} needs {name}: pip install 'hardmine[{extra}]'"
  if extra == "pipelines":
    from hardmine.pipelines.cli.doctor_packages import lane_of, pythons_with_a_lane

    if lane_of(sys.version_info[:2]) is None:  # or the extra would not bring it
      line += f" under Python {pythons_with_a_lane()}"
  return line


def _complain(message: str, status: int) -> int:
  line = printable(" ".join(message.splitlines()))
  print("hardmine:", line, file=sys.stderr)
  return status
