"""Sums over tasks, and what happens when one does not come, fails, or goes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from hardmine.trainers.workers import current, meeting
from hardmine.trainers.workers.team import Chief, Worker, limit
from hardmine.trainers.workers.tf_config import place_of


def free_port():
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


def environments(size, port=None):
  """TF_CONFIG of every task, the chief's first; only the chief listens."""
  cluster = {
    "chief": [f"127.0.0.1:{port or free_port()}"],
    "worker": [f"127.0.0.1:{number}" for number in range(1, size)],
  }
  tasks = [("chief", 0), *(("worker", number) for number in range(size - 1))]
  return [
    {"TF_CONFIG": json.dumps({"cluster": cluster, "task": {"type": k, "index": i}})}
    for k, i in tasks
  ]


@contextlib.contextmanager
def team(size):
  """The chief and the workers of one, all in this process, ready to train."""
  places = [place_of(environment) for environment in environments(size)]
  chief = Chief(places[0])
  workers = [Worker(place, silent) for place in places[1:]]
  try:
    chief.gather(silent)
    for worker in workers:
      assert worker.hear_job() == {"job": None}
    yield chief, workers
  finally:
    for one in (chief, *workers):
      one.end()
    chief.close()


def silent(_):
  pass


def in_threads(*calls):
  """What the calls return, made at the same time; an exception as it is."""
  found = [None] * len(calls)

  def work(number):
    try:
      found[number] = calls[number]()
    except Exception as error:
      found[number] = error

  threads = [threading.Thread(target=work, args=(n,)) for n in range(len(calls))]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join(30)
    assert not thread.is_alive()
  return found


def arrays_of(rank):
  return [
    np.full((3, 2), 1.5 * (rank + 1), np.float32),
    np.float32(rank + 1),
    np.zeros((0, 4), np.float32),
    np.arange(300_000, dtype=np.int64) * rank,
  ]


@pytest.mark.parametrize("size", [2, 4])
def test_every_task_gets_the_sum(size):
  with team(size) as (chief, workers):
    tasks = [chief, *workers]
    for _ in range(3):
      sums = in_threads(*(lambda t=t: t.sum(arrays_of(t.rank)) for t in tasks))
      expected = [
        np.sum(a, axis=0) for a in zip(*(arrays_of(rank) for rank in range(size)))
      ]
      for totals in sums:
        for total, array in zip(totals, expected):
          assert total.dtype == array.dtype
          np.testing.assert_array_equal(total, array)


def test_sums_do_not_depend_on_who_is_first():
  """Floats added in another order would differ."""
  values = np.random.default_rng(0).normal(size=(3, 1000)).astype(np.float32)
  values *= np.array([[1.0], [1e4], [1e-4]], np.float32)
  with team(3) as (chief, workers):

    def late(task, seconds):
      time.sleep(seconds)
      return task.sum([values[task.rank]])[0]

    for delays in ((0, 0, 0.1), (0.1, 0.1, 0), (0, 0.1, 0)):
      tasks = zip([chief, *workers], delays)
      sums = in_threads(*(lambda t=t, d=d: late(t, d) for t, d in tasks))
      for total in sums:
        np.testing.assert_array_equal(total, values[0] + values[1] + values[2])


def test_workers_get_the_job_and_what_the_chief_has():
  places = [place_of(environment) for environment in environments(3)]
  chief = Chief(places[0])
  chief.job = {"steps": 7}
  workers = [Worker(place, silent) for place in places[1:]]
  chief.gather(silent)
  assert [worker.hear_job() for worker in workers] == [{"job": {"steps": 7}}] * 2
  chief.from_chief([np.arange(4)])
  for worker in workers:
    np.testing.assert_array_equal(worker.from_chief([np.zeros(4, int)])[0], range(4))
  chief.end()
  chief.close()
  for worker in workers:
    worker.wait_for_end()


def test_a_worker_that_the_chief_does_not_need_is_told():
  places = [place_of(environment) for environment in environments(2)]
  chief = Chief(places[0])
  worker = Worker(places[1], silent)
  chief.end()
  chief.close()
  assert worker.hear_job() is None


def test_tasks_that_sum_different_things_end_with_one_line():
  with team(2) as (chief, (worker,)):
    found = in_threads(
      lambda: chief.sum([np.zeros(3)]), lambda: worker.sum([np.zeros(4)])
    )
    for error in found:
      assert "do not train the same model" in str(error)


