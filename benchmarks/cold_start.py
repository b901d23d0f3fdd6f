"""How soon a promoted model answers: whole processes, from their start to their end.

    python benchmarks/cold_start.py [CODEC_DIR DETECTOR_DIR [IMAGE] [REPETITIONS]]

Without exported models it makes a codec of width 1/8 and an SSD MobileNet. `decode` and
`encode` code a photograph of 768x512 with four iterations, `detect` looks at one, each
beside `python -c pass` and a Python that imports NumPy and Pillow, in turns; the least
of each counts. Prints seconds, processor seconds, the largest resident memory, and the
seconds as a multiple of those imports'. Then 40 photographs in one `encode` call: its
processor time against the sum of their steps (reading, decoding, the network, writing)
in one process with one thread.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import _made_codecs
import numpy as np
from PIL import Image

from hardmine.pipelines.cli import images
from hardmine.schemas.files import write_atomically
from hardmine.trainers.codec.codec import Codec

ITERATIONS = 4
NUM_IMAGES = 40
HARDMINE = (
  "import sys; from hardmine.pipelines.cli.main import run; "
  "sys.argv[0] = 'hardmine'; run()"
)


def main() -> None:
  """Prints the table."""
  image = sys.argv[3] if len(sys.argv) > 3 else None
  repetitions = int(sys.argv[4]) if len(sys.argv) > 4 else 5
  with tempfile.TemporaryDirectory() as folder:
    codec_dir, detector_dir = sys.argv[1:3] or _made_models(folder)
    photo = _photograph(Path(folder), image)
    stream = str(Path(folder, "photo.hmc"))
    encode = ["encode", photo, stream, "--iterations", str(ITERATIONS)]
    commands = {
      "python -c pass": ["pass"],
      "import numpy, PIL": ["import numpy, PIL.Image"],
      "encode": [HARDMINE, *encode, "--model", codec_dir, "--overwrite"],
      "decode": [
        *(HARDMINE, "decode", stream, str(Path(folder, "out.png"))),
        *("--model", codec_dir, "--overwrite"),
      ],
      "detect": [HARDMINE, "detect", photo, "--model", detector_dir],
      "detect, OpenVINO": [
        *(HARDMINE, "detect", photo, "--model", detector_dir),
        *("--runtime", "openvino"),
      ],
    }
    _print_cold_starts(commands, repetitions)
    _print_batch(Path(folder), photo, codec_dir)


def _made_models(folder: str) -> list[str]:
  """In processes of their own, as exporting takes TensorFlow."""
  models = [f"{folder}/codec", f"{folder}/detector"]
  _made_codecs.codec(_made_codecs.WIDTH_EIGHTH, models[0])
  detector = str(Path(__file__).with_name("detector_runtimes.py"))
  command = [sys.executable, detector, "--export", models[1]]
  subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
  return models


def _photograph(folder: Path, given: str | None) -> str:
  if given is not None:
    return given
  rng = np.random.default_rng(0)
  small = rng.integers(0, 256, (32, 48, 3), np.uint8)
  path = folder / "photo.png"
  Image.fromarray(small).resize((768, 512), Image.Resampling.BICUBIC).save(path)
  return str(path)


def _print_cold_starts(commands: dict[str, list[str]], repetitions: int) -> None:
  best: dict[str, tuple[float, float, int]] = {}
  for _ in range(repetitions):
    for name, words in commands.items():
      found = measured(words)
      kept = best.get(name, found)
      best[name] = (
        min(kept[0], found[0]),
        min(kept[1], found[1]),
        max(kept[2], found[2]),
      )
  imports = best["import numpy, PIL"]
  print(f"{'':24}seconds  processor  MiB   times the imports (seconds, processor)")
  for name, (seconds, processor, peak) in best.items():
    print(
      f"{name:24}{seconds:7.2f}{processor:11.2f}{peak >> 20:5}"
      f"{seconds / imports[0]:8.1f}{processor / imports[1]:8.1f}"
    )


def measured(words: list[str]) -> tuple[float, float, int]:
  """(seconds, processor seconds, bytes at the peak) of a Python of its own."""
  start = time.perf_counter()
  process = subprocess.Popen(
    [sys.executable, "-c", *words],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL,
  )
  _, status, usage = os.wait4(process.pid, 0)
  process.returncode = os.waitstatus_to_exitcode(status)
  seconds = time.perf_counter() - start
  if process.returncode:
    raise RuntimeError(f"{words[1:]} left with {process.returncode}")
  return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def _print_batch(folder: Path, photo: str, codec_dir: str) -> None:
  paths = []
  for number in range(NUM_IMAGES):
    paths.append(str(folder / f"{number:02}{Path(photo).suffix}"))
    shutil.copy(photo, paths[-1])
  codec = Codec.load(codec_dir, num_threads=1)
  codec.compress(np.zeros((64, 64, 3), np.uint8), iterations=1)
  before = _processor()
  for path in paths:
    image = images.read_image(path)
    write_atomically(f"{path}.hmc", codec.compress(image, iterations=ITERATIONS))
  steps = _processor() - before
  words = ["encode", *paths, "--output", str(folder / "packed"), "--model", codec_dir]
  seconds, processor, peak = measured(
    [HARDMINE, *words, "--iterations", str(ITERATIONS)]
  )
  print(
    f"{NUM_IMAGES} photographs in one call: {processor:.1f} s of processor time in "
    f"{seconds:.1f} s, {peak >> 20} MiB; the sum of their steps is {steps:.1f} s: "
    f"{processor / steps:.2f} times"
  )


def _processor() -> float:
  usage = resource.getrusage(resource.RUSAGE_SELF)
  return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
  main()
