"""Beam's Dataflow runner, whose jobs are found again, cancelled, and end in one line.

A job has the name of its run (`job_identity`). Dataflow refuses a second active job of
a name: then that one is waited for. Whoever is interrupted while waiting cancels it.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

from apache_beam.io.gcp import gcsio
from apache_beam.options.pipeline_options import GoogleCloudOptions
from apache_beam.runners.dataflow import dataflow_runner
from apache_beam.runners.dataflow.dataflow_metrics import DataflowMetrics
from apache_beam.runners.runner import PipelineState

from hardmine.components.jobs.failures import JobFailed, reason
from hardmine.components.jobs.job_identity import RUN_LABEL
from hardmine.components.jobs.temporary import temporary_folder

_LOGGER = logging.getLogger(__name__)
_CANCEL_SECONDS = 4.0  # schedulers kill what takes longer
_TAKEN = "already active job named", "already an active job named"
_ASKED = re.compile(r"^[A-Z]+ https?://\S+: ")  # what Google was asked, by its client
_CONFLICT = 409
_TO_STAGE = ("storage.buckets.get", "storage.objects.create")


class DataflowRunner(dataflow_runner.DataflowRunner):
  """Submits, or finds what was submitted before.

  It keeps the name of Beam's, by which Beam's own checks know it.
  """

  def run_pipeline(self, pipeline: Any, options: Any, *args: Any, **kwargs: Any) -> Any:
    """Beam's.

    Raises:
      JobFailed: Google refused, in one line.
    """
    google = options.view_as(GoogleCloudOptions)
    try:
      _check_staging(google, options)
      with temporary_folder():  # Beam's stager leaves its own
        result = super().run_pipeline(pipeline, options, *args, **kwargs)
    except KeyboardInterrupt:
      self._cancel_sent(google, options)
      raise
    except Exception as error:
      _LOGGER.error("the submission failed", exc_info=True)
      if _is_taken(error):
        return self._joined(google, options)
      raise JobFailed(f"Dataflow did not take the job: {_said(error)}") from None
    if not getattr(result, "has_job", False):
      return result  # a template, or a dry run
    return self._told(result._job, options, "Dataflow job")

  @staticmethod
  def add_label(options: Any, key: str, value: str) -> None:
    """Adds a label of ours; see `job_identity.mark`."""
    google = options.view_as(GoogleCloudOptions)
    google.labels = [*(google.labels or ()), f"{key}={value}"]

  def _joined(self, google: GoogleCloudOptions, options: Any) -> RemoteJob:
    """The active job of our name.

    Raises:
      JobFailed: it has just ended, or is another run's.
    """
    found = active_job_id(self.dataflow_client, google, google.job_name)
    if found is None:
      raise JobFailed(
        f"a Dataflow job {google.job_name} was active and has just ended: run the same "
        "command again"
      )
    job = described_job(self.dataflow_client, google, found)
    ours = _run_of(google.labels or ())
    if ours != labels_of(job).get(RUN_LABEL):
      raise JobFailed(
        f"another run's Dataflow job {google.job_name} is active: give another "
        f"--job_name; {_console(google, found)}"
      )
    return self._told(job, options, "waiting for the Dataflow job of an earlier call:")

  def _told(self, job: Any, options: Any, what: str) -> RemoteJob:
    result = RemoteJob(job, self, options)
    result.metric_results = DataflowMetrics(self.dataflow_client, result, self.job)
    _say(f"{what} {job.name}, {result.console_url}")
    return result

  def _cancel_sent(self, google: GoogleCloudOptions, options: Any) -> None:
    """Cancels what may have been submitted when we were interrupted."""
    if not hasattr(self, "dataflow_client"):
      return

    def cancel() -> str | None:
      client = _new_client(options)
      found = active_job_id(client, google, google.job_name)
      if found is None:
        return None
      theirs = _request_id(described_job(client, google, found))
      if theirs and theirs != _request_id(self.job.proto):
        return f"an earlier call's Dataflow job goes on: {_console(google, found)}"
      client.modify_job_state(found, "JOB_STATE_CANCELLED")
      return f"cancelled {google.job_name}, {_console(google, found)}"

    _in_time(cancel, f"{google.job_name} in the project {google.project}")


class RemoteJob(dataflow_runner.DataflowPipelineResult):
  """A job that is waited for.

  Attributes:
    labels: of the job as it was submitted, perhaps by an earlier call.
    console_url: where Google shows it.
  """

  def __init__(self, job: Any, runner: Any, options: Any):
    super().__init__(job, runner, options)
    self._google = options.view_as(GoogleCloudOptions)
    self.labels = labels_of(job)
    self.console_url = _console(self._google, job.id)

  def wait_until_finish(self, duration: int | None = None) -> Any:
    """Waits, in this thread, and cancels the job where it is interrupted.

    Args:
      duration: milliseconds; None waits for the end.

    Raises:
      JobFailed: it failed, was cancelled, or can no longer be asked for.
    """
    try:
      if self._get_job_state() != PipelineState.DONE:  # or what went wrong
        dataflow_runner.DataflowRunner.poll_for_job_completion(
          self._runner, self, duration
        )
    except KeyboardInterrupt:
      self._cancel_in_time()
      raise
    except Exception as error:
      _LOGGER.error("the job could not be asked for", exc_info=True)
      raise JobFailed(
        f"Dataflow no longer answers for {self._job.name}: {_said(error)}; it goes on, "
        f"and the same command waits for it again; {self.console_url}"
      ) from None
    state = self._get_job_state()
    if state == PipelineState.DONE or not self.is_in_terminal_state():
      return state
    said = getattr(self._runner, "last_error_msg", None)
    told = f": {reason(said)}" if said else ""
    verb = "was cancelled" if state == PipelineState.CANCELLED else "failed"
    raise JobFailed(f"Dataflow job {self._job.name} {verb}{told}; {self.console_url}")

  def _cancel_in_time(self) -> None:
    def cancel() -> str:
      client = _new_client(self._options)
      client.modify_job_state(self._job.id, "JOB_STATE_CANCELLED")
      return f"cancelled {self._job.name}, {self.console_url}"

    _in_time(cancel, f"{self._job.name}, {self.console_url}")


def _new_client(options: Any) -> Any:
  """The other one's connection may still wait for an answer, in which we broke off."""
  from apache_beam.runners.dataflow.internal import apiclient

  return apiclient.DataflowApplicationClient(options)


