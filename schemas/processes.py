"""Which process is at work, told so that others of its machine see whether it lives."""

from __future__ import annotations

import getpass
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def this_process() -> dict[str, Any]:
  """JSON values for `in_words` and `lives`."""
  return {
    "host": platform.node(),
    "pid": os.getpid(),
    "user": _user(),
    "machine": _machine(),
    "start": _start(os.getpid()),
  }


def in_words(who: Mapping[str, Any]) -> str:
  """A process, for people."""
  if "pid" not in who:
    return "unknown"
  return f"process {who['pid']} of {who.get('user')} on {who.get('host')}"


def lives(who: Mapping[str, Any]) -> bool | None:
  """Whether a process lives; None where that cannot be seen from here.

  One that is stopped lives. A machine that was started anew is another one.
  """
  if not who.get("machine") or who["machine"] != _machine():
    return None
  return who.get("start") is not None and who["start"] == _start(who.get("pid"))


def _machine() -> str | None:
  """Tells machines and containers apart, whatever they call themselves."""
  try:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    return f"{boot} {os.readlink('/proc/self/ns/pid')}"
  except OSError:  # no Linux
    return None


def _start(pid: Any) -> str | None:
  """When a process was started, in ticks; None for one that is not there, or dead."""
  try:
    facts = Path(f"/proc/{int(pid)}/stat").read_text("utf-8", "replace")
  except (OSError, TypeError, ValueError):
    return None
  state, *others = facts.rpartition(")")[2].split()  # its name may hold anything
  return None if state in "ZX" else others[18]


def _user() -> str:
  try:
    return getpass.getuser()
  except (OSError, KeyError):  # no such user in the machine's list
    return "unknown"
