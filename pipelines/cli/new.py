"""`hardmine new`: a project of one's own, which runs as it is written."""

from __future__ import annotations

import argparse
import os
import re
import string
from pathlib import Path

from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.config import require

HELP = (
  "Makes a folder with an experiment, a module of your own beside it, a test, a README "
  "and a Makefile. It runs at once on photographs that come with hardmine."
)
KINDS = ("codec",)
_TEMPLATES = Path(__file__).resolve().parents[1] / "templates"
_ENDING = ".template"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "project", metavar="PROJECT", help="a folder that is new or empty; its name too"
  )
  parser.add_argument(
    "--kind", choices=KINDS, default="codec", help="(default %(default)s)"
  )


def run(args: argparse.Namespace) -> int:
  """Writes the project.

  Raises:
    ValueError: something is there, or the name cannot be an experiment's.
    OSError: it cannot be written.
  """
  project = Path(os.path.abspath(os.path.expanduser(args.project)))
  require(
    re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", project.name) is not None,
    "a name of letters, digits and underscores, which begins with a letter",
    project=args.project,
  )
  require(
    not os.path.lexists(project) or (project.is_dir() and not any(project.iterdir())),
    "a folder that is new or empty",
    project=args.project,
  )
  project.mkdir(parents=True, exist_ok=True)
  for template in sorted((_TEMPLATES / args.kind).iterdir()):
    if template.name.endswith(_ENDING):
      text = string.Template(template.read_text("utf-8")).substitute(name=project.name)
      with open(
        project / template.name.removesuffix(_ENDING), "x", encoding="utf-8"
      ) as file:
        file.write(text)
  print(
    printable(f"made {project}; now: cd {args.project} && hardmine run experiment.py")
  )
  return 0
