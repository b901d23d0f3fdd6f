"""Beam arguments of Google's Dataflow, from those that people give.

Workers find nothing of this machine. They install what is staged with the job: our
package and what reads buckets, or nothing where an image holds both, and a user's own
modules by name.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from hardmine.components.jobs.job_identity import RUNNER, check_labels
from hardmine.pipelines.wheels import (
  installed_package,
  requirements,
  text_file,
  user_package,
)
from hardmine.schemas.config import require

_NEEDED = {
  "project": "PROJECT_ID",
  "region": "us-central1",
  "temp_location": "gs://BUCKET/temp",
}
_TEXTS = (
  *_NEEDED,
  "staging_location",
  "setup_file",
  "sdk_container_image",
  "requirements_file",
)
_COUNTS = ("num_workers", "max_num_workers", "disk_size_gb")
_GCS = re.compile(r"gs://[a-z0-9][-_a-z0-9.]+[a-z0-9]/[^\r\n]*")
_PROJECT = re.compile(r"[a-z][-a-z0-9:.]+[a-z0-9]")
_REQUIREMENTS = "requirements.txt"
_WITHOUT_MODELS = "HARDMINE_WITHOUT_MODELS"  # which `setup.py` asks for
_MODELS = "hardmine/trainers/codec/pretrained"
_BUCKETS = ("gcs",)  # `setup.py`'s extras without which workers read nothing


def dataflow(flags: Sequence[str], *, modules: Sequence[str | Path] = ()) -> list[str]:
  """Arguments for Dataflow.

  `components.jobs.job_identity.identified` adds the job's name, where it is known.

  Args:
    flags: Beam's own, as `--region=us-central1` or two words. `--project`, `--region`
      and `--temp_location` must be among them. What is staged of ours is, by default, a
      source distribution by the `setup.py` of a checkout or a wheel of what is
      installed; nothing where `--sdk_container_image` names an image.
    modules: a user's files and packages that the workers import (`user_package`).

  Returns:
    One word each.

  Raises:
    ValueError: one is missing, or Dataflow would refuse it; before anything is sent.
  """
  parser = _parser()
  known, others = parser.parse_known_args(list(flags))
  for name, example in _NEEDED.items():
    require(
      bool(getattr(known, name)),
      f"--{name} for Dataflow, as --{name}={example}",
      **{name: getattr(known, name)},
    )
  _check_project(known.project)
  for name in ("temp_location", "staging_location"):
    place = getattr(known, name)
    require(
      place is None or bool(_GCS.fullmatch(place)),
      f"--{name} as gs://BUCKET/FOLDER, which Dataflow's workers see",
      **{name: place},
    )
  _check_counts(known)
  labels = _labels(known.labels)
  check_labels(labels, given=labels)
  names = (*_NEEDED, "staging_location", *_COUNTS)
  given = {name: getattr(known, name) for name in names}
  return [
    f"--runner={RUNNER}",
    *(f"--{name}={value}" for name, value in given.items() if value is not None),
    *_staged(known, modules),
    *(f"--experiments={name}" for name in (*known.experiments, *_experiments())),
    *(f"--labels={key}={value}" for key, value in labels.items()),
    *others,
  ]


class _Parser(argparse.ArgumentParser):
  def error(self, message: str) -> NoReturn:
    raise ValueError(f"Expected Beam's flags with their values: {message}")


def _parser() -> argparse.ArgumentParser:
  parser = _Parser(add_help=False, allow_abbrev=False)
  for name in _TEXTS:
    parser.add_argument(f"--{name}")
  for name in _COUNTS:
    parser.add_argument(f"--{name}", type=int)
  parser.add_argument("--labels", "--label", action="append", default=[])
  for name in ("extra_package", "experiment"):
    parser.add_argument(f"--{name}s", f"--{name}", action="append", default=[])
  parser.add_argument("--runner")  # `--beam dataflow` chose it
  return parser


def _check_project(project: str) -> None:
  require(
    bool(_PROJECT.fullmatch(project)),
    "--project as the project's ID, which is neither its number nor its title",
    project=project,
  )


def _check_counts(known: argparse.Namespace) -> None:
  for name in _COUNTS:
    count = getattr(known, name)
    require(count is None or count > 0, f"--{name} > 0", **{name: count})
  if known.num_workers and known.max_num_workers:
    require(
      known.num_workers <= known.max_num_workers,
      "--num_workers <= --max_num_workers",
      num_workers=known.num_workers,
      max_num_workers=known.max_num_workers,
    )


def _labels(words: Sequence[str]) -> dict[str, str]:
  """`KEY=VALUE` each, or a dictionary in Beam's other spelling."""
  labels: dict[str, str] = {}
  for word in words:
    if word.lstrip().startswith("{"):
      try:
        more = {str(k): str(v) for k, v in ast.literal_eval(word.strip()).items()}
      except (AttributeError, SyntaxError, ValueError):
        more = {}
      require(bool(more), '--labels as KEY=VALUE or {"KEY": "VALUE"}', labels=word)
    else:
      key, _, value = word.partition("=")
      more = {key: value}
    for key in more:
      require(key not in labels, "each label once", label=key)
    labels |= more
  return labels


def _staged(known: argparse.Namespace, modules: Sequence[str | Path]) -> list[str]:
  """What workers install, in the order in which they do."""
  arguments: list[str] = []
  packages = [*known.extra_packages]
  if known.sdk_container_image:
    require(
      known.setup_file is None,
      "--setup_file or --sdk_container_image, which holds our package already",
      setup_file=known.setup_file,
    )
    arguments.append(f"--sdk_container_image={known.sdk_container_image}")
    if known.requirements_file:
      arguments.append(f"--requirements_file={known.requirements_file}")
  else:
    arguments += _requirements(known.requirements_file)
    setup_file = known.setup_file or _own_setup_file()
    if setup_file:
      os.environ[_WITHOUT_MODELS] = "1"  # Beam runs it, with this environment
      arguments.append(f"--setup_file={_checked_setup_file(setup_file)}")
    else:
      packages.append(str(installed_package("hardmine", without=_MODELS)))
  if modules:
    packages.append(str(user_package(modules)))
  return [*arguments, *(f"--extra_package={package}" for package in packages)]


def _experiments() -> list[str]:
  """Beam would have pip list this environment, and complain where there is none."""
  return [] if find_spec("pip") else ["disable_logging_submission_environment"]


def _requirements(path: str | None) -> list[str]:
  """What our package does not bring by itself, after what the user asks for.

  Beam would download it here, for workers without a network; they have one if our
  package's own requirements are to be installed, and our environment may lack pip.
  """
  lines = requirements(_BUCKETS)
  if path is not None:
    require(
      Path(path).is_file(), "--requirements_file as a file", requirements_file=path
    )
    lines = [Path(path).read_text("utf-8").rstrip("\n"), *lines]
  file = text_file(_REQUIREMENTS, "\n".join(lines) + "\n")
  return [f"--requirements_file={file}", "--requirements_cache=skip"]


def _own_setup_file() -> Path | None:
  """That of the checkout that we run from, if we do."""
  path = Path(__file__).resolve().parents[1] / "setup.py"
  return path if (path.parent / "hardmine" / "pipelines").is_symlink() else None


def _checked_setup_file(path: str | Path) -> Path:
  """An absolute path: Beam goes to its folder to build."""
  require(
    Path(path).name == "setup.py" and Path(path).is_file(),
    "--setup_file as the path of a setup.py",
    setup_file=str(path),
  )
  return Path(path).resolve()
