"""What a model answers: pure functions of a model, a body and a query.

They run in a worker's thread, each with one model from beginning to end.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.responses import JSONResponse, Response

from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require
from hardmine.serving.server.limits import Limits
from hardmine.serving.server.loaded_model import LoadedModel
from hardmine.serving.server.refusals import Refusal

if TYPE_CHECKING:
  import numpy as np

  from hardmine.trainers.codec.streams.stream import Stream
  from hardmine.trainers.images import Photograph

N = TypeVar("N", int, float)
D = TypeVar("D")
Query = Mapping[str, str]
COMPRESS_QUERY = frozenset(
  {
    *("iterations", "bpp", "max_bytes", "ms_ssim"),
    *("adaptive", "alpha", "keep_metadata", "keep_location"),
  }
)


def detect(model: LoadedModel, body: bytes, query: Query, limits: Limits) -> Response:
  """A photograph to its objects, best first, as JSON.

  Args:
    model: a detector.
    body: the photograph's file.
    query: `min_score`, 0 to 1; 0 without.
    limits: its pixels count.
  """
  from hardmine.trainers.detection.results.objects import to_objects

  min_score = _number(query, "min_score", float, 0.0)
  require(0 <= min_score <= 1, "0 to 1", min_score=min_score)
  image = _photograph(body, limits.max_pixels, "--max-pixels").pixels
  height_px, width_px, _ = image.shape
  found = model.detector.detect(image, min_score)
  return JSONResponse(
    {
      "version": model.number,
      "model_id": model.model_id,
      "width_px": width_px,
      "height_px": height_px,
      "objects": to_objects(found, model.detector.categories),
    }
  )


def compress(model: LoadedModel, body: bytes, query: Query, limits: Limits) -> Response:
  """A photograph to a stream of `hardmine.trainers.codec.streams.bitstream`.

  Args:
    model: a codec.
    body: the photograph's file.
    query: `iterations`, `bpp` or `max_bytes` as the most bits per pixel or bytes, or
      `ms_ssim` to reach; the iterations that help without any. `adaptive` as 0 or 1, 1
      gives it a height map. `alpha` as in `Carrying`, `keep_metadata` and
      `keep_location` as 0 or 1.
    limits: its pixels and iterations count.
  """
  from hardmine.trainers.codec.running.rate_control import Target
  from hardmine.trainers.codec.side_chunks.carrying import KEEP, Carrying

  iterations = _number(query, "iterations", int, None)
  _check_iterations(iterations, limits)
  target = Target(
    iterations=iterations,
    bpp=_number(query, "bpp", float, None),
    max_bytes=_number(query, "max_bytes", int, None),
    ms_ssim=_number(query, "ms_ssim", float, None),
  )
  adaptive = _is_wanted(query, "adaptive")
  target.check(adaptive)
  carrying = Carrying(
    alpha=query.get("alpha", KEEP),
    keep_metadata=_is_wanted(query, "keep_metadata"),
    keep_location=_is_wanted(query, "keep_location"),
  )
  most, option = _codec_pixels(model, limits)
  carried = carrying.of(_photograph(body, most, option, keep_alpha=True))
  height_px, width_px, _ = carried.image.shape
  _check_padded(height_px, width_px, model, limits)
  found = model.codec.compress_to(
    carried.image,
    target,
    metadata=carried.metadata,
    max_iterations=limits.max_iterations,
    adaptive=adaptive,
  )
  headers = {
    "X-Hardmine-Model-Id": model.model_id,
    "X-Hardmine-Iterations": str(found.iterations),
    "X-Hardmine-Bpp": f"{8 * len(found.data) / (height_px * width_px):.6g}",
  }
  if found.ms_ssim is not None:
    headers["X-Hardmine-Ms-Ssim"] = f"{found.ms_ssim:.6g}"
  if carried.left_out:
    headers["X-Hardmine-Left-Out"] = ", ".join(carried.left_out)
  return Response(found.data, media_type="application/octet-stream", headers=headers)


def decompress(
  model: LoadedModel, body: bytes, query: Query, limits: Limits
) -> Response:
  """A stream to a PNG, with the transparency and the metadata that it holds.

  Args:
    model: the codec that wrote it.
    body: the stream, or its beginning.
    query: `iterations`, to decode only so many.
    limits: its pixels and iterations count.
  """
  from hardmine.trainers.codec.side_chunks.beside import read_beside
  from hardmine.trainers.codec.streams import bitstream
  from hardmine.trainers.photo_metadata.saving import save_options

  iterations = _number(query, "iterations", int, None)
  header = bitstream.read_header(body)
  _check_padded(header.height_px, header.width_px, model, limits)
  model.codec.check(header)
  _check_iterations(header.iterations if iterations is None else iterations, limits)
  stream = bitstream.unpack(body, iterations)
  _check_memory(stream, model, limits)
  headers = {
    "X-Hardmine-Model-Id": model.model_id,
    "X-Hardmine-Iterations": str(stream.iterations),
  }
  beside = read_beside(stream)
  image = model.codec.decode_stream(stream, beside)
  if notes := [*filter(None, (stream.note, *beside.notes))]:
    headers["X-Hardmine-Note"] = "; ".join(notes)
  options, _ = save_options("PNG", beside.metadata)
  return Response(_png(image, options), media_type="image/png", headers=headers)


def _photograph(
  body: bytes, max_pixels: int, option: str, *, keep_alpha: bool = False
) -> Photograph:
  """A photograph, refused by its header where it has too many pixels."""
  from hardmine.trainers.images import ImageError, decode_photograph

  try:
    return decode_photograph(body, max_pixels=max_pixels, keep_alpha=keep_alpha)
  except ImageError as error:
    if error.reason == "too_large":
      raise _too_large(str(error), option) from error
    raise


def _codec_pixels(model: LoadedModel, limits: Limits) -> tuple[int, str]:
  """The most that a codec is given, and the option that decides about it."""
  most = limits.max_codec_pixels(model.codec.needs)
  return most, "--max-pixels" if most == limits.max_pixels else "--max-memory-bytes"


def _check_padded(
  height_px: int, width_px: int, model: LoadedModel, limits: Limits
) -> None:
  """A line of one pixel's height costs a codec as much as one of its padding's."""
  from hardmine.trainers.codec.streams import bitstream

  most, option = _codec_pixels(model, limits)
  padding_px = model.codec.padding_px
  rows, columns = bitstream.code_grid(height_px, width_px, padding_px)
  if rows * columns * STRIDE_PX**2 > most:
    raise _too_large(
      f"Expected at most {most:,} pixels, with sides rounded up to {padding_px}. "
      f"Received: {width_px}x{height_px}",
      option,
    )


def _check_memory(stream: Stream, model: LoadedModel, limits: Limits) -> None:
  """A stream says itself how much of it goes through the network at once."""
  needs = model.codec.needs
  taken = needs.decoding(stream.header, stream.iterations) - needs.fixed_bytes
  if taken > limits.max_memory_bytes:
    raise _too_large(
      f"Expected a stream that decodes in {limits.max_memory_bytes:,} bytes of memory. "
      f"Received: one that takes {taken:,}",
      "--max-memory-bytes",
    )


def _too_large(message: str, option: str) -> Refusal:
  return Refusal(
    413,
    "too_large",
    f"{message}; send a smaller picture, or start the server with more {option}",
  )


def _png(image: np.ndarray, options: Mapping[str, Any]) -> bytes:
  from PIL import Image

  buffer = io.BytesIO()
  # The fastest level: the network between is faster than zlib's higher ones.
  Image.fromarray(image).save(buffer, "PNG", compress_level=1, **options)
  return buffer.getvalue()


def _number(query: Query, name: str, kind: type[N], default: D) -> N | D:
  text = query.get(name)
  if text is None:
    return default
  try:
    # Python's own forms, as 1_000 and other scripts' digits, are none of HTTP's.
    if not text.isascii() or "_" in text or text != text.strip():
      raise ValueError(text)
    return kind(text)
  except ValueError:
    word = "a whole number" if kind is int else "a number"
    raise Refusal(
      400, "bad_query", f"Expected {name} as {word}. Received: {text[:40]!r}"
    ) from None


def _is_wanted(query: Query, name: str) -> bool:
  given = _number(query, name, int, 0)
  require(given in (0, 1), f"{name} as 0 or 1", **{name: given})
  return bool(given)


def _check_iterations(iterations: int | None, limits: Limits) -> None:
  require(
    iterations is None or 1 <= iterations <= limits.max_iterations,
    f"1 to {limits.max_iterations} iterations",
    iterations=iterations,
  )
