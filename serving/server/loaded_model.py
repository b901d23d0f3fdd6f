"""One version of the store, loaded, checked and asked once."""

from __future__ import annotations

import dataclasses
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hardmine.schemas.exported_model import has_light_form, without_light_form
from hardmine.serving.probe.questions import ask_codec, ask_detector
from hardmine.serving.store.catalogue import Catalogue
from hardmine.serving.store.signing import genuine_dir
from hardmine.trainers.runtime.choice import choose_runtime

if TYPE_CHECKING:
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.detection.detector import Detector

_log = logging.getLogger(__name__)
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
    runtime: that it is on.
    model: a `Codec` or a `Detector`, which all threads share.
  """

  number: int
  kind: str
  model_id: str
  record: dict[str, Any]
  runtime: str
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
  store: Catalogue,
  number: int,
  public_keys: Sequence[str | os.PathLike] = (),
  runtime: str | None = None,
) -> LoadedModel:
  """Verifies, loads and asks a version; on TensorFlow that takes seconds.

  Args:
    store: holds the version.
    number: of the version.
    public_keys: PEM files; the holder of one must have signed the version. Without
      any, signatures are not asked for.
    runtime: see `hardmine.trainers.runtime.choice.choose_runtime`.

  Raises:
    RuntimeError: the store's files are damaged, not signed, are not the model that its
      record names, the runtime is not installed, or the model answers wrongly.
    Exception: whatever the store, the runtime or the model itself raises.
  """
  record = store.version(number)
  store.verify(number)
  with genuine_dir(store, number, public_keys) as model_dir:
    chosen = choose_runtime(model_dir, runtime)
    if not has_light_form(model_dir):
      _log.warning("%s", without_light_form(f"version {number}"))
    match record.kind:
      case "codec":
        from hardmine.trainers.codec.codec import Codec

        model = Codec.load(model_dir, chosen)
        ask_codec(model, every_signature=False)
      case "detector":
        from hardmine.trainers.detection.detector import Detector

        model = Detector.load(model_dir, chosen)
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
    runtime=chosen,
    model=model,
  )
