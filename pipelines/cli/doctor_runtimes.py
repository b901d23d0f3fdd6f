"""What runs finished models here: ONNX Runtime, OpenVINO, TensorFlow."""

from __future__ import annotations

import os
from importlib import util

from hardmine.pipelines.cli.doctor_finding import Finding
from hardmine.pipelines.cli.doctor_packages import version_of
from hardmine.trainers.runtime.choice import (
  ONNX_RUNTIME,
  OPENVINO,
  RUNTIMES,
  TENSORFLOW,
  VARIABLE,
)

# The packages that bring each, the one of this machine's devices first.
_PACKAGES = {
  ONNX_RUNTIME: ("onnxruntime-gpu", "onnxruntime"),
  OPENVINO: ("openvino",),
  TENSORFLOW: ("tensorflow",),
}
_REMEDIES = {
  ONNX_RUNTIME: "make install, or pip install onnxruntime",
  OPENVINO: "make install, or pip install 'hardmine[openvino]'",
  TENSORFLOW: "make install, or pip install 'hardmine[pipelines]', for models that "
  "were exported without a light form",
}


def check_runtimes() -> list[Finding]:
  """One finding a runtime, and one about the variable that chooses, where it is set."""
  findings = [_check(runtime) for runtime in RUNTIMES]
  chosen = os.environ.get(VARIABLE)
  if chosen:
    findings.append(_check_chosen(chosen))
  return findings


def _check(runtime: str) -> Finding:
  subject = f"runtime {runtime}"
  packages = _PACKAGES[runtime]
  installed = [
    f"{name} {version}" for name in packages if (version := version_of(name))
  ]
  if util.find_spec(runtime) is None:
    return Finding(
      status="note",
      subject=subject,
      found="not installed",
      remedy=_REMEDIES[runtime],
    )
  return Finding(
    status="ok", subject=subject, found=", ".join(installed) or "not from a package"
  )


def _check_chosen(chosen: str) -> Finding:
  if chosen not in RUNTIMES or util.find_spec(chosen) is None:
    known = chosen in RUNTIMES
    return Finding(
      status="missing",
      subject=VARIABLE,
      found=f"{chosen}, which is {'not installed' if known else 'no runtime'}",
      remedy=_REMEDIES[chosen]
      if known
      else f"one of {', '.join(RUNTIMES)}, or unset it",
    )
  return Finding(status="ok", subject=VARIABLE, found=chosen)
