"""Stores of both sorts, and an object store that is empty at the start of a test."""

from __future__ import annotations

import pytest

from hardmine.schemas import bucket
from hardmine.serving.store.store import ModelStore
from tests.serving.store.object_store import PROTOCOL, FakeObjectStore


@pytest.fixture
def objects(tmp_path, monkeypatch):
  """The stand-in, with short pauses and a cache of its own."""
  monkeypatch.setattr(bucket, "DELAYS_SECONDS", (0.001,) * 5)
  monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
  FakeObjectStore.reset()
  yield FakeObjectStore
  FakeObjectStore.reset()


@pytest.fixture(params=["folder", "objects"])
def store(request, tmp_path, objects):
  if request.param == "folder":
    return ModelStore(tmp_path / "store")
  return ModelStore(f"{PROTOCOL}://bucket/store")


@pytest.fixture
def local_store(tmp_path):
  return ModelStore(tmp_path / "store")


@pytest.fixture
def object_store(objects):
  return ModelStore(f"{PROTOCOL}://bucket/store")