def active_job_id(client: Any, google: GoogleCloudOptions, name: str) -> str | None:
  """The job of a name that has not ended; `client` is of either version of Beam."""
  if hasattr(client, "_jobs_client"):
    from google.cloud import dataflow

    request = dataflow.ListJobsRequest(
      project_id=google.project,
      location=google.region,
      filter=dataflow.ListJobsRequest.Filter.ACTIVE,
    )
    found = client._jobs_client.list_jobs(request)
    return next((job.id for job in found if job.name == name), None)
  from apache_beam.runners.dataflow.internal.clients import dataflow

  kind = dataflow.DataflowProjectsLocationsJobsListRequest
  request = kind(
    projectId=google.project,
    location=google.region,
    filter=kind.FilterValueValuesEnum.ACTIVE,
  )
  while True:
    page = client._client.projects_locations_jobs.List(request)
    for job in page.jobs:
      if job.name == name:
        return job.id
    if not page.nextPageToken:
      return None
    request.pageToken = page.nextPageToken


def described_job(client: Any, google: GoogleCloudOptions, job_id: str) -> Any:
  """A job with its labels, which Google leaves out of a summary."""
  if hasattr(client, "_jobs_client"):
    from google.cloud import dataflow

    request = dataflow.GetJobRequest(
      project_id=google.project,
      location=google.region,
      job_id=job_id,
      view=dataflow.JobView.JOB_VIEW_DESCRIPTION,
    )
    return client._jobs_client.get_job(request)
  from apache_beam.runners.dataflow.internal.clients import dataflow

  kind = dataflow.DataflowProjectsLocationsJobsGetRequest
  request = kind(
    projectId=google.project,
    location=google.region,
    jobId=job_id,
    view=kind.ViewValueValuesEnum.JOB_VIEW_DESCRIPTION,
  )
  return client._client.projects_locations_jobs.Get(request)


def labels_of(job: Any) -> dict[str, str]:
  """A job's labels, in either version of Beam."""
  labels = job.labels
  if labels is None:
    return {}
  if hasattr(labels, "additionalProperties"):
    return {entry.key: entry.value for entry in labels.additionalProperties}
  return dict(labels)


def _check_staging(google: GoogleCloudOptions, options: Any) -> None:
  """Asks for what Beam would find refused only after ten minutes of trying again.

  Raises:
    JobFailed: there is no such bucket, or nothing may be staged in it.
  """
  place = google.staging_location or google.temp_location
  if not place or not place.startswith("gs://"):
    return
  name = place[len("gs://") :].partition("/")[0]
  client = gcsio.create_storage_client(options, not google.no_auth)
  held = client.bucket(name).test_iam_permissions(list(_TO_STAGE))
  if missing := [right for right in _TO_STAGE if right not in held]:
    raise JobFailed(
      f"the account that asks lacks {' and '.join(missing)} for gs://{name}"
    )


def _request_id(job: Any) -> str:
  return getattr(job, "clientRequestId", None) or getattr(job, "client_request_id", "")


def _run_of(labels: Any) -> str | None:
  """The run that is among `KEY=VALUE`s."""
  pairs = (label.partition("=") for label in labels)
  return next((value for key, _, value in pairs if key == RUN_LABEL), None)


def _console(google: GoogleCloudOptions, job_id: str) -> str:
  return (
    f"https://console.cloud.google.com/dataflow/jobs/{google.region}/{job_id}"
    f"?project={google.project}"
  )


def _is_taken(error: Exception) -> bool:
  """Whether Dataflow refused a second job of a name, in either of its ways."""
  return _status(error) == _CONFLICT or any(words in str(error) for words in _TAKEN)


def _status(error: Exception) -> int | None:
  status = getattr(error, "status_code", None) or getattr(error, "code", None)
  return status if isinstance(status, int) else None


def _said(error: Exception) -> str:
  """What Google said, or the error's own words, in one line."""
  status, message = _status(error), getattr(error, "message", None)
  if content := getattr(error, "content", None):
    try:
      message = json.loads(content)["error"]["message"]
    except (KeyError, TypeError, ValueError):
      message = None
  if status is None or not message:
    return reason(f"{type(error).__name__}: {error}")
  return f"HTTP {status}: {' '.join(_ASKED.sub('', str(message)).split())}"


def _in_time(cancel: Callable[[], str | None], job: str) -> None:
  """Cancels within seconds, or says that it was not done."""
  outcome: list[str | None] = []

  def work() -> None:
    try:
      outcome.append(cancel())
    except Exception as error:
      _LOGGER.error("the job was not cancelled", exc_info=True)
      outcome.append(f"cancel it yourself, {job}: {_said(error)}")

  thread = threading.Thread(target=work, name="cancellation", daemon=True)
  thread.start()
  thread.join(_CANCEL_SECONDS)
  if not outcome:
    _say(f"Dataflow did not answer within {_CANCEL_SECONDS:.0f} s, cancel it: {job}")
  elif outcome[0]:
    _say(outcome[0])


def _say(line: str) -> None:
  print(f"hardmine: {line}", file=sys.stderr, flush=True)
