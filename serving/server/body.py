"""Reads what a client sends: a file as it is, within a size and a time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from hardmine.serving.server.refusals import CLIENT_GONE, Refusal

# What holds the file somewhere inside; browsers and curl have their own names for a
# file, so that all others are taken.
_WRAPPING = ("multipart/", "application/json", "application/zip", "application/gzip")
_PACKED = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"PK\x03\x04": "zip"}


def check_headers(request: Request) -> None:
  """Raises Refusal where the headers say that the body is not the file as it is."""
  kind = request.headers.get("Content-Type", "").split(";")[0].strip().lower()
  if kind.startswith(_WRAPPING):
    raise _not_plain("type", kind)
  codings = ",".join(request.headers.getlist("Content-Encoding")).lower().split(",")
  for coding in (coding.strip() for coding in codings):
    if coding not in ("", "identity"):
      raise _not_plain("encoding", coding)


async def read_body(request: Request, max_bytes: int, deadline: float) -> bytes:
  """The whole body.

  Args:
    request: whose body nobody has read.
    max_bytes: a longer one is refused, before it is read where its length is given.
    deadline: on the event loop's clock.

  Raises:
    Refusal: too large, empty, packed, too slow, or cut off.
  """
  declared = request.headers.get("Content-Length", "")
  if declared.isdecimal() and int(declared) > max_bytes:
    raise _too_large(max_bytes, f"{int(declared):,}")
  body = bytearray()
  try:
    seconds = deadline - asyncio.get_running_loop().time()
    await asyncio.wait_for(_fill(body, request, max_bytes), seconds)
  except (TimeoutError, asyncio.TimeoutError):  # two classes before Python 3.11
    raise Refusal(
      408, "slow_body", f"The body took too long; {len(body):,} bytes came"
    ) from None
  except ClientDisconnect:
    raise Refusal(CLIENT_GONE, "client_gone", "The client went away") from None
  if not body:
    raise Refusal(422, "empty", "Expected a file as the body. Received: 0 bytes")
  for beginning, name in _PACKED.items():
    if body.startswith(beginning):
      raise _not_plain("encoding", name)
  return bytes(body)


async def _fill(body: bytearray, request: Request, max_bytes: int) -> None:
  async for piece in request.stream():
    body += piece
    if len(body) > max_bytes:
      raise _too_large(max_bytes, "more")


def _too_large(max_bytes: int, received: str) -> Refusal:
  return Refusal(
    413, "body_too_large", f"Expected at most {max_bytes:,} bytes. Received: {received}"
  )


def _not_plain(what: str, received: str) -> Refusal:
  return Refusal(
    415,
    f"unsupported_{what}",
    "Expected the file itself as the body, in no form and not packed, as `curl "
    f"--data-binary @FILE` sends it. Received: {received[:40]}",
    {"Accept": "image/*, application/octet-stream", "Accept-Encoding": "identity"},
  )
