"""An HTTP proxy before a server of objects, which fails as networks and stores do."""

from __future__ import annotations

import contextlib
import http.client
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

_ERROR = "<?xml version='1.0'?><Error><Code>{}</Code><Message>told so</Message></Error>"
ANSWERS = {  # a fault to (status, S3's code)
  "slow down": (503, "SlowDown"),
  "internal": (500, "InternalError"),
  "forbidden": (403, "AccessDenied"),
  "signature": (403, "SignatureDoesNotMatch"),
}
PASSING = ("slow down", "internal", "reset", "lost answer", "cut answer", "slow answer")
SLOW_SECONDS = 1.0


class Proxy(ThreadingHTTPServer):
  """Forwards requests but for those that `fault` names one of the faults for.

  Attributes:
    fault: (method, path) to `ANSWERS`' or `PASSING`'s name, or None.
    seen: how often each fault was made.
  """

  daemon_threads = True

  def __init__(self, target: str):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.target = urlsplit(target).netloc
    self.fault: Callable[[str, str], str | None] = lambda *facts: None
    self.seen: Counter[str] = Counter()
    self.lock = threading.Lock()

  def handle_error(self, *facts) -> None:
    """Clients whose connection was cut are no news."""


class _Handler(BaseHTTPRequestHandler):
  protocol_version = "HTTP/1.1"

  def _handle(self) -> None:
    server = self.server
    assert isinstance(server, Proxy)
    body = self._body()
    with server.lock:
      fault = server.fault(self.command, self.path)
      server.seen[fault or ""] += 1
    if fault == "slow answer":
      time.sleep(SLOW_SECONDS)
    if fault == "reset":
      self._cut()
    elif fault in ANSWERS:
      status, code = ANSWERS[fault]
      self._answer(status, {}, _ERROR.format(code).encode())
    else:
      self._forward(server.target, body, fault)

  do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

  def _body(self) -> bytes:
    if self.headers.get("Expect"):  # was answered by the base class
      del self.headers["Expect"]
    if self.headers.get("Transfer-Encoding") != "chunked":
      return self.rfile.read(int(self.headers.get("Content-Length", 0)))
    pieces = []
    while size := int(self.rfile.readline().split(b";")[0], 16):
      pieces.append(self.rfile.read(size))
      self.rfile.readline()
    while self.rfile.readline().strip():
      pass
    del self.headers["Transfer-Encoding"]
    return b"".join(pieces)

  def _forward(self, target: str, body: bytes, fault: str | None) -> None:
    connection = http.client.HTTPConnection(target, timeout=60)
    headers = {k: v for k, v in self.headers.items() if k != "Content-Length"}
    connection.request(self.command, self.path, body or None, headers)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    if fault == "lost answer":
      self._cut()
      return
    self._answer(answer.status, dict(answer.getheaders()), content, fault)

  def _answer(
    self, status: int, headers: dict[str, str], content: bytes, fault: str | None = None
  ) -> None:
    self.send_response_only(status)
    kept = {k: v for k, v in headers.items() if k.lower() not in _OWN}
    is_head = self.command == "HEAD"
    length = headers.get("Content-Length", "0") if is_head else str(len(content))
    for name, value in {**kept, "Content-Length": length}.items():
      self.send_header(name, value)
    self.end_headers()
    if fault == "cut answer":
      self.wfile.write(content[: len(content) // 2])
      self._cut()
    elif not is_head:
      self.wfile.write(content)

  def _cut(self) -> None:
    self.close_connection = True
    with contextlib.suppress(OSError):
      self.wfile.flush()
      self.connection.shutdown(socket.SHUT_RDWR)

  def log_message(self, *facts) -> None:
    """Says nothing."""


_OWN = {"content-length", "transfer-encoding", "connection"}


@contextlib.contextmanager
def faulty_proxy(target: str) -> Iterator[Proxy]:
  """Serves in a thread."""
  proxy = Proxy(target)
  thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
  thread.start()
  try:
    yield proxy
  finally:
    proxy.shutdown()
    thread.join()
    proxy.server_close()


def now_and_then(seed: int, share: float) -> Callable[[str, str], str | None]:
  """A share of requests fail, each in one of the ways that pass."""
  chosen = random.Random(seed)

  def fault(method: str, path: str) -> str | None:
    del method, path
    return chosen.choice(PASSING) if chosen.random() < share else None

  return fault
