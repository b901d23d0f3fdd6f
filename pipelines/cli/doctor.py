"""`hardmine doctor`: what is installed, what is missing and how to get it.

Reads package metadata only: nothing heavy is imported, so it also answers where
TensorFlow or TFX cannot be loaded.
"""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
  from packaging.requirements import Requirement

HELP = (
  "Checks this environment against what hardmine needs, line by line with the remedy. "
  "Says which parts are installed: light (finished models), worker (Beam), pipelines "
  "(TensorFlow and TFX). Exits 1 when something that all of them need is missing."
)
_REPOSITORY = Path(__file__).resolve().parents[2]  # not `hardmine/`, which links here
# Lane: Pythons it runs on, glibc its wheels need.
_LANES = {
  "tfx-1.16": (((3, 10),), (2, 28)),
  "tfx-1.21": (((3, 12), (3, 13)), (2, 39)),
}
# Extra of setup.py that is a part: the package that shows it, what it is for.
_PARTS = {
  "worker": ("apache-beam", "mining and conversion"),
  "pipelines": ("tfx", "training, pipelines and models of TensorFlow"),
}
# Subject, extra of setup.py, the package that it brings.
_EXTRAS = (
  ("gs:// paths", "gcs", "gcsfs"),
  ("s3:// paths", "s3", "s3fs"),
  ("--beam dask", "dask", "distributed"),
  ("signatures", "signing", "model-signing"),
  ("HEIC", "formats", "pillow-heif"),
  ("JPEG XL", "formats", "pillow-jxl-plugin"),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finding:
  """One line: `ok`, `note` (works without) or `missing` (does not)."""

  status: str
  subject: str
  found: str
  remedy: str = ""


def add_arguments(parser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args) -> int:
  """Prints every finding."""
  lane = lane_of(sys.version_info[:2])
  parts = {part: check_part(part, lane) for part in _PARTS}
  installed = ["light", *(part for part, found in parts.items() if _is_whole(found))]
  findings = [
    check_python(sys.version_info[:2]),
    check_glibc(lane, platform.libc_ver()),
    *check_requirements(),
    # By their names, as `pipelines` brings what `worker` brings.
    *{one.subject: one for found in parts.values() for one in found}.values(),
    check_lock(lane, _REPOSITORY / "requirements"),
    check_checksums(),
    check_gpu(),
    *(check_extra(*extra) for extra in _EXTRAS),
    check_models(),
    Finding(
      status="ok",
      subject="machine",
      found=f"{platform.machine()}, {_num_cores()} cores, "
      f"{shutil.disk_usage('.').free >> 30} GiB free here",
    ),
  ]
  missing = [finding for finding in findings if finding.status == "missing"]
  if args.json:
    plain = [dataclasses.asdict(finding) for finding in findings]
    report = {"lane": lane, "ready": not missing, "installed": installed}
    print(json.dumps({**report, "findings": plain}))
  else:
    for finding in findings:
      remedy = f"\n{'':28}-> {finding.remedy}" if finding.remedy else ""
      print(f"{finding.status:<8}{finding.subject:<20}{finding.found}{remedy}")
    ready = f"hardmine is ready: {', '.join(installed)}"
    print(f"not ready, missing: {len(missing)}" if missing else ready)
  return 1 if missing else 0


def lane_of(python: tuple[int, ...]) -> str | None:
  """The dependency lane of a Python version, or None where there is none."""
  return next((lane for lane, (ours, _) in _LANES.items() if python in ours), None)


def pythons_with_a_lane() -> str:
  """Their versions, in words."""
  *most, last = (
    ".".join(map(str, python)) for ours, _ in _LANES.values() for python in ours
  )
  return f"{', '.join(most)} or {last}"


def check_python(python: tuple[int, ...]) -> Finding:
  """Python decides about the lane; finished models and Beam need none."""
  lane, version = lane_of(python), ".".join(map(str, python))
  if lane is None:
    return Finding(
      status="note" if python >= (3, 10) else "missing",
      subject="python",
      found=f"{version}, which no TFX supports",
      remedy=f"for pipelines use {pythons_with_a_lane()}; in a checkout, `make "
      "install` chooses and fetches one",
    )
  return Finding(status="ok", subject="python", found=f"{version}, lane {lane}")


def check_glibc(lane: str | None, libc: tuple[str, str]) -> Finding:
  """TFX's wheels are built against a glibc."""
  name, version = libc
  needed = _LANES[lane][1] if lane else (0, 0)
  numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
  if lane and (name != "glibc" or numbers < needed):
    return Finding(
      status="note",
      subject="glibc",
      found=f"{name or 'none'} {version}",
      remedy=f"for pipelines, lane {lane} needs glibc {'.'.join(map(str, needed))}; "
      "in a checkout, `make install` chooses the lane that fits",
    )
  return Finding(status="ok", subject="glibc", found=version or "none")


def check_requirements(extra: str = "") -> list[Finding]:
  """What hardmine's own metadata asks for, against what is installed.

  Args:
    extra: of setup.py, whose requirements beyond the light install's are checked.
  """
  findings = []
  for requirement in requirements(extra):
    version = _version_of(requirement.name)
    wanted = f"{requirement.name}{requirement.specifier}"
    if version and requirement.specifier.contains(version, prereleases=True):
      findings.append(Finding(status="ok", subject=requirement.name, found=version))
    else:
      findings.append(
        Finding(
          status="note" if extra else "missing",
          subject=requirement.name,
          found=version or "not installed",
          remedy=f"make install, or pip install '{wanted}'",
        )
      )
  return findings


def check_part(part: str, lane: str | None) -> list[Finding]:
  """One line for a part that is not installed; else one for each of its packages."""
  package, purpose = _PARTS[part]
  remedy = f"make install, or pip install 'hardmine[{part}]'"
  if part == "pipelines" and lane is None:
    remedy = f"use Python {pythons_with_a_lane()}"
  elif _version_of(package):
    return check_requirements(part)
  found = f"not installed; it is for {purpose}"
  return [Finding(status="note", subject=part, found=found, remedy=remedy)]


def _is_whole(findings: list[Finding]) -> bool:
  return all(finding.status == "ok" for finding in findings)


def requirements(extra: str) -> Iterator[Requirement]:
  """Those of the light install, or those that an extra adds to them."""
  from packaging.requirements import Requirement

  for line in metadata.requires("hardmine") or []:
    requirement = Requirement(line)
    wanted_by = [
      name
      for name in ("", extra)
      if requirement.marker is None or requirement.marker.evaluate({"extra": name})
    ]
    if wanted_by and wanted_by[0] == extra:
      yield requirement


def check_lock(lane: str | None, locks_dir: Path) -> Finding:
  """Whether the versions are the ones that were tested together."""
  path = locks_dir / f"{lane}.lock"
  if not path.is_file():
    return Finding(
      status="note",
      subject="lock file",
      found="none beside this installation",
      remedy="in a checkout, `make install` installs the tested versions",
    )
  pins = dict(
    line.split(" ")[0].split("==")
    for line in path.read_text("utf-8").splitlines()
    if "==" in line and not line.startswith((" ", "#"))
  )
  different = []
  for name, pinned in pins.items():
    version = _version_of(name)
    if version != pinned:
      different.append(f"{name} {version or 'absent'} (tested: {pinned})")
  if different:
    shown = ", ".join(different[:3]) + (", ..." if len(different) > 3 else "")
    return Finding(
      status="note",
      subject="lock file",
      found=f"{len(different)} of {len(pins)} packages differ: {shown}",
      remedy="make install",
    )
  return Finding(
    status="ok", subject="lock file", found=f"{len(pins)} packages as in {path.name}"
  )


def check_checksums() -> Finding:
  """Without its C part, google-crc32c makes reading records slow."""
  if util.find_spec("google_crc32c") is None:
    return Finding(status="missing", subject="checksums", found="no google-crc32c")
  import google_crc32c

  if google_crc32c.implementation != "c":
    return Finding(
      status="note",
      subject="checksums",
      found="in pure Python, many times slower",
      remedy="install google-crc32c from a wheel, not from source",
    )
  return Finding(status="ok", subject="checksums", found="in C")


def check_gpu(dev: Path = Path("/dev")) -> Finding:
  """GPUs are optional; a GPU without CUDA's libraries stays unused."""
  if not any(any(dev.glob(name)) for name in ("nvidia[0-9]*", "dxg")):
    return Finding(
      status="note", subject="GPU", found="none: training and coding use the CPU"
    )
  for name in ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"):
    if _version_of(name):
      found = f"present, {name} {_version_of(name)}"
      return Finding(status="ok", subject="GPU", found=found)
  return Finding(
    status="note",
    subject="GPU",
    found="present, without the CUDA libraries that TensorFlow loads",
    remedy="make install-gpu, or pip install 'hardmine[gpu]'",
  )


def check_extra(subject: str, extra: str, package: str) -> Finding:
  """What hardmine does without, as long as nobody wants it."""
  version = _version_of(package)
  if version is None:
    return Finding(
      status="note",
      subject=subject,
      found="not supported here",
      remedy=f"make install, or pip install 'hardmine[{extra}]'",
    )
  return Finding(status="ok", subject=subject, found=f"{package} {version}")


def check_models() -> Finding:
  """Models that ship with the package."""
  from hardmine.pipelines.cli.model_ref import shipped_models

  names = ", ".join(shipped_models())
  if names:
    return Finding(status="ok", subject="shipped models", found=names)
  return Finding(
    status="note",
    subject="shipped models",
    found="none: encode and decode need --model",
    remedy="hardmine run trains one",
  )


def _num_cores() -> int | None:
  """Those that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count()


def _version_of(name: str) -> str | None:
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return None
