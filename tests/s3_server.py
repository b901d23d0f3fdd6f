"""S3 on this machine: moto's server over HTTP, for tests of buckets."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
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
  url = f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"
  try:
    with pytest.MonkeyPatch.context() as patch:
      for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(name, "test")
      patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
      patch.setenv("AWS_ENDPOINT_URL", url)
      client = boto3.client("s3")
      for bucket in buckets:
        client.create_bucket(Bucket=bucket)
      yield client
  finally:
    server.stop()
