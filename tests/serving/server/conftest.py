"""Servers of fake models, which need no TensorFlow."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from hardmine.serving.server.app import create_app
from hardmine.serving.server.limits import Limits
from tests.serving.server.fakes import FakeStore, Shelf
from tests.serving.server.loopback import Client, running

Serve = Callable[..., Client]


@contextlib.contextmanager
def serving(shelf: Shelf) -> Iterator[Serve]:
  """Gives what starts a server of a store within limits; all end with the block."""
  with contextlib.ExitStack() as stack:

    def start(store: FakeStore, **limits) -> Client:
      app = create_app(
        store, "production", Limits(**limits), poll_seconds=0.02, load=shelf.load
      )
      client = stack.enter_context(running(app))
      if store.moving:
        client.until(store.moving["production"])
      return client

    yield start
    shelf.gate.open()
    shelf.loading.open()


@pytest.fixture
def shelf() -> Shelf:
  return Shelf()


@pytest.fixture
def serve(shelf) -> Iterator[Serve]:
  with serving(shelf) as start:
    yield start


@pytest.fixture(scope="module")
def serve_all() -> Iterator[Serve]:
  """`serve` of servers that a module's tests share."""
  with serving(Shelf()) as start:
    yield start
