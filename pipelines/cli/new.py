"""`hardmine new`: a project of one's own, which runs as it is written."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import string
from pathlib import Path

from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.config import require

HELP = (
  "Makes a folder with an experiment, a module of your own beside it, a test, a README "
  "and a Makefile. It runs at once, on photographs that come with hardmine, or on "
  "shapes that it draws."
)
KINDS = ("codec", "detector")
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
    re.fullmatch(r"[a-z][a-z0-9_]*", project.name) is not None,
    "a name of a-z, 0-9 and _, which begins with a letter",
    project=args.project,
  )
  require(
    not os.path.lexists(project) or (project.is_dir() and not any(project.iterdir())),
    "a folder that is new or empty",
    project=args.project,
  )
  project.mkdir(parents=True, exist_ok=True)
  for name, text in _files(args.kind, project.name).items():
    with open(project / name, "x", encoding="utf-8") as file:
      file.write(text)
  folder = shlex.quote(args.project)
  print(printable(f"made {project}; now: cd {folder} && hardmine run experiment.py"))
  return 0


def _files(kind: str, name: str) -> dict[str, str]:
  """What a project of a kind holds: its own templates and those of all kinds."""
  about = (_TEMPLATES / kind / "about.md").read_text("utf-8").rstrip("\n")
  return {
    path.name.removesuffix(_ENDING): string.Template(
      path.read_text("utf-8")
    ).substitute(name=name, about=about)
    for folder in ("common", kind)
    for path in sorted((_TEMPLATES / folder).iterdir())
    if path.name.endswith(_ENDING)
  }
