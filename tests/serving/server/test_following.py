"""The alias moves, and no client notices but by the version it reads."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from hardmine.serving.server.follower import Follower
from hardmine.serving.server.live_model import LiveModel
from hardmine.serving.server.metrics import Metrics
from tests.serving.server.fakes import FakeStore, Shelf
from tests.serving.server.loopback import picture, wait_until


def figure(client, name: str) -> float:
  lines = client.get("/metrics").body.decode().splitlines()
  return float(next(line.split()[1] for line in lines if line.startswith(f"{name} ")))


def test_no_request_fails_or_is_mixed_while_the_alias_moves(serve):
  store = FakeStore(production=1)
  client = serve(store, concurrency=2, max_waiting=64)
  body, stop = picture(), threading.Event()

  def loop():
    seen = []
    while not stop.is_set():
      answer = client.post("/v1/detect", body)
      assert answer.status == 200, answer.body
      (one,) = answer.json["objects"]
      versions = {
        answer.version,
        answer.json["version"],
        int(answer.json["model_id"], 16),
        round(1000 * one["score"]),  # what the model itself has said
        round(one["box_yxyx_px"][3]),
      }
      assert len(versions) == 1
      seen.append(answer.version)
    return seen

  with ThreadPoolExecutor(4) as threads:
    loops = [threads.submit(loop) for _ in range(4)]
    try:
      for number in range(2, 12):
        store.moving["production"] = number
        client.until(number)
    finally:
      stop.set()
    seen = [one.result() for one in loops]
  assert all(versions == sorted(versions) for versions in seen)
  assert len({version for versions in seen for version in versions}) > 5
  assert figure(client, "hardmine_model_switches_total") == 11
  wait_until(lambda: figure(client, "hardmine_models_in_memory") == 1)


def test_requests_in_flight_end_on_the_old_version_which_then_is_freed(serve, shelf):
  store = FakeStore(production=1)
  client = serve(store, concurrency=2)
  old = weakref.ref(shelf.models.pop(1))
  shelf.gate.shut()
  with ThreadPoolExecutor(2) as threads:
    in_flight = threads.submit(client.post, "/v1/detect", picture())
    wait_until(lambda: shelf.gate.num_waiting == 1)
    store.moving["production"] = 2
    client.until(2)
    assert figure(client, "hardmine_models_in_memory") == 2
    newer = threads.submit(client.post, "/v1/detect", picture())
    wait_until(lambda: shelf.gate.num_waiting == 2)
    assert old() is not None
    shelf.gate.open()
    assert (in_flight.result().version, newer.result().version) == (1, 2)
    assert in_flight.result().json["version"] == 1
  wait_until(lambda: figure(client, "hardmine_models_in_memory") == 1)
  wait_until(lambda: gc.collect() >= 0 and old() is None)


def test_the_old_version_answers_while_the_new_one_is_loaded(serve, shelf):
  store = FakeStore(production=1)
  client = serve(store)
  shelf.loading.shut()
  store.moving["production"] = 2
  wait_until(lambda: client.get("/v1/model").json["loading"] == 2)
  assert client.post("/v1/detect", picture()).version == 1
  assert client.get("/readyz").version == 1
  shelf.loading.open()
  client.until(2)
  assert client.get("/v1/model").json["loading"] is None


def test_a_version_that_fails_is_not_taken(serve, shelf, caplog):
  store = FakeStore(production=1)
  client = serve(store)
  store.moving["production"] = 200
  wait_until(lambda: client.get("/v1/model").json["problem"])
  model = client.get("/v1/model")
  assert (model.json["version"], model.version) == (1, 1)
  assert model.json["problem"]["version"] == 200
  assert "variables.index of 200 is damaged" in model.json["problem"]["message"]
  assert client.post("/v1/detect", picture()).version == 1
  assert client.get("/readyz").status == 200
  assert figure(client, "hardmine_alias_followed") == 0
  assert figure(client, "hardmine_model_version") == 1
  assert figure(client, "hardmine_model_load_failures_total") >= 1
  assert [r.message for r in caplog.records if r.levelname == "ERROR"] == [
    "production: version 200 is not taken: variables.index of 200 is damaged"
  ]
  store.moving["production"] = 3
  client.until(3)
  assert client.get("/v1/model").json["problem"] is None
  assert figure(client, "hardmine_alias_followed") == 1


def test_one_that_fails_at_the_start_leaves_nothing_ready(serve, shelf):
  store = FakeStore()
  client = serve(store)
  store.moving["production"] = 201
  wait_until(lambda: 201 in shelf.attempts)
  wait_until(lambda: "is damaged" in client.get("/readyz").message)
  assert client.get("/readyz").status == 503


def test_a_store_out_of_reach_changes_nothing(serve):
  store = FakeStore(production=1)
  client = serve(store)
  store.fault = OSError("the network is down")
  wait_until(lambda: client.get("/v1/model").json["problem"])
  assert "the network is down" in client.get("/v1/model").json["problem"]["message"]
  assert client.post("/v1/detect", picture()).version == 1
  assert figure(client, "hardmine_store_errors_total") >= 1
  store.fault = None
  wait_until(lambda: client.get("/v1/model").json["problem"] is None)
  store.moving.clear()  # somebody removed the alias: the last version stays
  wait_until(lambda: client.get("/v1/model").json["problem"])
  assert client.post("/v1/detect", picture()).version == 1


def test_a_failed_version_is_tried_again_after_longer_and_longer_waits(monkeypatch):
  store, shelf = FakeStore(production=200), Shelf()

  async def story():
    follower = Follower(
      store, "production", LiveModel(), Metrics(), poll_seconds=1, load=shelf.load
    )
    loop, now, attempts = asyncio.get_running_loop(), 1000.0, []
    monkeypatch.setattr(loop, "time", lambda: now, raising=False)
    for _ in range(40):
      await follower.poll()
      attempts.append(len(shelf.attempts))
      now += 1
    return attempts

  attempts = asyncio.run(story())
  tried_at = [0] + [n for n in range(1, 40) if attempts[n] > attempts[n - 1]]
  assert tried_at == [0, 2, 6, 14, 30]


def test_the_model_that_is_replaced_twice_in_one_request(shelf):
  live = LiveModel()
  for number in (1, 2, 3):
    live.switch(shelf.load(None, number))
    with live.lease() as model:
      assert model is not None
      assert model.number == number
      live.switch(shelf.load(None, 10 * number))
      assert model.model is not None
      assert live.num_in_memory == 2
    assert model.model is None
    assert live.num_in_memory == 1


@pytest.mark.parametrize("number", [1, 101])
def test_nothing_to_lease_at_first(shelf, number):
  live = LiveModel()
  with live.lease() as model:
    assert model is None
  live.switch(shelf.load(None, number))
  assert live.current is not None


def test_a_version_that_never_can_be_taken_is_tried_for_ever():
  shelf, store = Shelf(), FakeStore(production=200)
  follower = Follower(
    store, "production", LiveModel(), Metrics(), poll_seconds=5, load=shelf.load
  )

  async def fail_often():
    for _ in range(3000):
      follower._next_attempt = 0.0  # as if the time had passed
      await follower.poll()

  asyncio.run(fail_often())
  assert len(shelf.attempts) == 3000


def test_no_fault_ends_the_following(serve, monkeypatch):
  poll, faults = Follower.poll, [ZeroDivisionError("a fault of ours")]

  async def faulty(self):
    if faults:
      raise faults.pop()
    await poll(self)

  monkeypatch.setattr(Follower, "poll", faulty)
  assert serve(FakeStore(production=1)).get("/readyz").status == 200
