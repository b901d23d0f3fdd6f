"""One version of the store, loaded, checked and asked once."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hardmine.serving.probe.questions import ask_codec, ask_detector
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.signing import genuine_dir

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.detection.detector import Detector

# Read with the model, as the store may be slow or gone when somebody asks for them.
_RECORDED = ("digest", "created_at", "num_bytes", "experiment", "metrics", "verdict")


@dataclasses.dataclass(kw_only=True)
class LoadedModel:
  """A model that answers.

  Attributes:
    number: of the version.
    kind: `codec` or `detector`.
    model_id: hex digits.
    record: what the store says about the version, JSON values.
    model: a `Codec` or a `Detector`.
  """

  number: int
  kind: str
  model_id: str
  record: dict[str, Any]
  model: Any

  @property
  def codec(self) -> Codec:
    """The model, where `kind` says so."""
    assert self.kind == "codec"
    return self.model

  @property
  def detector(self) -> Detector:
    """The model, where `kind` says so."""
    assert self.kind == "detector"
    return self.model


def load_model(
  store: Catalogue, number: int, public_keys: Sequence[str | os.PathLike] = ()
) -> LoadedModel:
  """Verifies, loads and asks a version; takes seconds.

  Args:
    store: holds the version.
    number: of the version.
    public_keys: PEM files; the holder of one must have signed the version. Without
      any, signatures are not asked for.

  Raises:
    RuntimeError: the store's files are damaged, not signed, are not the model that its
      record names, or the model answers wrongly.
    Exception: whatever the store, TensorFlow or the model itself raises.
  """
  record = store.version(number)
  store.verify(number)
  with genuine_dir(store, number, public_keys) as model_dir:
    match record.kind:
      case "codec":
        from hardmine.trainers.codec.codec import Codec

        model = Codec.load(model_dir)
        ask_codec(model, every_signature=False)
      case "detector":
        from hardmine.trainers.detection.detector import Detector

        model = Detector.load(model_dir)
        ask_detector(model, every_signature=False)
      case other:
        raise RuntimeError(f"version {number} is a {other!r}, which cannot be served")
  if model.model_id.hex() != record.model_id:
    raise RuntimeError(
      f"version {number} should be model {record.model_id}, and its files hold "
      f"{model.model_id.hex()}"
    )
  return LoadedModel(
    number=number,
    kind=record.kind,
    model_id=record.model_id,
    record={field: getattr(record, field) for field in _RECORDED},
    model=model,
  )
