"""What a container of a compiled pipeline runs, and what it leaves."""

from __future__ import annotations

import base64
import http.server
import json
import os
import threading
from pathlib import Path

import google.auth
import google.auth.credentials
import pytest

from hardmine.pipelines.cli import vertex_task

EXPERIMENT = '{"name": "small"}'
NODE = ["--node=InfraCheck", f"--experiment={EXPERIMENT}", "--job=42"]


@pytest.fixture(autouse=True)
def no_database(monkeypatch):
  monkeypatch.setenv(vertex_task.METADATA, "")


@pytest.fixture
def called(monkeypatch):
  """The words of each call of `hardmine`, and the files beside the experiment."""
  calls = []

  def hardmine(words):
    files = {}
    if words[0] == "run":
      folder = Path(words[1]).parent
      files = {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
      }
    calls.append((words, files, os.environ[vertex_task.METADATA]))
    return hardmine.status

  hardmine.status = 0
  monkeypatch.setattr(vertex_task, "hardmine", hardmine)
  hardmine.calls = calls
  return hardmine


def test_a_node_is_run_as_it_was_compiled(called):
  cell = base64.b64encode(b"class Cell: ...").decode()
  words = [*NODE, f"--own-file=cells/own.py={cell}", "--set=training.steps=50.0"]
  words += [
    "--set=training.learning_rate=0.25",
    "--run-id=",
    "--metadata=mysql://u@h/d",
  ]
  assert vertex_task.main([*words, "--", "--root", "gs://b/r", "--set", "x=1.0"]) == 0
  ((command, files, metadata),) = called.calls
  assert command[0] == "run"
  assert command[2:] == [
    *("--node", "InfraCheck", "--run-id", "42"),
    *("--set", "training.steps=50", "--set", "training.learning_rate=0.25"),
    *("--root", "gs://b/r", "--set", "x=1.0"),
  ]
  assert files == {"experiment.json": EXPERIMENT, "cells/own.py": "class Cell: ..."}
  assert metadata == "mysql://u@h/d"
  assert not Path(command[1]).exists()


def test_a_run_may_go_on_under_its_id(called):
  vertex_task.main([*NODE, "--run-id=41"])
  assert called.calls[0][0][-1] == "41"


@pytest.mark.parametrize(
  ("status", "ends", "says"),
  [(0, 0, "true"), (3, 0, "false"), (1, 1, None), (2, 2, None), (143, 143, None)],
)
def test_only_a_verdict_is_no_failure(tmp_path, called, status, ends, says):
  path = tmp_path / "outputs" / "blessed"
  called.status = status
  assert vertex_task.main([*NODE, f"--blessed-file={path}"]) == ends
  assert (path.read_text() if path.exists() else None) == says


def test_without_a_file_for_it_a_verdict_stays_one(called):
  called.status = 3
  assert vertex_task.main(NODE) == 3


def test_a_promotion_names_the_run(tmp_path, called):
  path = tmp_path / "promoted"
  words = ["--promote=production", "--job=42", f"--promoted-file={path}"]
  called.status = 3
  assert vertex_task.main([*words, "--", "--store", "gs://b/store"]) == 0
  assert called.calls[0][0] == [
    *("models", "promote", "run:42", "--to", "production"),
    *("--store", "gs://b/store"),
  ]
  assert path.read_text() == "false"


def test_a_database_may_be_kept_in_an_object(called):
  import fsspec

  fsspec.filesystem("memory").pipe("/secrets/database", b"mysql://u:p@h/d\n")
  vertex_task.main([*NODE, "--metadata-secret=memory://secrets/database"])
  assert called.calls[0][2] == "mysql://u:p@h/d"


@pytest.fixture
def secret_manager(monkeypatch):
  """Google's Secret Manager, as far as it is asked, on this machine."""

  class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
      found = self.path == "/v1/projects/p/secrets/s/versions/latest:access"
      self.send_response(200 if found else 403)
      self.end_headers()
      data = base64.b64encode(b"mysql://u:p@h/d").decode()
      self.wfile.write(json.dumps({"payload": {"data": data}}).encode())

    def log_message(self, *_):
      pass

  server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
  thread = threading.Thread(target=server.serve_forever, daemon=True)
  thread.start()
  monkeypatch.setattr(
    vertex_task, "SECRETS", f"http://127.0.0.1:{server.server_port}/v1"
  )
  anonymous = google.auth.credentials.AnonymousCredentials()
  monkeypatch.setattr(google.auth, "default", lambda **_: (anonymous, None))
  yield
  server.shutdown()
  server.server_close()
  thread.join()


def test_a_database_may_be_kept_in_the_secret_manager(called, secret_manager):
  place = "projects/p/secrets/s/versions/latest"
  vertex_task.main([*NODE, f"--metadata-secret={place}", "--metadata=mysql://u@h/d"])
  assert called.calls[0][2] == "mysql://u:p@h/d"


@pytest.mark.parametrize(
  ("place", "status", "says"),
  [
    ("projects/p/secrets/other/versions/1", 1, "roles/secretmanager.secretAccessor"),
    ("s", 2, "Expected projects/PROJECT/secrets/SECRET/versions/VERSION"),
    ("memory://secrets/none", 1, "none"),
  ],
)
def test_a_secret_that_cannot_be_read_is_one_line(
  called, secret_manager, capsys, place, status, says
):
  assert vertex_task.main([*NODE, f"--metadata-secret={place}"]) == status
  (line,) = capsys.readouterr().err.splitlines()
  assert says in line
  assert not called.calls
