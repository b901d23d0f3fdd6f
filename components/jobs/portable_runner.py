"""Beam's runner of any job service, with one line for whatever goes wrong.

Beam's own waits a minute for a service that is not there, follows a job by a stream
that may end after a minute too, and leaves a job running when its caller is killed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

import grpc
from apache_beam.options.pipeline_options import (
  DebugOptions,
  PipelineOptions,
  PortableOptions,
)
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import portable_runner
from apache_beam.runners.runner import PipelineState

from hardmine.components.jobs.temporary import temporary_folder

_CONNECT_SECONDS = 10.0
_CALL_SECONDS = 10.0
_GONE_SECONDS = 30.0  # without an answer
_POLL_SECONDS = 0.25
_LEAVE_SECONDS = 3.0
_LAST_WORDS_SECONDS = 5.0
_LEVELS = portable_runner.MESSAGE_LOG_LEVELS
_ERROR = beam_job_api_pb2.JobMessage.JOB_MESSAGE_ERROR

_LOGGER = logging.getLogger(__name__)


class PortableRunner(portable_runner.PortableRunner):
  """Runs on the job service that `--job_endpoint` names."""

  def default_environment(self, options: PipelineOptions) -> Any:
    """Without what else is installed here, which Beam would ask pip for."""
    debug = options.view_as(DebugOptions)
    debug.add_experiment("disable_logging_submission_environment")
    return super().default_environment(options)

  def run_pipeline(self, pipeline: Any, options: PipelineOptions) -> Any:
    """Submits; Beam's stager leaves folders of its own where temporary files go."""
    with temporary_folder():
      return super().run_pipeline(pipeline, options)

  def run_portable_pipeline(
    self, pipeline: Any, options: PipelineOptions
  ) -> PortableJob:
    """Submits the job.

    Raises:
      RuntimeError: nobody answers there, or the service does not take the job.
    """
    endpoint = options.view_as(PortableOptions).job_endpoint
    with grpc.insecure_channel(endpoint) as channel:
      try:
        grpc.channel_ready_future(channel).result(timeout=_CONNECT_SECONDS)
      except grpc.FutureTimeoutError:
        raise RuntimeError(
          f"no job service answers at {endpoint}: look whether it is running there and "
          "whether this machine reaches its port"
        ) from None
    try:
      submitted: Any = super().run_portable_pipeline(pipeline, options)
    except (grpc.RpcError, grpc.FutureTimeoutError) as error:
      _LOGGER.warning("not submitted", exc_info=error)
      raise RuntimeError(
        f"the job service at {endpoint} did not take the job: {_told(error)}"
      ) from None
    return PortableJob(endpoint, submitted)


class PortableJob(portable_runner.PipelineResult):
  """A job that was submitted."""

  def __init__(self, endpoint: str, submitted: portable_runner.PipelineResult):
    super().__init__(
      submitted._job_service,
      submitted._job_id,
      submitted._message_stream,
      submitted._state_stream,
      submitted._cleanup_callbacks,
    )
    self._endpoint = endpoint
    self._errors: list[str] = []

  def wait_until_finish(self, duration: int | None = None) -> str:
    """Waits; where it is broken off, the job is cancelled.

    Args:
      duration: milliseconds to wait at most; None waits for the end.

    Raises:
      RuntimeError: the job failed, with the service's last word; or that is gone.
    """
    listener = threading.Thread(target=self._listen, daemon=True)
    listener.start()
    deadline = None if duration is None else time.monotonic() + duration / 1000
    try:
      self._state = self._wait(deadline)
    except BaseException:
      self._give_up()
      raise
    if not PipelineState.is_terminal(self._state):
      return self._state
    self._cleanup()
    if self._state != PipelineState.DONE:
      listener.join(_LAST_WORDS_SECONDS)
      unsaid = f"the job at {self._endpoint} is {self._state}, and nothing says why"
      raise RuntimeError(self._errors[-1] if self._errors else unsaid)
    return self._state

  def _wait(self, deadline: float | None) -> str:
    answered = time.monotonic()
    while True:
      now = time.monotonic()
      try:
        state = self._ask()
        answered = now
        if PipelineState.is_terminal(state) or (deadline and now > deadline):
          return state
      except grpc.RpcError as error:
        if now - answered > _GONE_SECONDS:
          raise RuntimeError(
            f"the job service at {self._endpoint} is gone, and with it the job's fate: "
            f"{_told(error)}"
          ) from None
      time.sleep(_POLL_SECONDS)

  def _ask(self) -> str:
    request = beam_job_api_pb2.GetJobStateRequest(job_id=self._job_id)
    answer = self._job_service.GetState(request, timeout=_CALL_SECONDS)
    return self.runner_api_state_to_pipeline_state(answer.state)

  def _give_up(self) -> None:
    request = beam_job_api_pb2.CancelJobRequest(job_id=self._job_id)
    with contextlib.suppress(Exception):  # it may be gone
      self._job_service.Cancel(request, timeout=_LEAVE_SECONDS)
    with contextlib.suppress(Exception):
      self._cleanup()

  def _listen(self) -> None:
    """Logs what the service says; a stream that ends early is asked for again."""
    stream: Iterable[Any] = self._message_stream
    while not PipelineState.is_terminal(self._state):
      with contextlib.suppress(grpc.RpcError):
        for message in stream:
          self._hear(message)
        return
      time.sleep(_POLL_SECONDS)
      request = beam_job_api_pb2.JobMessagesRequest(job_id=self._job_id)
      stream = self._job_service.GetMessageStream(request)

  def _hear(self, message: Any) -> None:
    if not message.HasField("message_response"):
      return
    said = message.message_response
    _LOGGER.log(_LEVELS[said.importance], "%s", said.message_text)
    if said.importance == _ERROR:
      self._errors.append(said.message_text)


def _told(error: Exception) -> str:
  """What a failed call says, in a line."""
  if isinstance(error, grpc.Call):
    code = error.code()
    name = code.name.lower().replace("_", " ") if code else "failed"
    return " ".join(f"{name}: {error.details() or 'no details'}".split())
  return "no answer in time"
