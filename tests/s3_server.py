"""S3 on this machine: moto's server over HTTP, for tests of buckets."""

from __future__ import annotations

import contextlib
import http.server
import logging
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer


@contextlib.contextmanager
def s3_server(*buckets: str) -> Iterator[Any]:
  """Serves S3 with these buckets, which all clients of this process then take for S3.

  Yields:
    boto3's client of it.
  """
  logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line a request
  server = ThreadedMotoServer(port=0, verbose=False)
  server.start()
  host, port = server.get_host_and_port()
  endpoint = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
  try:
    with taken_for_s3(endpoint):
      client = boto3.client("s3")
      for bucket in buckets:
        client.create_bucket(Bucket=bucket)
      yield client
  finally:
    # What moto keeps belongs to the process, and the next server would have it too.
    reset = urllib.request.Request(f"{endpoint}/moto-api/reset", method="POST")
    with urllib.request.urlopen(reset):
      server.stop()


@contextlib.contextmanager
def broken_s3_server(status: int, code: str) -> Iterator[None]:
  """Answers every request with an error, say 403 and `AccessDenied`."""
  body = (
    f"<Error><Code>{code}</Code><Message>{code}, it said</Message></Error>".encode()
  )

  class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # else a client that asks before it sends waits

    def do_GET(self) -> None:
      self.rfile.read(int(self.headers.get("Content-Length") or 0))
      self.send_response(status)
      self.send_header("Content-Length", str(len(body)))
      self.send_header("Connection", "close")
      self.end_headers()
      self.wfile.write(body)

    do_PUT = do_POST = do_DELETE = do_GET

    def log_message(self, *args: Any) -> None:
      pass

  with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
      with taken_for_s3(f"http://127.0.0.1:{server.server_port}"):
        yield
    finally:
      server.shutdown()
      thread.join()


@contextlib.contextmanager
def taken_for_s3(endpoint: str) -> Iterator[None]:
  """Has the clients of this process and its children take an endpoint for S3."""
  with pytest.MonkeyPatch.context() as patch:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
      patch.setenv(name, "test")
    patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    patch.setenv("AWS_ENDPOINT_URL", endpoint)
    s3fs.S3FileSystem.clear_instance_cache()  # those keep the endpoint they had
    yield
    s3fs.S3FileSystem.clear_instance_cache()
