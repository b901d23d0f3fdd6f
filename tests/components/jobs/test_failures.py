"""A failed job in one line, however Beam says it."""

import contextlib
import errno
import logging

import pytest

from hardmine.components.jobs.failures import JobFailed, one_line_failures, reason
from hardmine.components.jobs.shard_job import ShardJob, Workplace
from hardmine.components.jobs.shards import run_shards
from hardmine.pipelines.beam_runners import beam_log, direct, pipeline_maker
from hardmine.schemas.folders import folder

TRACEBACK = """Traceback (most recent call last):
  File "x.py", line 3, in work
    raise kind(message)
{line}
"""


@pytest.mark.parametrize(
  ("line", "told"),
  [
    (
      "OSError: [Errno 28] No space left on device: '/out' [while running 'a/b']",
      "/out: No space left on device",
    ),
    (
      "RuntimeError: OSError: [Errno 28] No space left on device: '/out'",
      "/out: No space left on device",
    ),
    ("ValueError: Expected x.\nReceived: y", "Expected x. Received: y"),
    ("hardmine.a.JobFailed: broken", "hardmine.a.JobFailed: broken"),
    ("KeyError: 'width' [while running 'Work']", "KeyError: 'width'"),
    ("MemoryError", "MemoryError"),
  ],
)
def test_the_error_is_taken_from_the_end_of_a_traceback(line, told):
  text = TRACEBACK.format(line="KeyError: 1") + "\nDuring handling ...\n\n"
  assert reason(text + TRACEBACK.format(line=line)) == told


def test_what_is_no_traceback_stays():
  assert reason("worker 1 died:\n  gone") == "worker 1 died: gone"


class Full(ShardJob):
  def plan(self, place):
    raise OSError(errno.ENOSPC, "No space left on device", "part")


def test_a_full_disk_is_one_line_and_the_rest_is_kept(tmp_path, capfd, monkeypatch):
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
  place = folder(tmp_path / "staging")
  where = Workplace(shards=place, scratch=place)
  with pytest.raises(JobFailed) as caught, beam_log():
    run_shards(Full(), where, make_pipeline=pipeline_maker(direct(1)))
  (log,) = tmp_path.glob("hardmine-*.log")
  line = str(caught.value)
  assert line.startswith("part: No space left on device; all")
  assert line.endswith(f"; all that was said: {log}")
  assert "\n" not in line
  assert "Traceback" in log.read_text("utf-8")
  assert capfd.readouterr().err == ""


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_no_log_stays_but_a_failed_jobs(tmp_path, capfd, monkeypatch, error):
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
  handlers = logging.getLogger().handlers
  expected = pytest.raises(error) if error else contextlib.nullcontext()
  with expected, beam_log():
    logging.getLogger("apache_beam").error("noise")
    if error:
      raise error
  assert not list(tmp_path.iterdir())
  assert logging.getLogger().handlers is handlers
  assert "noise" not in capfd.readouterr().err


def test_a_log_that_cannot_be_written_is_no_fault(tmp_path, monkeypatch):
  monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
  with (
    pytest.raises(JobFailed, match=r"^broken$"),
    beam_log(),
    one_line_failures(),
  ):
    raise RuntimeError("broken")
