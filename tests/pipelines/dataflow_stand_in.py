"""Google's Dataflow and Cloud Storage on loopback: what a submitter asks of them.

Storage: a bucket, an object's facts, resumable uploads. Dataflow: jobs are created,
listed, looked at in the views that Google documents, asked for messages, and changed.
"""

from __future__ import annotations

import base64
import contextlib
import http.server
import itertools
import json
import re
import threading
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import google_crc32c

_ACTIVE = {"JOB_STATE_PENDING", "JOB_STATE_QUEUED", "JOB_STATE_RUNNING"}
_SUMMARY = ("id", "name", "projectId", "location", "type", "currentState", "createTime")
_CREATED = "2026-01-01T00:00:00Z"


class Dataflow:
  """What was asked for, and how it is answered.

  Attributes:
    objects: of all buckets, by `bucket/name`.
    jobs: as they were posted, with Google's own fields.
    job_sizes: bytes of the request of each.
    new_state: of a job that was just created.
    says_conflict: whether a second job of a name is refused by 409, or by the first.
    refuses: status by the beginning of a request, as `POST /upload`.
    create_seconds: until it answers that a job was created.
    withheld: rights on the buckets that the account lacks.
    message: an error that every job tells.
  """

  def __init__(self):
    self.objects: dict[str, bytes] = {}
    self.jobs: list[dict[str, Any]] = []
    self.job_sizes: list[int] = []
    self.new_state = "JOB_STATE_DONE"
    self.says_conflict = True
    self.refuses: dict[str, int] = {}
    self.create_seconds = 0.0
    self.withheld: set[str] = set()
    self.message: str | None = None
    self.requests: list[str] = []
    self.arrived = threading.Condition()
    self.port = 0
    self._uploads: dict[str, tuple[str, bytearray]] = {}
    self._numbers = itertools.count()

  @property
  def flags(self) -> list[str]:
    """Beam's, with which a job comes here."""
    return ["--no_auth", f"--dataflow_endpoint=http://localhost:{self.port}"]

  @property
  def environment(self) -> dict[str, str]:
    """With which Google's storage client comes here."""
    return {"STORAGE_EMULATOR_HOST": f"http://localhost:{self.port}"}

  def object(self, name: str) -> bytes:
    """The only object whose name ends so."""
    (found,) = (path for path in self.objects if path.endswith("/" + name))
    return self.objects[found]

  def was_asked(self, start: str) -> bool:
    """Whether a request began so."""
    return any(request.startswith(start) for request in self.requests)

  def wait_for(self, condition: Any, seconds: float) -> bool:
    """Waits until something that came in makes it true."""
    with self.arrived:
      return self.arrived.wait_for(condition, seconds)

  def answer(
    self, method: str, target: str, body: bytes, headers: Any
  ) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body)."""
    url = urllib.parse.urlsplit(target)
    query = urllib.parse.parse_qsl(url.query)
    with self.arrived:
      self.requests.append(f"{method} {url.path}")
      try:
        for start, status in self.refuses.items():
          if self.requests[-1].startswith(start):
            return _error(status, "refused by the stand-in")
        return self._route(method, url.path, query, body, headers)
      finally:
        self.arrived.notify_all()

  def _route(self, method, path, query, body, headers):
    if found := re.fullmatch(r"/upload/storage/v1/b/([^/]+)/o", path):
      return self._upload(method, found[1], dict(query), body, headers)
    if re.fullmatch(r"/storage/v1/b/[^/]+/iam/testPermissions", path):
      asked = {word for key, word in query if key == "permissions"}
      return _json({"permissions": sorted(asked - self.withheld)})
    query = dict(query)
    if found := re.fullmatch(r"/storage/v1/b/([^/]+)", path):
      return _json({"kind": "storage#bucket", "id": found[1], "name": found[1]})
    if found := re.fullmatch(r"/storage/v1/b/([^/]+)/o/(.+)", path):
      name = urllib.parse.unquote(found[2])
      known = f"{found[1]}/{name}" in self.objects
      return _json({"name": name}) if known else _error(404, "no such object")
    jobs = r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs"
    if found := re.fullmatch(jobs, path):
      if method == "POST":
        return self._create(found[1], found[2], body)
      wanted = [j for j in self.jobs if j["currentState"] in _ACTIVE]
      assert query["filter"] in ("ACTIVE", "3"), query
      return _json({"jobs": [_seen(job, "JOB_VIEW_SUMMARY") for job in wanted]})
    if found := re.fullmatch(jobs + r"/([^/]+)(/messages)?", path):
      job = next((job for job in self.jobs if job["id"] == found[3]), None)
      if job is None:
        return _error(404, "no such job")
      if found[4]:
        return _json({"jobMessages": self._messages()})
      if method == "PUT":
        state = json.loads(body)["requestedState"]
        job["currentState"] = {3: "JOB_STATE_CANCELLED"}.get(state, state)
        if isinstance(state, int):
          job["currentState"] = "JOB_STATE_CANCELLED"
      return _json(_seen(job, query.get("view", "JOB_VIEW_SUMMARY")))
    return _error(501, f"the stand-in knows no {method} {path}")

  def _upload(self, method, bucket, query, body, headers):
    if method == "POST":
      number = str(next(self._numbers))
      name = query.get("name") or json.loads(body)["name"]
      self._uploads[number] = f"{bucket}/{name}", bytearray()
      place = f"http://localhost:{self.port}/upload/storage/v1/b/{bucket}/o"
      return 200, {"Location": f"{place}?upload_id={number}"}, b""
    path, data = self._uploads[query["upload_id"]]
    data += body
    if headers["Content-Range"].endswith("/*"):  # more will come
      return 308, {"Range": f"bytes=0-{len(data) - 1}"}, b""
    self.objects[path] = bytes(data)
    checksum = base64.b64encode(google_crc32c.value(bytes(data)).to_bytes(4, "big"))
    return _json({"name": path.partition("/")[2], "crc32c": checksum.decode()})

  def _create(self, project, location, body):
    job = json.loads(body)
    for other in self.jobs:
      if other["name"] != job["name"] or other["currentState"] not in _ACTIVE:
        continue
      if other["clientRequestId"] == job["clientRequestId"] or not self.says_conflict:
        return _json(other)
      return _error(
        409, f"(1a2b): There is already an active job named {job['name']}. If you want"
      )
    self.job_sizes.append(len(body))
    self.jobs.append(
      {
        **job,
        "id": f"2026-01-01_00_00_00-{next(self._numbers)}",
        "projectId": project,
        "location": location,
        "createTime": _CREATED,
        "currentState": self.new_state,
      }
    )
    return _json(self.jobs[-1])

  def _messages(self):
    if self.message is None:
      return []
    told = {"messageImportance": "JOB_MESSAGE_ERROR", "messageText": self.message}
    return [{"id": "1", "time": _CREATED, **told}]


def _seen(job: dict[str, Any], view: str) -> dict[str, Any]:
  names = _SUMMARY if view in ("JOB_VIEW_SUMMARY", "1") else (*_SUMMARY, "labels")
  return {name: job[name] for name in names if name in job}


def _json(answer: Any) -> tuple[int, dict[str, str], bytes]:
  return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()


def _error(status: int, message: str) -> tuple[int, dict[str, str], bytes]:
  _, headers, body = _json({"error": {"code": status, "message": message}})
  return status, headers, body


@contextlib.contextmanager
def dataflow_stand_in() -> Iterator[Dataflow]:
  """Runs it in a thread."""
  google = Dataflow()

  class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
      body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
      status, headers, answer = google.answer(
        self.command, self.path, body, self.headers
      )
      if self.command == "POST" and self.path.startswith("/v1b3"):
        time.sleep(google.create_seconds)
      self.send_response(status)
      for name, value in headers.items():
        self.send_header(name, value)
      self.send_header("Content-Length", str(len(answer)))
      self.end_headers()
      self.wfile.write(answer)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer

    def log_message(self, *args: Any) -> None:
      """Says nothing."""

  server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
  server.daemon_threads = True
  google.port = server.server_address[1]
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  try:
    yield google
  finally:
    server.shutdown()
    server.server_close()
    thread.join()
