"""What a large picture takes: `encode` and `decode` under a limit of address space.

Whole commands with a model of width 1/8 (untrained), two iterations, each under
`ulimit -v` of 3 GB: processor seconds a megapixel, as a multiple of what a small
picture takes from file to file once the model is loaded, and the most memory held.

    python benchmarks/large_pictures.py [WIDTHxHEIGHT...]
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _made_codecs
import numpy as np
from PIL import Image

from hardmine.pipelines.cli import images
from hardmine.trainers.codec.codec import Codec

ITERATIONS = 2
MOST_BYTES = 3_000_000_000
SMALL_PX = (512, 768)
# Its own peak: what the system says of children begins with that of this process.
COMMAND = """
import atexit, pathlib, sys
status = pathlib.Path("/proc/self/status")
atexit.register(lambda: print(status.read_text(), file=sys.stderr))
from hardmine.pipelines.cli.main import run
run()
"""


def main() -> None:
  """Prints a line a picture and direction."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("sizes", nargs="*", default=["6000x4000", "12000x8000"])
  sizes = parser.parse_args().sizes
  with tempfile.TemporaryDirectory() as folder:
    model = _made_codecs.codec(_made_codecs.WIDTH_EIGHTH, Path(folder, "model"))
    small = small_picture(model)
    print(f"768x512, loaded: {small:.2f} processor seconds a megapixel, both ways")
    for size in sizes:
      width, height = map(int, size.split("x"))
      photo, stream, back = (Path(folder, name) for name in ("a.png", "a.hmc", "b.png"))
      Image.fromarray(picture(height, width)).save(photo, compress_level=1)
      both = 0.0
      for words in (
        ("encode", photo, stream, "--model", model, "--iterations", ITERATIONS),
        ("decode", stream, back, "--model", model),
      ):
        seconds, peak = measured(words)
        both += seconds / (width * height) * 1e6
        print(
          f"{size} {words[0]}: {seconds / (width * height) * 1e6:.2f} processor "
          f"seconds a megapixel, {peak / 1e6:.0f} MB"
        )
      print(f"{size}: {both / small:.2f}x the small picture's time a megapixel")
      for path in (photo, stream, back):
        path.unlink()


def small_picture(model: str) -> float:
  """Processor seconds that a megapixel takes both ways, once the model is loaded."""
  codec, photo = Codec.load(model), images.encode_image("a.png", picture(*SMALL_PX))
  best = float("inf")
  for _ in range(6):  # the first opens the graphs
    start = time.process_time()
    image = images.decode_image("a.png", photo)
    data = codec.compress(image, iterations=ITERATIONS)
    images.encode_image("b.png", codec.decompress(data))
    best = min(best, time.process_time() - start)
  return best / (SMALL_PX[0] * SMALL_PX[1]) * 1e6


def picture(height_px: int, width_px: int) -> np.ndarray:
  """Smooth waves in three colours, uint8 [h, w, 3]."""
  rows = np.arange(height_px, dtype=np.float32)[:, np.newaxis] / 90
  columns = np.arange(width_px, dtype=np.float32) / 70
  image = np.empty((height_px, width_px, 3), np.uint8)
  for channel in range(3):
    waves = np.sin(rows + channel) * np.cos(columns - channel)
    image[..., channel] = 127 + 100 * waves
  return image


def measured(words: tuple) -> tuple[float, int]:
  """(processor seconds, bytes at the peak) of a whole command."""
  before = resource.getrusage(resource.RUSAGE_CHILDREN)
  finished = subprocess.run(
    [sys.executable, "-c", COMMAND, *map(str, words)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES)),
    env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
  )
  if finished.returncode:
    raise RuntimeError(f"{words[0]} left with {finished.returncode}: {finished.stderr}")
  after = resource.getrusage(resource.RUSAGE_CHILDREN)
  seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
  found = re.search(r"VmHWM:\s+(\d+) kB", finished.stderr)
  assert found is not None
  return seconds, int(found[1]) << 10


if __name__ == "__main__":
  main()
