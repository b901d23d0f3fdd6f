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
  from tests.serving.server.tiny_models import export_tiny_codec, export_tiny_detector

  export_tiny_codec(Path(folder, CODEC), iterations=None)
  export_tiny_detector(Path(folder, DETECTOR))


def photograph(seed: int, width_px: int = 56, height_px: int = 40) -> Image.Image:
  """A picture of its own, which is no noise."""
  ramp = Image.linear_gradient("L").resize((width_px, height_px))
  return Image.merge("RGB", [ramp.rotate(37 * seed + 90 * band) for band in range(3)])
