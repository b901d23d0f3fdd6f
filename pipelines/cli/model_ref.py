"""REF on the command line: which exported model is meant."""

from __future__ import annotations

import json
import os
from pathlib import Path

import trainers.codec
from schemas.config import require

ENVIRONMENT = "HARDMINE_MODEL"
SHIPPED_DIR = Path(trainers.codec.__file__).parent / "pretrained"
# `trainers.codec.export.FACTS_PATH`, whose module would load TensorFlow.
FACTS_PATH = "assets.extra/codec.json"


def add_model_argument(parser, **options) -> None:
  """Adds `--model REF`."""
  parser.add_argument(
    "--model",
    metavar="REF",
    help="an exported model: its folder, a folder of numbered versions, or the name "
    f"of a model that ships with hardmine (default: ${ENVIRONMENT}, else a shipped "
    "model)",
    **options,
  )


def resolve_model(ref: str) -> Path:
  """The folder with `saved_model.pb` that a reference means.

  Args:
    ref: such a folder, a folder of versions 1/, 2/, ... (the largest complete one
      is taken), or the name of a shipped model.

  Raises:
    ValueError: there is no such model; the line says what would be one.
  """
  path = Path(ref).expanduser()
  if path.is_dir():
    found = _model_in(path)
    if found is None:
      raise ValueError(
        "Expected an exported model: a folder with saved_model.pb, or of versions "
        f"1/, 2/, ... that have one. Received: model={ref!r}"
      )
    return found
  shipped = shipped_models()
  if ref in shipped:
    return shipped[ref]
  if ":" in ref:
    raise ValueError(
      "Expected a folder or a shipped model; STORE:ALIAS needs the model store, which "
      f"this version does not have. Received: model={ref!r}"
    )
  names = ", ".join(shipped) or "none"
  raise ValueError(
    f"Expected the folder of an exported model, or a shipped one ({names}). "
    f"Received: model={ref!r}"
  )


def choose_model(ref: str | None, model_id: bytes | None = None) -> Path:
  """The model to use when the caller may have named none.

  Args:
    ref: what was passed as `--model`, or None.
    model_id: of the stream to decode; then a shipped model must have this id.

  Raises:
    ValueError: none was named and none fits; the line says what to pass.
  """
  ref = ref or os.environ.get(ENVIRONMENT)
  if ref:
    return resolve_model(ref)
  fitting = [
    path
    for path in shipped_models().values()
    if model_id is None or read_model_id(path) == model_id
  ]
  if len(fitting) == 1:
    return fitting[0]
  wanted = f"model {model_id.hex()}" if model_id else "a model"
  raise ValueError(
    f"Expected {wanted}: pass --model REF or set {ENVIRONMENT}. "
    f"Received: neither, and {len(fitting) or 'none'} of the shipped models would do"
  )


def shipped_models() -> dict[str, Path]:
  """Name to folder of the models inside the package."""
  if not SHIPPED_DIR.is_dir():
    return {}
  found = {path.name: _model_in(path) for path in sorted(SHIPPED_DIR.iterdir())}
  return {name: path for name, path in found.items() if path is not None}


def read_model_id(model_dir: Path) -> bytes:
  """The eight bytes that name a model in its streams, without loading it.

  Raises:
    ValueError: the folder holds another kind of model.
  """
  path = model_dir / FACTS_PATH
  require(
    path.is_file(), f"an exported codec, with {FACTS_PATH}", model_dir=str(model_dir)
  )
  return bytes.fromhex(json.loads(path.read_text("utf-8"))["model_id"])


def _model_in(path: Path) -> Path | None:
  if (path / "saved_model.pb").is_file():
    return path
  if not path.is_dir():
    return None
  # A crash while pushing leaves a version without its graph: skipped.
  versions = [
    version
    for version in path.iterdir()
    if version.name.isdecimal() and (version / "saved_model.pb").is_file()
  ]
  return max(versions, key=lambda version: int(version.name), default=None)