def test_the_failure_of_one_is_the_line_of_all():
  with team(3) as (chief, workers):
    workers[1].give_up(f"{workers[1].place.name}: no space left on the device")
    found = in_threads(
      lambda: chief.sum([np.zeros(3)]), lambda: workers[0].sum([np.zeros(3)])
    )
    assert {str(error) for error in found} == {
      f"{workers[1].place.name}: no space left on the device"
    }
    assert str(chief.failure) == str(found[0])


def test_workers_may_come_before_the_chief(monkeypatch):
  places = [place_of(environment) for environment in environments(2)]

  def late_chief():
    time.sleep(1.0)
    chief = Chief(places[0])
    chief.gather(silent)
    return chief

  chief, worker = in_threads(late_chief, lambda: Worker(places[1], silent))
  assert worker.hear_job() == {"job": None}
  chief.close()


def test_a_worker_that_went_before_the_start_may_come_anew():
  places = [place_of(environment) for environment in environments(2)]
  chief = Chief(places[0])
  first = Worker(places[1], silent)
  first.give_up("restarted")
  time.sleep(0.3)
  second = Worker(places[1], silent)
  chief.gather(silent)
  assert second.hear_job() == {"job": None}
  second.end()
  chief.end()
  chief.close()


def test_a_worker_that_comes_anew_in_the_middle_ends_the_training():
  with team(2) as (chief, (worker,)):
    again = Worker(worker.place, silent)
    (error,) = in_threads(lambda: chief.sum([np.zeros(3)]))
    assert "was started anew" in str(error)
    with pytest.raises(RuntimeError, match=r"has gone"):
      again.hear_job()


@pytest.mark.parametrize("who", ["worker", "chief"])
def test_a_missing_task_is_named_after_the_stated_time(who, monkeypatch):
  monkeypatch.setenv("HARDMINE_START_SECONDS", "0.3")
  places = [place_of(environment) for environment in environments(3)]
  began = time.monotonic()
  if who == "chief":
    with pytest.raises(RuntimeError, match=r"^chief \(127.*within 0.3 s: Conn.*START"):
      Worker(places[1], silent)
  else:
    chief = Chief(places[0])
    worker = Worker(places[1], silent)
    with pytest.raises(RuntimeError, match=r"^worker 1 \(127.*within 0.3 s.*START"):
      chief.gather(silent)
    with pytest.raises(RuntimeError, match=r"^worker 1 \(127.*within 0.3 s"):
      worker.hear_job()
    chief.close()
  assert time.monotonic() - began < 10


def test_another_cluster_and_other_programs_are_refused(monkeypatch):
  monkeypatch.setenv("HARDMINE_START_SECONDS", "0.2")
  port = free_port()
  chief = Chief(place_of(environments(2, port)[0]))
  with pytest.raises(RuntimeError, match="another cluster"):
    Worker(place_of(environments(3, port)[1]), silent)
  greeting = meeting._greeting
  monkeypatch.setattr(
    meeting, "_greeting", lambda place: {**greeting(place), "programs": "keras 2"}
  )
  place = place_of(environments(2, port)[1])
  refusal = meeting._refusal(meeting._greeting(place), place)
  assert refusal is None  # of one that is as old
  monkeypatch.undo()
  refusal = meeting._refusal({**greeting(place), "programs": "keras 2"}, place)
  assert refusal["for_good"]
  assert "keras 2" in refusal["why"]
  chief.close()


def test_strangers_are_hung_up_on():
  with team(2) as (chief, (worker,)):
    host, port = chief.place.addresses[0].split(":")
    for words in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 64, b"\0\0\0\2[]"):
      with (
        contextlib.suppress(OSError),
        socket.create_connection((host, int(port)), 5) as stranger,
      ):
        stranger.sendall(words)
        stranger.shutdown(socket.SHUT_WR)
        while stranger.recv(1 << 16):
          pass
    sums = in_threads(lambda: chief.sum([np.ones(3)]), lambda: worker.sum([np.ones(3)]))
    np.testing.assert_array_equal(sums[0][0], sums[1][0])


def test_a_port_that_is_taken_is_one_line():
  place = place_of(environments(2)[0])
  chief = Chief(place)
  with pytest.raises(RuntimeError, match=r"cannot listen on port \d+: Address already"):
    Chief(place)
  chief.close()


