"""The pictures of a study: looked at once, decoded when they are needed."""

from __future__ import annotations

import collections
import dataclasses
import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from hardmine.components.codec_evaluator.comparable import LeftOut, comparable
from hardmine.components.jobs.sources import Source, read_source
from hardmine.schemas.config import require
from hardmine.trainers.images import ImageError, decode_rgb

_HELD_BYTES = 1 << 29


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
  """One that can be measured.

  Attributes:
    name: unique among those of the study.
    path: of its file.
    digest: of its pixels, hex; equal files under two names have one.
    num_pixels: of it.
  """

  name: str
  path: str
  digest: str
  num_pixels: int


class Pictures:
  """Pixels by picture; the last ones that were asked for are held."""

  def __init__(self, held_bytes: int = _HELD_BYTES):
    self._held: collections.OrderedDict[str, np.ndarray] = collections.OrderedDict()
    self._held_bytes = held_bytes

  def look(
    self,
    sources: Sequence[Source],
    on_step: Callable[[int, int], None] | None = None,
  ) -> tuple[list[Picture], list[LeftOut]]:
    """(those that can be measured, the others), each in the order of `sources`."""
    kept, left_out = [], []
    for done, source in enumerate(sources):
      if on_step:
        on_step(done, len(sources))
      try:
        pixels = decode_rgb(read_source(source.path))
      except (ImageError, OSError, RuntimeError) as error:
        why = " ".join(str(error).split())
        left_out.append(LeftOut(image=source.id, reason="unreadable", detail=why))
        continue
      usable, others = comparable([(source.id, pixels)])
      left_out += others
      if usable:
        height_px, width_px, _ = pixels.shape
        kept.append(
          Picture(
            name=source.id,
            path=source.path,
            digest=_digest(pixels),
            num_pixels=height_px * width_px,
          )
        )
        self._hold(source.id, pixels)
    if on_step:
      on_step(len(sources), len(sources))
    return kept, left_out

  def pixels(self, picture: Picture) -> np.ndarray:
    """uint8 [height, width, 3].

    Raises:
      ValueError: the file has changed, or is no picture any more.
      OSError: it cannot be read any more.
    """
    held = self._held.get(picture.name)
    if held is None:
      held = decode_rgb(read_source(picture.path))
      require(
        _digest(held) == picture.digest,
        "a file that stays as it was when the study began",
        path=picture.path,
      )
      self._hold(picture.name, held)
    self._held.move_to_end(picture.name)
    return held

  def _hold(self, name: str, pixels: np.ndarray) -> None:
    self._held[name] = pixels
    while len(self._held) > 1 and sum(map(_size, self._held.values())) > (
      self._held_bytes
    ):
      self._held.popitem(last=False)


def _size(pixels: np.ndarray) -> int:
  return pixels.nbytes


def _digest(pixels: np.ndarray) -> str:
  digest = hashlib.sha256(str(pixels.shape).encode())
  digest.update(np.ascontiguousarray(pixels).data)
  return digest.hexdigest()
