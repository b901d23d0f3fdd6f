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
from importlib import metadata, util
from pathlib import Path

HELP = (
  "Checks this environment against what hardmine needs, line by line with the "
  "remedy. Exits 1 when something that is needed is missing."
)
_REPOSITORY = Path(__file__).parents[2]
# Lane: Pythons it runs on, glibc its wheels need.
_LANES = {
  "tfx-1.16": (((3, 10),), (2, 28)),
  "tfx-1.21": (((3, 12), (3, 13)), (2, 39)),
}
# Subject, extra of setup.py, the package that it brings.
_EXTRAS = (
  ("gs:// paths", "gcs", "gcsfs"),
  ("s3:// paths", "s3", "s3fs"),
  ("signatures", "signing", "model-signing"),
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
  findings = [
    check_python(sys.version_info[:2]),
    check_glibc(lane, platform.libc_ver()),
    *check_requirements(),
    check_lock(lane, _REPOSITORY / "requirements"),
    check_checksums(),
    check_gpu(),
    *(check_extra(*extra) for extra in _EXTRAS),
    check_models(),
    Finding(
      status="ok",
      subject="machine",
      found=f"{platform.machine()}, {os.cpu_count()} cores, "
      f"{shutil.disk_usage('.').free >> 30} GiB free here",
    ),
  ]
  missing = [finding for finding in findings if finding.status == "missing"]
  if args.json:
    plain = [dataclasses.asdict(finding) for finding in findings]
    print(json.dumps({"lane": lane, "ready": not missing, "findings": plain}))
  else:
    for finding in findings:
      remedy = f"\n{'':28}-> {finding.remedy}" if finding.remedy else ""
      print(f"{finding.status:<8}{finding.subject:<20}{finding.found}{remedy}")
    print("hardmine is ready" if not missing else f"not ready, missing: {len(missing)}")
  return 1 if missing else 0


def lane_of(python: tuple[int, ...]) -> str | None:
  """The dependency lane of a Python version, or None where there is none."""
  return next((lane for lane, (ours, _) in _LANES.items() if python in ours), None)


def check_python(python: tuple[int, ...]) -> Finding:
  """Python decides about the lane."""
  lane, version = lane_of(python), ".".join(map(str, python))
  if lane is None:
    return Finding(
      status="missing",
      subject="python",
      found=f"{version}, which no TFX supports",
      remedy="use 3.10, 3.12 or 3.13; `make install` chooses and fetches one",
    )
  return Finding(status="ok", subject="python", found=f"{version}, lane {lane}")


def check_glibc(lane: str | None, libc: tuple[str, str]) -> Finding:
  """TFX's wheels are built against a glibc."""
  name, version = libc
  needed = _LANES[lane][1] if lane else (0, 0)
  numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
  if name != "glibc" or numbers < needed:
    return Finding(
      status="missing",
      subject="glibc",
      found=f"{name or 'none'} {version}",
      remedy=f"lane {lane} needs glibc {'.'.join(map(str, needed))}; "
      "`make install` chooses the lane that fits",
    )
  return Finding(status="ok", subject="glibc", found=version)


def check_requirements() -> list[Finding]:
  """What hardmine's own metadata asks for, against what is installed."""
  from packaging.requirements import Requirement

  findings = []
  for line in metadata.requires("hardmine") or []:
    requirement = Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
      continue  # of the other lane, or an extra
    version = _version_of(requirement.name)
    if version and requirement.specifier.contains(version, prereleases=True):
      findings.append(Finding(status="ok", subject=requirement.name, found=version))
    else:
      findings.append(
        Finding(
          status="missing",
          subject=requirement.name,
          found=version or "not installed",
          remedy=f"make install, or install {requirement.name}{requirement.specifier}",
        )
      )
  return findings


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


def check_gpu() -> Finding:
  """GPUs are optional; a GPU without CUDA's libraries stays unused."""
  present = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
  if not present:
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
    remedy="make install-gpu, or install tensorflow[and-cuda]=="
    f"{_version_of('tensorflow') or '...'}",
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


def _version_of(name: str) -> str | None:
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return None
