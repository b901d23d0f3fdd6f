"""A large picture takes a little more time and memory than its pixels do."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from hardmine.schemas.codec_config import CodecConfig
from hardmine.trainers.codec.running.memory import Needs
from hardmine.trainers.codec.streams import bitstream

HEIGHT, WIDTH = 1800, 2400
MOST_BYTES = 1_500_000_000  # of address space; with the whole at once it takes 2.5 GB
# Its own peak: `ru_maxrss` would begin with that of the process which started it.
COMMAND = """
import atexit, pathlib, re, sys
status = pathlib.Path("/proc/self/status")
held = lambda: re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text())[1]
atexit.register(lambda: print(f"\\nheld {held()}", file=sys.stderr))
from hardmine.pipelines.cli.main import run
run()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  from hardmine.trainers.codec.cells.gru import ConvGRUCell
  from hardmine.trainers.codec.exports.export import export_codec
  from hardmine.trainers.codec.network.model import build_codec

  folder = tmp_path_factory.mktemp("model")
  config = CodecConfig(
    cell=ConvGRUCell,
    width=0.125,
    use_bias=True,
    sent_gain=True,
    output_activation="linear",
  )
  export_codec(build_codec(config, 2), folder)
  return folder


def picture(height, width):
  rows, columns = np.mgrid[:height, :width].astype(np.float32)
  waves = [np.sin(rows / 90 + k) * np.cos(columns / 70 - k) for k in range(3)]
  return np.uint8(127 + 100 * np.stack(waves, axis=-1))


def hardmine(*words):
  """Runs a command with little memory; the most that it held, in bytes."""
  process = subprocess.Popen(
    [sys.executable, "-c", COMMAND, *map(str, words)],
    stdout=subprocess.DEVNULL,
    stderr=subprocess.PIPE,
    text=True,
    preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES,) * 2),
    env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"},
  )
  _, errors = process.communicate()
  assert process.returncode == 0, errors
  return 1024 * int(re.search(r"^held (\d+)$", errors, re.MULTILINE)[1])


@pytest.mark.slow
def test_a_large_picture_is_coded_in_little_memory(model, tmp_path):
  photo, stream, back = (tmp_path / name for name in ("a.png", "a.hmc", "b.png"))
  image = picture(HEIGHT, WIDTH)
  Image.fromarray(image).save(photo)
  needs = Needs.of(model)
  taken = hardmine("encode", photo, stream, "--model", model, "--iterations", 2)
  assert taken <= needs.encoding(HEIGHT, WIDTH)
  header = bitstream.read_header(stream.read_bytes())
  assert header.version == 3
  taken = hardmine("decode", stream, back, "--model", model)
  assert taken <= max(needs.encoding(HEIGHT, WIDTH), needs.decoding(header, 2))
  assert Image.open(back).size == (WIDTH, HEIGHT)
