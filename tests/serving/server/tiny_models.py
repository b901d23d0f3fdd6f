"""A model store with real, untrained models of a few kilobytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.exports.export import export_codec
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.detection.exports.export import export_detector
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from tests.made_once import made_once
from tests.serving.store.fake_models import by
from tests.trainers.detection.rectangles import CATEGORIES
from tests.trainers.detection.tiny_extractor import TinyExtractor

ITERATIONS = 3  # that the codec is said to be trained for
FACTS = {"codec": "assets.extra/codec.json", "detector": "assets.extra/detector.json"}


def export_tiny_codec(folder: Path, iterations: int | None = ITERATIONS) -> Path:
  """A codec of a sixteenth of the papers' width.

  Args:
    folder: does not exist yet.
    iterations: that it is said to be trained for; None: it says nothing.
  """

  def make(place: Path) -> None:
    config = CodecConfig(cell=ConvGRUCell, width=1 / 16, reconstruction="additive")
    export_codec(build_codec(config, seed=1), place)

  made_once("tiny_codec", make, folder)
  if iterations is not None:
    path = folder / FACTS["codec"]
    training = {"training": json.dumps({"iterations": iterations})}
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **training}))
  return folder


def copy_under_another_id(model_dir: Path, folder: Path) -> Path:
  """The same codec as if it had been trained anew."""
  shutil.copytree(model_dir, folder)
  path = folder / FACTS["codec"]
  facts = json.loads(path.read_text("utf-8"))
  path.write_text(json.dumps({**facts, "model_id": "5ec0d" + facts["model_id"][5:]}))
  return folder


def export_tiny_detector(folder: Path) -> Path:
  """Finds something everywhere, as untrained detectors do."""

  def make(place: Path) -> None:
    config = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
    training = DetectorTrainingConfig(steps=1, summary_steps=1, checkpoint_steps=1)
    model = SSD.to_train(config, len(CATEGORIES), training)
    export_detector(model, CATEGORIES, place)

  return made_once("tiny_detector", make, folder)


def add(store: ModelStore, model_dir: Path, **changes) -> int:
  """Puts an exported model into a store."""
  kind = next(kind for kind, path in FACTS.items() if (model_dir / path).is_file())
  facts = json.loads((model_dir / FACTS[kind]).read_text("utf-8"))
  fields = {
    "kind": kind,
    "model_id": facts["model_id"],
    "experiment": {"name": f"tiny {kind}"},
    "metrics": {"num_images": 1},
    "verdict": {"passed": True, "results": []},
    "lineage": {},
    "reason": by("tester"),
  }
  return store.add(model_dir, **{**fields, **changes})