WORKER = """
import sys, time
import numpy as np
from hardmine.trainers.workers.team import Worker
from hardmine.trainers.workers.tf_config import place_of

worker = Worker(place_of())
worker.hear_job()
try:
  worker.sum([np.ones(3)])
  print("summed", flush=True)
  time.sleep(60 if worker.rank == 2 else 0)
  worker.sum([np.ones(3)])
except RuntimeError as error:
  sys.exit(f"hardmine: {error}")
"""


@pytest.mark.parametrize(
  "blow", [signal.SIGKILL, signal.SIGSTOP], ids=["gone", "still"]
)
def test_a_worker_that_dies_or_freezes_ends_the_others(blow, monkeypatch):
  monkeypatch.setenv("HARDMINE_SILENCE_SECONDS", "1.5")
  first, *others = environments(3)
  chief = Chief(place_of(first))
  processes = [
    subprocess.Popen(
      [sys.executable, "-c", WORKER],
      env={**os.environ, **environment},
      stdout=subprocess.PIPE,
      stderr=subprocess.PIPE,
      text=True,
    )
    for environment in others
  ]
  try:
    chief.gather(silent)
    chief.sum([np.ones(3)])
    for process in processes:
      while "summed" not in process.stdout.readline():
        pass
    os.kill(processes[1].pid, blow)
    began = time.monotonic()
    why = "has gone" if blow == signal.SIGKILL else "has given no sign for 1.5 s"
    with pytest.raises(RuntimeError, match=rf"^worker 1 \(127.*{why}.*checkpoint$"):
      chief.sum([np.ones(3)])
    assert time.monotonic() - began < 8
    _, errors = processes[0].communicate(timeout=20)
    assert errors.splitlines()[-1] == f"hardmine: {chief.failure}"
    assert processes[0].returncode == 1
  finally:
    for process in processes:
      process.kill()
      process.communicate()
    chief.close()


def test_a_task_that_is_busy_for_long_is_not_gone(monkeypatch):
  """Longer than the limit on silence; signs of life come from a thread."""
  monkeypatch.setenv("HARDMINE_SILENCE_SECONDS", "0.4")
  with team(2) as (chief, (worker,)):

    def busy():
      time.sleep(1.5)
      return worker.sum([np.ones(2)])

    sums = in_threads(lambda: chief.sum([np.ones(2)]), busy)
    np.testing.assert_array_equal(sums[0][0], [2, 2])


def test_rows_are_shared_out_evenly_or_not_at_all(monkeypatch):
  with team(2) as (chief, (worker,)):
    monkeypatch.setattr(current, "_team", chief)
    assert current.row_share(6) == slice(0, 3)
    monkeypatch.setattr(current, "_team", worker)
    assert current.row_share(6) == slice(3, 6)
    with pytest.raises(ValueError, match=r"multiple of 2.*batch_size=5"):
      current.row_share(5)
  monkeypatch.setattr(current, "_team", None)
  assert current.row_share(5) == slice(0, 5)


def test_a_failing_chief_ends_the_workers_with_its_line(monkeypatch):
  first, second = environments(2)
  monkeypatch.setenv("TF_CONFIG", first["TF_CONFIG"])
  found = []

  def fail():
    with current.joined("multiworker", silent):
      found.append(Worker(place_of(second), silent))
      assert current.current() is not None
      raise OSError("disk is full")

  with pytest.raises(OSError, match="disk is full"):
    fail()
  (worker,) = found
  assert current.current() is None
  with pytest.raises(RuntimeError, match=r"^chief \(127.*: disk is full$"):
    worker.hear_job()


def test_multiworker_needs_to_be_told_of_the_others(monkeypatch):
  monkeypatch.delenv("TF_CONFIG", raising=False)
  with pytest.raises(ValueError, match="TF_CONFIG"), current.joined("multiworker"):
    pass
  with current.joined("auto") as nobody:
    assert nobody is None
  one = {"cluster": {"chief": ["a:1"]}, "task": {"type": "chief", "index": 0}}
  monkeypatch.setenv("TF_CONFIG", json.dumps(one))
  with current.joined("multiworker", silent) as nobody:
    assert nobody is None


@pytest.mark.parametrize("text", ["0", "-3", "soon", "nan", "inf"])
def test_limits_are_seconds(text, monkeypatch):
  monkeypatch.setenv("HARDMINE_START_SECONDS", text)
  with pytest.raises(ValueError, match="HARDMINE_START_SECONDS"):
    limit("HARDMINE_START_SECONDS", 600.0)
