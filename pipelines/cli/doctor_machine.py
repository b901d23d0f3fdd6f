"""The machine: processors, memory, accelerators, disks, and the models it has."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from pathlib import Path

from hardmine.pipelines.cli.doctor_finding import Finding
from hardmine.pipelines.cli.doctor_packages import version_of
from hardmine.schemas.uris import absolute, is_url

_GIB = 1 << 30
_LITTLE_GIB = 10  # a set of patches, a training's checkpoints, Beam's own files
# Kind of accelerator to the devices by which the system shows it.
_DEVICES = {
  "NVIDIA GPU": ("nvidia[0-9]*", "dxg"),
  "TPU": ("accel[0-9]*", "vfio/[0-9]*"),
  "AMD GPU": ("kfd",),
}


def check_machine() -> Finding:
  """Processors that this process may use, and memory."""
  memory = ""
  if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
    num_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    memory = f", {num_bytes / _GIB:.0f} GiB of memory"
  found = f"{platform.machine()}, {num_cores()} cores{memory}"
  return Finding(status="ok", subject="machine", found=found)


def check_disks(root: str | None = None) -> list[Finding]:
  """The places that runs write to: the root, temporary files, the home folder.

  Args:
    root: as it was given; of one in a bucket, the records lie in the home folder.
  """
  here = "." if root is None or is_url(root) else absolute(root)
  return [
    _disk("disk, root", here, "hardmine clean ROOT, or choose another --root"),
    _disk(
      "disk, temporary",
      os.environ.get("TMPDIR") or tempfile.gettempdir(),
      "export TMPDIR=FOLDER, on a disk with more room",
    ),
    _disk(
      "disk, home",
      os.path.expanduser("~"),
      "export XDG_STATE_HOME=FOLDER KERAS_HOME=FOLDER, on a disk with more room",
    ),
  ]


def _disk(subject: str, path: str, remedy: str) -> Finding:
  """Of a folder that need not exist yet, its nearest parent that does."""
  folder = Path(os.path.abspath(path))
  while not folder.exists() and folder != folder.parent:
    folder = folder.parent
  free = shutil.disk_usage(folder).free
  found = f"{free / _GIB:.1f} GiB free in {folder}"
  if not folder.is_dir() or not os.access(folder, os.W_OK | os.X_OK):
    return Finding(
      status="note",
      subject=subject,
      found=f"{folder} cannot be written",
      remedy=remedy.replace("on a disk with more room", "which you may write"),
    )
  if free < _LITTLE_GIB * _GIB:
    return Finding(status="note", subject=subject, found=found, remedy=remedy)
  return Finding(status="ok", subject=subject, found=found)


def check_accelerators(dev: Path = Path("/dev"), proc: Path = Path("/proc")) -> Finding:
  """Accelerators are optional; without their libraries they stay unused."""
  counts = {
    kind: len({path for name in names for path in dev.glob(name)})
    for kind, names in _DEVICES.items()
  }
  shown = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
  if not shown:
    return Finding(
      status="note", subject="GPU", found="none: training and coding use the CPU"
    )
  models = _nvidia_models(proc)
  found = f"present: {shown}{f' ({models})' if models else ''}"
  if not counts["NVIDIA GPU"]:
    return Finding(
      status="note",
      subject="GPU",
      found=f"{found}, which the TensorFlow of the lanes does not use",
      remedy="train with JAX: KERAS_BACKEND=jax, and the jax of that device",
    )
  for name in ("nvidia-cudnn-cu12", "nvidia-cudnn-cu13"):
    if version_of(name):
      return Finding(
        status="ok", subject="GPU", found=f"{found}, {name} {version_of(name)}"
      )
  return Finding(
    status="note",
    subject="GPU",
    found=f"{found}, without the CUDA libraries that TensorFlow loads",
    remedy="make install-gpu, or pip install 'hardmine[gpu]'",
  )


def _nvidia_models(proc: Path) -> str:
  """As the driver names them."""
  found = []
  for path in sorted(proc.glob("driver/nvidia/gpus/*/information")):
    for line in path.read_text("utf-8", errors="replace").splitlines():
      if line.startswith("Model:"):
        found.append(line.partition(":")[2].strip())
  return ", ".join(dict.fromkeys(found))


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


def num_cores() -> int | None:
  """Those that this process may use."""
  if hasattr(os, "sched_getaffinity"):
    return len(os.sched_getaffinity(0))
  return os.cpu_count()
