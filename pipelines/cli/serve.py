"""`hardmine serve`: the model behind an alias over HTTP, with a page to try it on."""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import logging
import math
import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.model_ref import (
  add_model_argument,
  choose_model,
  resolve_model,
)
from hardmine.pipelines.cli.model_store_arguments import (
  add_public_keys,
  add_store,
  open_store,
  public_keys_of,
)
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument
from hardmine.schemas.config import require
from hardmine.schemas.exported_model import kind_of, read_facts
from hardmine.serving.server.limits import Limits
from hardmine.trainers.runtime.choice import known_runtime

if TYPE_CHECKING:
  import socket

  import uvicorn

  from hardmine.serving.store.store import ModelStore

HELP = (
  "Serves the model that an alias of a model store names: POST /v1/detect, "
  "/v1/compress and /v1/decompress, a page at /, figures at /metrics. When the alias "
  "moves, the server moves, and no request fails. Without a store it serves one model, "
  "the codec that ships with hardmine unless another is named."
)
_LIMITS = {
  "max_body_bytes": "of a request",
  "max_pixels": "of an image",
  "max_memory_bytes": "of a codec's network for one request; bounds its pixels",
  "max_iterations": "of a codec for one request",
  "concurrency": "requests that are worked on at a time",
  "max_waiting": "requests that may wait for that; more get a 503",
  "timeout_seconds": "from a request's beginning to its answer",
  "max_connections": "open at a time; more are turned away",
}
_LOG_FORMAT = "%(asctime)s %(levelname)s %(message)s"


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  add_store(parser)
  add_model_argument(parser)
  parser.add_argument(
    "--alias",
    default="production",
    metavar="NAME",
    help="that is followed (default: %(default)s)",
  )
  parser.add_argument(
    "--host",
    default="127.0.0.1",
    help="to listen on; others than this machine's own reach it at 0.0.0.0 "
    "(default: %(default)s)",
  )
  parser.add_argument(
    "--port", type=int, default=8500, help="0 takes a free one (default: %(default)s)"
  )
  parser.add_argument(
    "--poll-seconds",
    type=float,
    default=5.0,
    metavar="X",
    help="between two looks at the alias (default: %(default)g)",
  )
  add_public_keys(parser, "only versions that this key has signed are taken")
  add_runtime_argument(parser)
  bounds = parser.add_argument_group("limits")
  for name, text in _LIMITS.items():
    default = getattr(Limits(), name)
    bounds.add_argument(
      f"--{name.replace('_', '-')}",
      type=type(default),
      default=default,
      metavar="X" if isinstance(default, float) else "N",
      help=f"{text} (default: %(default)s)",
    )


def run(args: argparse.Namespace) -> int:
  """Serves until TERM, HUP or an interrupt; requests in flight are answered first.

  Raises:
    ValueError: a limit or a store that cannot be.
    OSError: the address is not to be had.
  """
  require(0 <= args.port < 1 << 16, "a port from 0 to 65535", port=args.port)
  require(
    0 < args.poll_seconds < math.inf,
    "a finite poll_seconds > 0",
    poll_seconds=args.poll_seconds,
  )
  logging.basicConfig(level=logging.INFO, format=_LOG_FORMAT)

  from hardmine.serving.server.app import create_app
  from hardmine.serving.server.connections import listen, make_server
  from hardmine.serving.server.loaded_model import load_model
  from hardmine.serving.store.signing import name_of_key

  limits = Limits(**{name: getattr(args, name) for name in _LIMITS})
  public_keys = public_keys_of(args)
  for path in public_keys:
    name_of_key(path)  # else every version would be refused, and nobody know why
  load = functools.partial(
    load_model, public_keys=public_keys, runtime=known_runtime(args.runtime)
  )
  with _store_of(args) as (store, told):
    app = create_app(
      store, args.alias, limits, poll_seconds=args.poll_seconds, load=load
    )
    with listen(args.host, args.port) as listener:
      host, port = listener.getsockname()[:2]
      shown = f"[{host}]" if ":" in host else host
      print(f"{told} at http://{shown}:{port}", flush=True)
      serve_until_told(make_server(app, limits), listener)
  if app.state.server.workers.num_inside:  # work that nobody waits for any more
    sys.stdout.flush()
    os._exit(0)  # or Python would wait for it
  return 0


@contextlib.contextmanager
def _store_of(args: argparse.Namespace) -> Iterator[tuple[ModelStore, str]]:
  """The store that is followed, and what is served in words.

  One model is served as the only version of a store that goes with the process.
  """
  if args.store and args.model is None:
    store = open_store(args)
    yield store, f"{args.alias} of {store.url}"
    return
  model_dir = (
    choose_model(None) if args.model is None else resolve_model(args.model, None)
  )
  require(
    not public_keys_of(args),
    "--public-key with a --store, as a model by itself has no signature",
    model=str(model_dir),
  )
  with tempfile.TemporaryDirectory(prefix="hardmine-served-") as place:
    yield _store_with(model_dir, place, args.alias), str(model_dir)


def _store_with(model_dir: Path, place: str, alias: str) -> ModelStore:
  """A new store that holds one model, with what lies beside it, under an alias."""
  from hardmine.serving.store.contents import DOCUMENTS
  from hardmine.serving.store.entries import Reason
  from hardmine.serving.store.store import ModelStore

  kind = kind_of(model_dir) or ""
  paths = {name: model_dir / path for name, path in DOCUMENTS.items()}
  beside = {
    name: json.loads(path.read_text("utf-8")) if path.is_file() else {}
    for name, path in paths.items()
  }
  store, reason = ModelStore(place), Reason(who="hardmine serve")
  number = store.add(
    model_dir,
    kind=kind,
    model_id=read_facts(model_dir, kind)["model_id"],
    **{**beside, "lineage": {"model_dir": str(model_dir)}},
    reason=reason,
  )
  store.move(alias, number, reason=reason)
  return store


def serve_until_told(server: uvicorn.Server, listener: socket.socket) -> None:
  """Runs a server; TERM, and HUP of a terminal that closes, let it answer and end.

  What the process was told to ignore, as by `nohup`, stays ignored.
  """
  for number in (signal.SIGTERM, signal.SIGHUP):
    # Uvicorn raises a signal once more when it is done; then it is no fault.
    if signal.getsignal(number) != signal.SIG_IGN:
      signal.signal(number, server.handle_exit)
  server.run(sockets=[listener])
