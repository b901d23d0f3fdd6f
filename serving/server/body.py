"""Reads what a client sends, within a size and a time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from hardmine.serving.server.refusals import CLIENT_GONE, Refusal


async def read_body(request: Request, max_bytes: int, deadline: float) -> bytes:
  """The whole body.

  Args:
    request: whose body nobody has read.
    max_bytes: a longer one is refused, before it is read where its length is given.
    deadline: on the event loop's clock.

  Raises:
    Refusal: too large, empty, too slow, or cut off.
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
