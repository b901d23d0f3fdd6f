"""REF on the command line: which exported model is meant."""

from __future__ import annotations

import os
from pathlib import Path

from hardmine.schemas.config import require
from hardmine.schemas.exported_model import (
  FACTS_PATHS,
  is_exported,
  kind_of,
  read_facts,
)
from hardmine.trainers.codec.shipped import DEFAULT, SHIPPED_DIR

ENVIRONMENT = "HARDMINE_MODEL"
DEFAULTS = {"codec": DEFAULT}  # of those that ship, by kind


def add_model_argument(parser, **options) -> None:
  """Adds `--model REF`."""
  parser.add_argument(
    "--model",
    metavar="REF",
    help="an exported model: its folder, a folder of numbered versions, STORE:ALIAS or "
    "STORE:VERSION as in runs/NAME/store:production, or the name of a model that ships "
    f"with hardmine (default: ${ENVIRONMENT}, else one of these)",
    **options,
  )


def resolve_model(ref: str, kind: str | None = "codec") -> Path:
  """The folder with `saved_model.pb` that a reference means.

  Args:
    ref: such a folder, a folder of versions 1/, 2/, ... or a model store (the largest
      complete one is taken), STORE:ALIAS, STORE:VERSION, or the name of a shipped
      model. Of a store that is a URL, the version is copied into the user's cache.
    kind: `codec`, `detector`, or None for either.

  Raises:
    ValueError: there is no such model, or it is of another kind; the line says what
      would be one.
    RuntimeError: a store cannot be reached, or what it holds is damaged.
  """
  _refuse_empty(ref)
  path = Path(ref).expanduser()
  if path.is_dir():
    found = _model_in(path)
    if found is None:
      raise ValueError(
        "Expected an exported model: a folder with saved_model.pb, or of versions "
        f"1/, 2/, ... that have one. Received: model={ref!r}"
      )
    _check_kind(found, kind, ref)
    return found
  shipped = shipped_models(kind)
  if ref in shipped:
    return shipped[ref]
  if parts := split_store_reference(ref):
    found = _in_store(*parts)
    _check_kind(found, kind, ref)
    return found
  names = ", ".join(shipped) or "none"
  raise ValueError(
    f"Expected an exported model's folder, STORE:ALIAS, or a shipped one ({names}). "
    f"Received: model={ref!r}"
  )


def split_store_reference(ref: str) -> tuple[str, str] | None:
  """Store and alias or version of `STORE:ALIAS`; None for anything else."""
  store, colon, name = ref.rpartition(":")
  return (store, name) if colon and store and name and "/" not in name else None


def _in_store(url: str, name: str) -> Path:
  from hardmine.serving.store.catalogue import Catalogue

  store = Catalogue(url)
  if not store.exists():
    raise ValueError(
      f"Expected STORE:ALIAS with a model store. Received: {f'{url}:{name}'!r}, and "
      f"there is none at {store.url}"
    )
  return store.local_dir(store.resolve(name))


def _sibling(url: str, model_id: bytes) -> Path | None:
  """The newest version of a store that is a model: aliases move, files stay."""
  from hardmine.serving.store.catalogue import Catalogue

  store = Catalogue(url)
  number = store.newest("model_id", model_id.hex())
  return None if number is None else store.local_dir(number)


def choose_model(
  ref: str | None, model_id: bytes | None = None, kind: str = "codec"
) -> Path:
  """The model to use when the caller may have named none.

  Args:
    ref: what was passed as `--model`, or None.
    model_id: of the stream to decode. A model that is another than was meant is of no
      use then: the version of a store or the shipped model that has this id is taken.
    kind: `codec` or `detector`.

  Raises:
    ValueError: none was named and none fits; the line says what to pass.
  """
  _refuse_empty(ref)
  ref = ref or os.environ.get(ENVIRONMENT)
  shipped = shipped_models(kind)
  if model_id is None:
    return resolve_model(ref, kind) if ref else _default(shipped, kind)
  found = resolve_model(ref, kind) if ref else None
  if found is not None and read_model_id(found) == model_id:
    return found
  parts = split_store_reference(ref) if ref else None
  fitting = [_sibling(parts[0], model_id)] if parts else []
  fitting += [path for path in shipped.values() if read_model_id(path) == model_id]
  chosen = next(filter(None, fitting), found)
  if chosen is None:
    raise _nothing_fits(f"model {model_id.hex()}", shipped)
  return chosen


def _default(shipped: dict[str, Path], kind: str) -> Path:
  """The shipped model that is meant where none is named."""
  name = DEFAULTS.get(kind) or ""
  if name not in shipped and len(shipped) != 1:
    raise _nothing_fits(f"a {kind}", shipped)
  return shipped.get(name) or next(iter(shipped.values()))


def _nothing_fits(wanted: str, shipped: dict[str, Path]) -> ValueError:
  return ValueError(
    f"Expected {wanted}: pass --model REF or set {ENVIRONMENT}. "
    f"Received: neither, and of the shipped models ({', '.join(shipped) or 'none'}) "
    "none is meant"
  )


def shipped_models(kind: str | None = "codec") -> dict[str, Path]:
  """Name to folder of the models of a kind, or of any, inside the package."""
  if not SHIPPED_DIR.is_dir():
    return {}
  found = {path.name: _model_in(path) for path in sorted(SHIPPED_DIR.iterdir())}
  return {
    name: path
    for name, path in found.items()
    if path and (kind_of(path) == kind if kind else kind_of(path))
  }


def _refuse_empty(ref: str | None) -> None:
  """A variable that was never set is to give neither the default nor `.`."""
  require(ref != "", "a REF behind --model, or no --model", model=ref)


def read_model_id(model_dir: Path) -> bytes:
  """The eight bytes that name a model in its streams, without loading it.

  Raises:
    ValueError: the folder holds another kind of model.
  """
  return bytes.fromhex(read_facts(model_dir, "codec")["model_id"])


def _check_kind(model_dir: Path, kind: str | None, ref: str) -> None:
  found = kind_of(model_dir)
  if found is None or kind not in (found, None):
    wanted = kind or "codec or detector"
    paths = FACTS_PATHS[kind] if kind else " or ".join(FACTS_PATHS.values())
    received = f"a {found}" if found else f"a model without {paths}"
    raise ValueError(
      f"Expected an exported {wanted}. Received: model={ref!r}, {received}"
    )


def _model_in(path: Path) -> Path | None:
  if is_exported(path):
    return path
  if (path / "versions").is_dir():  # a model store
    path = path / "versions"
  if not path.is_dir():
    return None
  # A crash while pushing leaves a version without its graph: skipped.
  versions = [
    version
    for version in path.iterdir()
    if version.name.isdecimal() and is_exported(version)
  ]
  return max(versions, key=lambda version: int(version.name), default=None)
