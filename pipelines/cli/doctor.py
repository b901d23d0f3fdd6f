"""`hardmine doctor`: what is installed and what can be reached, each with its remedy.

Nothing heavy is imported, so it also answers where TensorFlow or TFX cannot be loaded.
`doctor_packages`, `doctor_machine` and `doctor_places` look; each thing that was looked
at is a `Finding`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Iterator

from hardmine.pipelines.cli import doctor_machine as machine
from hardmine.pipelines.cli import doctor_packages as packages
from hardmine.pipelines.cli import doctor_places as places
from hardmine.pipelines.cli.doctor_finding import Finding
from hardmine.pipelines.cli.doctor_runtimes import check_runtimes
from hardmine.pipelines.cli.tables import printable

HELP = (
  "Checks this environment against what hardmine needs, line by line with the remedy. "
  "Says which parts are installed: light (finished models), worker (Beam), pipelines "
  "(TensorFlow and TFX). Exits 1 when something that all of them need is missing, or "
  "when a root or a metadata store that was named cannot be used."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument("--json", action="store_true", help="print one JSON object")
  parser.add_argument(
    "--root",
    metavar="DIR|URL",
    help="look at a root too: its disk, or its bucket, where a small object is "
    "written, read and removed",
  )
  parser.add_argument(
    "--metadata",
    metavar="PATH|URL",
    help="look at a metadata store too: a SQLite file or a MySQL database (default: "
    "$HARDMINE_METADATA, if it is set)",
  )


def run(args: argparse.Namespace) -> int:
  """Prints every finding."""
  lane = packages.lane_of(sys.version_info[:2])
  parts = {part: packages.check_part(part, lane) for part in packages.PARTS}
  whole = [part for part, found in parts.items() if packages.is_whole(found)]
  installed = ["light", *whole]
  findings = [
    packages.check_python(sys.version_info[:2]),
    packages.check_glibc(lane, platform.libc_ver()),
    *packages.check_requirements(),
    # By their names, as `pipelines` brings what `worker` brings.
    *{one.subject: one for found in parts.values() for one in found}.values(),
    packages.check_lock(lane, packages.REPOSITORY / "requirements"),
    packages.check_conflicts(),
    packages.check_checksums(),
    machine.check_accelerators(),
    *check_runtimes(),
    *(packages.check_extra(*extra) for extra in packages.EXTRAS),
    machine.check_models(),
    machine.check_machine(),
    *machine.check_disks(args.root),
    *_places(args),
  ]
  missing = [finding for finding in findings if finding.status == "missing"]
  if args.json:
    plain = [dataclasses.asdict(finding) for finding in findings]
    report = {"lane": lane, "ready": not missing, "installed": installed}
    print(json.dumps({**report, "findings": plain}))
  else:
    for finding in findings:
      remedy = f"\n{'':28}-> {finding.remedy}" if finding.remedy else ""
      print(
        f"{finding.status:<8}{finding.subject:<20}{printable(finding.found)}{remedy}"
      )
    ready = f"hardmine is ready: {', '.join(installed)}"
    print(f"not ready, missing: {len(missing)}" if missing else ready)
  return 1 if missing else 0


def _places(args: argparse.Namespace) -> Iterator[Finding]:
  """What is outside of this installation, as far as it was named."""
  if args.root is not None:
    yield places.check_root(args.root)
  metadata = args.metadata or os.environ.get("HARDMINE_METADATA")
  if metadata:
    yield places.check_metadata(metadata)
