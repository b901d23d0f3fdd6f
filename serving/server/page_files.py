"""The page: a few files of this package, and nothing from anywhere else."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_FOLDER = Path(__file__).parent / "page"
_TYPES = {
  ".css": "text/css",
  ".html": "text/html",
  ".js": "text/javascript",
  ".svg": "image/svg+xml",
}


def routes() -> list[Route]:
  """One for each file, read now: `/` and `/static/NAME`."""
  return [
    Route("/" if path.name == "index.html" else f"/static/{path.name}", _serving(path))
    for path in sorted(_FOLDER.iterdir())
    if path.suffix in _TYPES
  ]


def _serving(path: Path):
  content, kind = path.read_bytes(), _TYPES[path.suffix]

  async def serve(request: Request) -> Response:
    return Response(content, media_type=kind, headers={"Cache-Control": "no-cache"})

  return serve
