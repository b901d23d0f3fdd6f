"""The pictures of `detect_your_own_objects.md`, made anew.

    python docs/detect_your_own_objects.py FOLDER

FOLDER is where the page's commands were run, with `--set training.steps=600` or more.
The picture of the report needs Chromium.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from hardmine.schemas.files import write_atomically
from hardmine.trainers.detection.results.drawing import draw_boxes

NUM_SHOWN, COLUMNS = 6, 3
REPORT_PX = (900, 1060)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
RUN = "runs/faster_rcnn_small_set"


def main(folder: str, docs: str | Path = Path(__file__).parent) -> list[Path]:
  """Writes the pictures beside the page, or into another folder.

  Raises:
    FileNotFoundError: something of the guide was not done in the folder.
  """
  pictures = {
    "set.jpg": _jpeg(annotated(Path(folder) / "coins")),
    "found.jpg": _jpeg(Image.open(Path(folder) / "shown" / "coins_photo.jpg")),
  }
  browser = next(filter(None, map(shutil.which, BROWSERS)), None)
  if browser is not None:
    pictures["report.png"] = report(browser, Path(folder) / RUN)
  paths = []
  for name, data in pictures.items():
    paths.append(Path(docs) / f"detect_your_own_objects_{name}")
    write_atomically(paths[-1], data)
  return paths


def annotated(images: Path) -> Image.Image:
  """The first pictures of a set, with the boxes of its annotations."""
  truth = json.loads(images.with_suffix(".json").read_text("utf-8"))
  names = {one["id"]: one["name"] for one in truth["categories"]}
  shown = []
  for image in truth["images"][:NUM_SHOWN]:
    objects = [one for one in truth["annotations"] if one["image_id"] == image["id"]]
    with Image.open(images / image["file_name"]) as file:
      pixels = np.asarray(file.convert("RGB"))
    corners = np.array([one["bbox"] for one in objects], float).reshape(-1, 2, 2)
    corners[:, 1] += corners[:, 0]
    shown.append(
      draw_boxes(
        pixels,
        corners[:, :, ::-1].reshape(-1, 4),
        [names[one["category_id"]] for one in objects],
        [one["category_id"] for one in objects],
        line_px=2,
        font_px=14,
      )
    )
  rows = [np.hstack(shown[i : i + COLUMNS]) for i in range(0, len(shown), COLUMNS)]
  return Image.fromarray(np.vstack(rows))


def report(browser: str, run: Path) -> bytes:
  """The head of the newest report, as a browser shows it."""
  pages = run.glob("artifacts/DetectionEvaluator/evaluation/*/report.html")
  newest = max(pages, key=lambda path: int(path.parent.name), default=None)
  if newest is None:
    raise FileNotFoundError(f"no report below {run}: run the page's commands first")
  with tempfile.TemporaryDirectory() as scratch:
    shot = Path(scratch) / "shot.png"
    subprocess.run(
      [
        browser,
        *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
        f"--user-data-dir={scratch}/profile",
        f"--window-size={REPORT_PX[0]},{REPORT_PX[1]}",
        f"--screenshot={shot}",
        newest.resolve().as_uri(),
      ],
      check=True,
      capture_output=True,
      timeout=120,
    )
    buffer = io.BytesIO()
    with Image.open(shot) as image:
      image.convert("RGB").quantize(64).save(buffer, "PNG", optimize=True)
  return buffer.getvalue()


def _jpeg(image: Image.Image) -> bytes:
  buffer = io.BytesIO()
  image.convert("RGB").save(buffer, "JPEG", quality=85)
  return buffer.getvalue()


if __name__ == "__main__":
  print(*main(*sys.argv[1:]), sep="\n")
