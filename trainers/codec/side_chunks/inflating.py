"""A zlib stream of somebody else's, inflated no further than it may go."""

from __future__ import annotations

import zlib


def inflate(data: bytes, most: int) -> bytes:
  """What a whole zlib stream (RFC 1950) holds.

  Raises:
    ValueError: it is damaged, something follows it, or it holds more than `most`
      bytes; no more than that were made to find out.
  """
  stream = zlib.decompressobj()
  try:
    found = stream.decompress(data, most + 1)
  except zlib.error as error:
    raise ValueError(f"Expected a whole zlib stream. Received: {error}") from error
  if len(found) > most or not stream.eof or stream.unused_data:
    raise ValueError(
      f"Expected a whole zlib stream of at most {most:,} bytes. Received: "
      f"{len(data):,} bytes of something else"
    )
  return found
