"""The smallest codec and detector that are exported as all others are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parents[3]
CODEC, DETECTOR = "codec", "detector"


def export_apart(folder: Path) -> None:
  """Exports both below a folder, by a process that imports TensorFlow for it."""
  code = f"from {__name__} import export; export({str(folder)!r})"
  subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def export(folder: str) -> None:
  """Exports both below a folder."""
  from hardmine.schemas.codec_config import CodecConfig
  from hardmine.schemas.detector_config import SSDConfig
  from hardmine.trainers.codec.cells.gru import ConvGRUCell
  from hardmine.trainers.codec.export import export_codec
  from hardmine.trainers.codec.model import build_codec
  from hardmine.trainers.detection.export import export_detector
  from hardmine.trainers.detection.meta_architectures.ssd import SSD
  from tests.trainers.detection.rectangles import CATEGORIES
  from tests.trainers.detection.tiny_extractor import TinyExtractor

  codec = build_codec(CodecConfig(cell=ConvGRUCell, width=0.02), seed=0)
  export_codec(codec, Path(folder, CODEC))
  config = SSDConfig(feature_extractor=TinyExtractor, resolution_px=96)
  detector = SSD(config, num_categories=len(CATEGORIES.ids))
  export_detector(detector, CATEGORIES, Path(folder, DETECTOR))


def photograph(seed: int, width_px: int = 56, height_px: int = 40) -> Image.Image:
  """A picture of its own, which is no noise."""
  ramp = Image.linear_gradient("L").resize((width_px, height_px))
  return Image.merge("RGB", [ramp.rotate(37 * seed + 90 * band) for band in range(3)])
