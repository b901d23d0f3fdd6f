"""The server as an ASGI application: its paths, and the life of a request.

    GET  /                the page                 GET  /healthz  the process lives
    GET  /v1/model        what answers now         GET  /readyz   a model is loaded
    POST /v1/detect       image -> JSON            GET  /metrics  for Prometheus
    POST /v1/compress     image -> stream
    POST /v1/decompress   stream -> PNG

Every answer of a model is made by one version from beginning to end, and names it in
`X-Hardmine-Version`.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from hardmine.serving.server import answers, page_files, refusals
from hardmine.serving.server.body import check_headers, read_body
from hardmine.serving.server.description import describe
from hardmine.serving.server.follower import Follower
from hardmine.serving.server.limits import Limits
from hardmine.serving.server.live_model import LiveModel
from hardmine.serving.server.loaded_model import LoadedModel, load_model
from hardmine.serving.server.metrics import CONTENT_TYPE, Metrics
from hardmine.serving.server.middleware import (
  Counting,
  OneLength,
  SecurityHeaders,
  UnreadBodies,
)
from hardmine.serving.server.refusals import Refusal
from hardmine.serving.server.workers import Workers
from hardmine.serving.store.catalogue import Catalogue

_log = logging.getLogger(__name__)
# Path: the kind of model that answers, how, and which words its query may have.
_ENDPOINTS: dict[str, tuple[str, Callable[..., Response], frozenset[str]]] = {
  "/v1/detect": ("detector", answers.detect, frozenset({"min_score"})),
  "/v1/compress": ("codec", answers.compress, answers.COMPRESS_QUERY),
  "/v1/decompress": ("codec", answers.decompress, frozenset({"iterations"})),
}


class ModelServer:
  """The parts of one server, and its endpoints."""

  def __init__(
    self,
    store: Catalogue,
    alias: str,
    limits: Limits,
    poll_seconds: float,
    load: Callable[[Catalogue, int], LoadedModel],
  ):
    self.limits = limits
    self.metrics = Metrics()
    self.live = LiveModel()
    self.metrics.watch_memory(lambda: self.live.num_in_memory)
    self.workers = Workers(limits)
    self.follower = Follower(
      store, alias, self.live, self.metrics, poll_seconds=poll_seconds, load=load
    )

  @contextlib.asynccontextmanager
  async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
    """Follows the alias while the server runs."""
    following = asyncio.create_task(self.follower.run())
    try:
      yield
    finally:
      following.cancel()
      self.workers.close()

  async def healthz(self, request: Request) -> Response:
    """The process lives, and its event loop turns."""
    return PlainTextResponse("ok\n")

  async def readyz(self, request: Request) -> Response:
    """Requests can be answered."""
    if self.live.current is None:
      raise self._no_model()
    return _versioned(PlainTextResponse("ok\n"), self.live.current)

  async def figures(self, request: Request) -> Response:
    """What Prometheus reads."""
    return Response(self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

  async def model(self, request: Request) -> Response:
    """What answers now, and how well the alias is followed."""
    current = self.live.current
    if current is None:
      raise self._no_model()
    return _versioned(
      JSONResponse(describe(current, self.follower, self.limits)), current
    )

  async def answer(self, request: Request) -> Response:
    """A model's answer, or a refusal; both name the version."""
    kind, work, words = _ENDPOINTS[request.url.path]
    deadline = asyncio.get_running_loop().time() + self.limits.timeout_seconds
    model = None
    with contextlib.ExitStack() as held:
      try:
        held.enter_context(self.workers.place())
        model = held.enter_context(self.live.lease())
        if model is None:
          raise self._no_model()
        _check_request(request, model, kind, words)
        body = await read_body(request, self.limits.max_body_bytes, deadline)
        call = functools.partial(
          _working, work, model, body, request.query_params, self.limits
        )
        response = await self.workers.run(call, request, deadline, held)
        self.metrics.answers.labels(str(model.number)).inc()
      except Refusal as refusal:
        self.metrics.rejected.labels(refusal.reason).inc()
        response = refusals.refusal_response(refusal)
      except Exception as error:
        _log.exception("%s failed", request.url.path)
        self.metrics.rejected.labels("fault").inc()
        response = await refusals.on_fault(request, error)
    return response if model is None else _versioned(response, model)

  def _no_model(self) -> Refusal:
    problem, loading = self.follower.problem, self.follower.loading
    why = "it has not been looked for yet"
    if loading is not None:
      why = f"version {loading} is being loaded"
    elif problem is not None:
      why = problem.message
    return Refusal(503, "no_model", f"There is no model: {why}", {"Retry-After": "1"})


def create_app(
  store: Catalogue,
  alias: str,
  limits: Limits | None = None,
  *,
  poll_seconds: float = 5.0,
  load: Callable[[Catalogue, int], LoadedModel] = load_model,
) -> Starlette:
  """The application, for any ASGI server.

  Args:
    store: where the versions lie.
    alias: whose version answers, now and after it has moved.
    limits: None takes the usual ones.
    poll_seconds: between two looks at the alias.
    load: makes a version ready to answer.
  """
  server = ModelServer(store, alias, limits or Limits(), poll_seconds, load)
  routes = [
    Route("/healthz", server.healthz),
    Route("/readyz", server.readyz),
    Route("/metrics", server.figures),
    Route("/v1/model", server.model),
    *(Route(path, server.answer, methods=["POST"]) for path in _ENDPOINTS),
    *page_files.routes(),
  ]
  counted: Any = frozenset(route.path for route in routes)
  app = Starlette(
    routes=routes,
    lifespan=server.lifespan,
    middleware=[
      Middleware(Counting, metrics=server.metrics, endpoints=counted),
      Middleware(SecurityHeaders),
      Middleware(UnreadBodies),
      Middleware(OneLength),
    ],
    exception_handlers={
      Refusal: refusals.on_refusal,
      HTTPException: refusals.on_http_error,
      Exception: refusals.on_fault,
    },
  )
  app.router.redirect_slashes = False  # an unknown path is one
  app.state.server = server
  return app


def _check_request(
  request: Request, model: LoadedModel, kind: str, words: frozenset[str]
) -> None:
  if model.kind != kind:
    raise Refusal(
      409,
      "wrong_kind",
      f"{request.url.path} needs a {kind}; version {model.number} is a {model.kind}",
    )
  check_headers(request)
  given = collections.Counter(name for name, _ in request.query_params.multi_items())
  for name, times in sorted(given.items()):
    if name not in words or times > 1:
      received = f"{name[:40]!r}" + f", {times} times" * (times > 1)
      raise Refusal(
        400,
        "bad_query",
        f"Expected {', '.join(sorted(words))} in the query, each once at most. "
        f"Received: {received}",
      )


def _working(work: Callable[..., Response], *arguments: Any) -> Response:
  """An answer; what the client can fix becomes a refusal."""
  try:
    return work(*arguments)
  except ValueError as error:
    # An ImageError has its own word to count by.
    reason = getattr(error, "reason", "refused")
    raise Refusal(422, reason, " ".join(str(error).split())) from error


def _versioned(response: Response, model: LoadedModel) -> Response:
  response.headers[refusals.VERSION_HEADER] = str(model.number)
  return response
