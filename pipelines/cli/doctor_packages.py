"""Packages: the lane, what is required, and what was tested together.

Reads metadata only: nothing heavy is imported, so it also answers where TensorFlow or
TFX cannot be loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import metadata, util
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.doctor_finding import Finding

if TYPE_CHECKING:
  from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]  # not `hardmine/`, which links here
# Lane: Pythons it runs on, glibc its wheels need.
_LANES = {
  "tfx-1.16": (((3, 10),), (2, 28)),
  "tfx-1.21": (((3, 12), (3, 13)), (2, 39)),
}
# Extra of setup.py that is a part: the package that shows it, what it is for.
PARTS = {
  "worker": ("apache-beam", "mining and conversion"),
  "pipelines": ("tfx", "training, pipelines and models of TensorFlow"),
}
# Subject, extra of setup.py, the package that it brings.
EXTRAS = (
  ("gs:// paths", "gcs", "gcsfs"),
  ("s3:// paths", "s3", "s3fs"),
  ("mysql:// records", "mysql", "pymysql"),
  ("--beam dask", "dask", "distributed"),
  ("signatures", "signing", "model-signing"),
  ("HEIC", "formats", "pillow-heif"),
  ("JPEG XL", "formats", "pillow-jxl-plugin"),
)


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
    version = version_of(requirement.name)
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
  package, purpose = PARTS[part]
  remedy = f"make install, or pip install 'hardmine[{part}]'"
  if part == "pipelines" and lane is None:
    remedy = f"use Python {pythons_with_a_lane()}"
  elif version_of(package):
    return check_requirements(part)
  found = f"not installed; it is for {purpose}"
  return [Finding(status="note", subject=part, found=found, remedy=remedy)]


def is_whole(findings: list[Finding]) -> bool:
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
    version = version_of(name)
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


def check_conflicts() -> Finding:
  """Whether what is installed agrees with what it asks of each other.

  Somebody who installs one more package moves others, and the first to notice would be
  a training.
  """
  from packaging.requirements import Requirement

  conflicts, seen, pending = [], set(), ["hardmine"]
  while pending:
    name = pending.pop()
    if name in seen:
      continue
    seen.add(name)
    for line in _requires(name):
      requirement = Requirement(line)
      # Of hardmine, whatever part is installed; of others, what they always ask for.
      extras = ["", *_extras()] if name == "hardmine" else [""]
      if requirement.marker and not any(
        requirement.marker.evaluate({"extra": extra}) for extra in extras
      ):
        continue
      version = version_of(requirement.name)
      if version is None:
        if name != "hardmine":  # whose own are told line by line
          conflicts.append(f"{name} needs {requirement.name}, which is not installed")
        continue
      pending.append(requirement.name.lower())
      if not requirement.specifier.contains(version, prereleases=True):
        conflicts.append(
          f"{name} needs {requirement.name}{requirement.specifier}, here is {version}"
        )
  if conflicts:
    more = f", and {len(conflicts) - 3} more" if len(conflicts) > 3 else ""
    return Finding(
      status="note",
      subject="conflicts",
      found="; ".join(conflicts[:3]) + more,
      remedy="make install, or a new environment: pip install 'hardmine[pipelines]'",
    )
  return Finding(
    status="ok", subject="conflicts", found=f"none among {len(seen)} packages"
  )


def _extras() -> list[str]:
  return metadata.metadata("hardmine").get_all("Provides-Extra") or []


def _requires(name: str) -> list[str]:
  try:
    return metadata.requires(name) or []
  except metadata.PackageNotFoundError:
    return []


def check_extra(subject: str, extra: str, package: str) -> Finding:
  """What hardmine does without, as long as nobody wants it."""
  version = version_of(package)
  if version is None:
    return Finding(
      status="note",
      subject=subject,
      found="not supported here",
      remedy=f"make install, or pip install 'hardmine[{extra}]'",
    )
  for requirement in requirements(extra):
    fits = requirement.specifier.contains(version, prereleases=True)
    if requirement.name == package and not fits:
      return Finding(
        status="note",
        subject=subject,
        found=f"{package} {version}, not {requirement.specifier}",
        remedy=f"make install, or pip install '{requirement.name}"
        f"{requirement.specifier}'",
      )
  return Finding(status="ok", subject=subject, found=f"{package} {version}")


def version_of(name: str) -> str | None:
  try:
    return metadata.version(name)
  except metadata.PackageNotFoundError:
    return None
