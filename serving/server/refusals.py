"""Errors as clients see them: one JSON object, whatever went wrong.

{"error": {"status": 422, "reason": "truncated", "message": "Expected ..."}}
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

VERSION_HEADER = "X-Hardmine-Version"
CLIENT_GONE = 499  # for the metrics; nobody is left to read it


class Refusal(Exception):
  """A request that is not answered, and why.

  Attributes:
    status: of HTTP.
    reason: a word to count by.
    message: one line for people.
    headers: of the response.
  """

  def __init__(
    self,
    status: int,
    reason: str,
    message: str,
    headers: Mapping[str, str] | None = None,
  ):
    super().__init__(message)
    self.status, self.reason, self.message = status, reason, message
    self.headers = dict(headers or {})


def refusal_response(refusal: Refusal) -> Response:
  """The JSON of a refusal."""
  error = {
    "status": refusal.status,
    "reason": refusal.reason,
    "message": refusal.message,
  }
  return JSONResponse(
    {"error": error}, status_code=refusal.status, headers=refusal.headers
  )


async def on_refusal(request: Request, error: Exception) -> Response:
  """Starlette's handler of `Refusal`."""
  assert isinstance(error, Refusal)
  return refusal_response(error)


async def on_http_error(request: Request, error: Exception) -> Response:
  """Starlette's own refusals: unknown paths and wrong methods."""
  assert isinstance(error, HTTPException)
  headers = error.headers or {}
  reason, message = "http", error.detail
  if error.status_code == 404:
    reason = "unknown_path"
    message = f"Nothing is at {request.url.path}; there are {_paths(request)}"
  elif error.status_code == 405:
    allowed = headers.get("Allow", "")
    reason = "wrong_method"
    message = (
      f"{request.url.path} takes {allowed}. Received: {request.method}; there are "
      f"{_paths(request)}"
    )
  return refusal_response(Refusal(error.status_code, reason, message, headers))


def _paths(request: Request) -> str:
  """What can be asked for; the page asks for its own files."""
  return ", ".join(
    f"{'POST' if 'POST' in route.methods else 'GET'} {route.path}"
    for route in request.app.routes
    if not route.path.startswith("/static/")
  )


async def on_fault(request: Request, error: Exception) -> Response:
  """Anything unforeseen; the traceback is for the log, not for the client."""
  return refusal_response(
    Refusal(500, "fault", "The server failed; its log says where")
  )
