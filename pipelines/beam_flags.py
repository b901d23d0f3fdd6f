"""Beam's own flags, which a command passes on: known ones, for the chosen runner."""

from __future__ import annotations

import argparse
import difflib
import importlib
from collections.abc import Iterable, Sequence
from typing import NoReturn

# Flags that mean one runner and no other, by how they begin.
_RUNNER_OF = {"--dask_": "dask", "--job_endpoint": "portable", "--region": "dataflow"}


def refuse_all(flags: Sequence[str], own: Iterable[str] = ()) -> None:
  """Refuses what no runner is there to take.

  Args:
    flags: words that the command does not know.
    own: the command's own flags.

  Raises:
    ValueError: there is a word.
  """
  if not flags:
    return
  name = _name(flags[0])
  runner = _runner_of(name)
  if runner is not None:
    raise ValueError(f"{name} needs --beam {runner}. Received: {flags[0]}")
  raise ValueError(
    f"Expected an argument of this command{_near(name, own)}; flags of Beam's need "
    f"--beam dask, portable or dataflow. Received: {flags[0]}"
  )


def check_known(beam: str, flags: Sequence[str], own: Iterable[str] = ()) -> None:
  """Refuses what Beam does not know or what means another runner; imports Beam.

  Args:
    beam: the chosen runner.
    flags: as Beam spells them, `--name=value`.
    own: the command's own flags, of which one may be misspelt.

  Raises:
    ValueError: there is such a flag, or a value is not of its kind.
  """
  parser = _parser(beam)
  names = parser.option_names()
  for name in map(_name, flags):
    runner = _runner_of(name)
    if runner is not None and runner != beam:
      raise ValueError(f"{name} means --beam {runner}. Received: --beam {beam}")
    if name == "--runner":
      raise ValueError(f"--beam says where to run. Received: {name}")
  _, unknown = parser.parse_known_args(list(flags))
  for word in unknown:
    if not word.startswith("-"):
      raise ValueError(f"Expected flags of Beam's as --name=value. Received: {word}")
    raise ValueError(
      f"Expected a flag of this command or of Beam's{_near(_name(word), own, names)}. "
      f"Received: {word}"
    )


def value_of(flags: Sequence[str], name: str) -> str | None:
  """The value of a flag, the last one where it is repeated; None without it."""
  parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
  parser.add_argument(name, dest="value")
  return parser.parse_known_args(list(flags))[0].value


class _Complaint(argparse.ArgumentParser):
  """Raises where argparse would print a page."""

  def error(self, message: str) -> NoReturn:
    raise ValueError(f"Expected Beam's flags in order. Received: {message}")


def _parser(beam: str) -> argparse.ArgumentParser:
  """Of the flags of all of Beam's options."""
  from apache_beam.options import pipeline_options

  if beam == "dask":  # whose options are in a module of their own
    importlib.import_module("hardmine.components.jobs.dask_runner")

  class Parser(_Complaint, pipeline_options._BeamArgumentParser):
    def option_names(self) -> list[str]:
      return list(self._option_string_actions)

  parser = Parser(add_help=False)
  known = {
    str(kind): kind for kind in pipeline_options.PipelineOptions.__subclasses__()
  }
  for kind in known.values():  # a class that was defined twice counts once, as in Beam
    kind._add_argparse_args(parser)
  return parser


def _runner_of(name: str) -> str | None:
  found = (runner for start, runner in _RUNNER_OF.items() if name.startswith(start))
  return next(found, None)


def _name(flag: str) -> str:
  return flag.partition("=")[0]


def _near(name: str, *known: Iterable[str]) -> str:
  """The names that a misspelt one may mean, as a part of a sentence."""
  names = [each for names in known for each in names if each.startswith("--")]
  near = difflib.get_close_matches(name, names, n=3, cutoff=0.75)
  return f", perhaps {' or '.join(near)}" if near else ""
