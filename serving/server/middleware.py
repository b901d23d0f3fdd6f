"""What is done to every request: counting, headers, unread bodies, one length."""

from __future__ import annotations

import asyncio
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hardmine.serving.server.metrics import Metrics
from hardmine.serving.server.refusals import Refusal, refusal_response

_HEADERS = {
  "Content-Security-Policy": (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
  ),
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Referrer-Policy": "no-referrer",
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
}
_DRAIN_SECONDS = 2.0


class Counting:
  """Counts requests by endpoint and status, and times them."""

  def __init__(self, app: ASGIApp, metrics: Metrics, endpoints: frozenset[str]):
    self._app, self._metrics, self._endpoints = app, metrics, endpoints

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """As ASGI wants it."""
    if scope["type"] != "http":
      return await self._app(scope, receive, send)
    # Of other paths there are as many as clients care to invent.
    path = scope["path"]
    endpoint = path if path in self._endpoints else "other"
    status, started = 500, time.perf_counter()

    async def noting(message: Message) -> None:
      nonlocal status
      if message["type"] == "http.response.start":
        status = message["status"]
      await send(message)

    self._metrics.in_flight.inc()
    try:
      await self._app(scope, receive, noting)
    finally:
      self._metrics.in_flight.dec()
      self._metrics.requests.labels(endpoint, str(status)).inc()
      self._metrics.seconds.labels(endpoint).observe(time.perf_counter() - started)


class SecurityHeaders:
  """The page is ours alone, and answers are not for other sites to embed."""

  def __init__(self, app: ASGIApp):
    self._app = app

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """As ASGI wants it."""

    async def with_headers(message: Message) -> None:
      if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        headers.update(_HEADERS)
        headers.setdefault("Cache-Control", "no-store")
      await send(message)

    await self._app(scope, receive, with_headers)


class UnreadBodies:
  """Lets a client that is refused in the midst of sending see the refusal.

  Closing a connection with unread bytes resets it, and the client may lose the answer
  that was already on its way. So the answer goes out whole, what still comes is thrown
  away for a while, and then the connection ends.
  """

  def __init__(self, app: ASGIApp):
    self._app = app

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """As ASGI wants it."""
    if scope["type"] != "http":
      return await self._app(scope, receive, send)
    headers = Headers(scope=scope)
    unread = headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in headers

    async def noting() -> Message:
      nonlocal unread
      message = await receive()
      if not message.get("more_body", False):  # the end, or the client's
        unread = False
      return message

    async def throw_away() -> None:
      while unread:
        await noting()

    async def lingering(message: Message) -> None:
      if not unread:
        return await send(message)
      if message["type"] == "http.response.start":
        MutableHeaders(scope=message)["Connection"] = "close"
        return await send(message)
      await send({**message, "more_body": True})
      if not message.get("more_body", False):
        task = asyncio.ensure_future(throw_away())
        await asyncio.wait({task}, timeout=_DRAIN_SECONDS)
        task.cancel()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    await self._app(scope, noting, lingering)


class OneLength:
  """Refuses a request of which two servers may think that it ends in two places.

  A proxy that goes by the other of two lengths takes the end of one client's body for
  the beginning of the next one's request.
  """

  def __init__(self, app: ASGIApp):
    self._app = app

  async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
    """As ASGI wants it."""
    if scope["type"] == "http":
      headers, received = Headers(scope=scope), None
      if "Transfer-Encoding" in headers:
        if "Content-Length" in headers:
          received = "both"
        elif scope.get("http_version") == "1.0":
          received = "Transfer-Encoding in HTTP/1.0, which has none"
      if received is not None:
        refusal = Refusal(
          400,
          "bad_framing",
          f"Expected Content-Length or Transfer-Encoding. Received: {received}",
          {"Connection": "close"},
        )
        return await refusal_response(refusal)(scope, receive, send)
    await self._app(scope, receive, send)
