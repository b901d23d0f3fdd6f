"""The photographs that `hardmine detect` is given; it waits for none."""

from __future__ import annotations

import os
import stat
import sys
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.batch_inputs import OF_A_SHELL
from hardmine.pipelines.cli.images import PIPE, read_image
from hardmine.schemas.config import require
from hardmine.schemas.uris import is_url

if TYPE_CHECKING:
  import numpy as np


def read_photograph(path: str) -> np.ndarray:
  """uint8 [height, width, 3] of a file or URL, of `-`, or of a pipe that a shell made.

  Raises:
    ValueError: not a usable photograph, or a place that no photograph lies in: a
      folder, or a pipe on the disk, into which perhaps nobody writes.
    OSError: it cannot be read.
  """
  if path == PIPE:
    require(not sys.stdin.isatty(), "a photograph behind `-`, from a pipe", image=path)
    return read_image(path)
  if is_url(path):
    return read_image(path)
  mode = os.stat(path).st_mode
  if stat.S_ISDIR(mode):
    example = os.path.join(path, "*.jpg")
    raise ValueError(f"Expected a file, as {example}. Received: a folder, {path!r}")
  piped = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
  if not stat.S_ISREG(mode) and not (
    piped and os.path.abspath(path).startswith(OF_A_SHELL)
  ):
    raise ValueError(
      f"Expected a file, or `-` for the standard input. Received: {path!r}, a pipe or "
      "device"
    )
  return read_image(path)
