"""Memory of a conversion as its annotations grow, against `json.load`.

    .venv/bin/python benchmarks/annotation_memory.py [ANNOTATIONS]

Writes COCO files of n and of 10 n annotations (n: 86,000, a tenth of train2017's)
with polygons, of train2017's 118,287 images, and with the `annotations` before the
`images` they belong to. The job reads all of it and converts the twenty images that
its `only` names, in one process with Beam in it. Wanted: less than 500 MB resident
for 10 n, and less than 15 % more than for n.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NUM_IMAGES = 20
NUM_LISTED = 118_287
MAX_MB = 500
MAX_PLAIN = 1_000_000  # annotations that `json.load` is asked to hold

JOB = """
import sys
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from hardmine.components.coco_gen.job import run_job
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

images, annotations, only, output = sys.argv[1:]
source = AnnotatedFolder(images=images, annotations=annotations, only=only)
options = PipelineOptions(direct())
manifest = run_job(
  ConversionConfig(sources=(source,)),
  output,
  make_pipeline=lambda: beam.Pipeline(options=options),
)
assert manifest["counts"]["used"] == 20, manifest["counts"]
"""
PLAIN = "import json, sys; json.load(open(sys.argv[2]))"


def draw(folder: Path) -> None:
  """Draws the twenty images and writes the list of their names."""
  from PIL import Image

  (folder / "images").mkdir()
  for number in range(NUM_IMAGES):
    image = Image.new("RGB", (640, 480), (number * 10, 100, 50))
    image.save(folder / "images" / f"{number:012d}.jpg")
  names = (f"{number:012d}.jpg\n" for number in range(NUM_IMAGES))
  (folder / "only.txt").write_text("".join(names))


def write_annotations(path: Path, num: int) -> None:
  """Writes a COCO file without holding it."""
  draws = random.Random(0)
  polygons = [[round(draws.uniform(0, 400), 2) for _ in range(40)] for _ in range(100)]
  texts = [json.dumps([polygon]) for polygon in polygons]
  with path.open("w") as file:
    file.write('{"annotations": [')
    for number in range(num):
      facts = {
        "area": 1234.5,
        "iscrowd": 0,
        "image_id": draws.randrange(NUM_LISTED),
        "bbox": [10.5, 20.25, 300.0, 200.0],
        "category_id": 1 + number % 80,
        "id": 1_000_000 + number,
      }
      start = f'{{"segmentation": {texts[number % len(texts)]}, '
      file.write((", " if number else "") + start + json.dumps(facts)[1:])
    file.write('], "images": [')
    for number in range(NUM_LISTED):
      image = {
        "id": number,
        "file_name": f"{number:012d}.jpg",
        "width": 640,
        "height": 480,
        "flickr_url": "http://farm1.example.org/1234/1234567890_abcdef.jpg",
      }
      file.write((", " if number else "") + json.dumps(image))
    categories = [{"id": k, "name": f"kind {k}"} for k in range(1, 81)]
    file.write(f'], "categories": {json.dumps(categories)}}}')


def measured(program: str, folder: Path, annotations: Path) -> tuple[float, float]:
  """(peak resident MB, seconds) of a process."""
  output = folder / f"out-{annotations.stem}"
  words = [folder / "images", annotations, folder / "only.txt", output]
  start = time.monotonic()
  child = subprocess.Popen(
    [sys.executable, "-c", program, *map(str, words)],
    env={**os.environ, "PYTHONPATH": str(ROOT)},
    stderr=subprocess.DEVNULL,
  )
  _, status, usage = os.wait4(child.pid, 0)
  if status:
    raise RuntimeError(f"the process that reads {annotations} failed")
  return usage.ru_maxrss / 1024, time.monotonic() - start


def main() -> int:
  """Prints a line for each size and reader."""
  num = int(sys.argv[1]) if sys.argv[1:] else 86_000
  peaks = []
  with tempfile.TemporaryDirectory() as scratch:
    folder = Path(scratch)
    draw(folder)
    for count in (num, 10 * num):
      path = folder / f"{count}.json"
      write_annotations(path, count)
      size = path.stat().st_size / 1e6
      for name, program in (("json.load", PLAIN), ("hardmine", JOB)):
        if program == PLAIN and count > MAX_PLAIN:
          continue
        peak, seconds = measured(program, folder, path)
        print(
          f"{name:>9}  {count:9,} annotations ({size:6.0f} MB)  {peak:6.0f} MB resident"
          f"  {seconds:5.1f} s",
          flush=True,
        )
      peaks.append(peak)
      path.unlink()
  good = peaks[1] < MAX_MB and peaks[1] < 1.15 * peaks[0]
  print(f"ten times the annotations: {peaks[1] / peaks[0]:.2f}x the memory (< 1.15)")
  return 0 if good else 1


if __name__ == "__main__":
  sys.exit(main())
