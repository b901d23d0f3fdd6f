"""Google Cloud Storage on this machine: its JSON API over HTTP, for tests of buckets.

It knows what gcsfs asks for, and answers as Google documents it: pages of listings,
uploads in one piece or several, conditions on generations, many removals in a request.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import itertools
import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import fsspec
import pytest
from gcsfs import GCSFileSystem

PAGE = 100  # objects and prefixes at most: Google's is 1,000
_MOST_IN_BATCH = 100  # requests, as at Google
# Only where the address holds this name does gcsfs remove many at once.
_HOST = "/storage.googleapis.com"
_OBJECTS = r"(?:/download|/upload)?/storage/v1/b/([^/]+)/o"


@dataclasses.dataclass(frozen=True)
class _Object:
  content: bytes
  generation: int
  updated: str


class _Refused(Exception):
  """A status and what is said of it."""


class GcsServer(ThreadingHTTPServer):
  """Buckets, and a thread for every connection.

  Attributes:
    asked: how often each kind of request came: `list`, `read`, `range`, `multipart`,
      `media`, `resumable`, `piece`, `delete`, `batch`, `rewrite`, `info`.
  """

  daemon_threads = True

  def __init__(self, buckets: tuple[str, ...]):
    super().__init__(("127.0.0.1", 0), _Handler)
    self.asked: Counter[str] = Counter()
    self._buckets: dict[str, dict[str, _Object]] = {name: {} for name in buckets}
    self._uploads: dict[str, tuple[str, str, dict[str, str], bytearray]] = {}
    self._numbers = itertools.count(1_700_000_000_000_000)
    self._lock = threading.RLock()

  def handle_error(self, request, client_address) -> None:
    """Says nothing of a client that was killed."""
    if not isinstance(sys.exc_info()[1], ConnectionError):
      super().handle_error(request, client_address)

  @property
  def url(self) -> str:
    """What `STORAGE_EMULATOR_HOST` is to be."""
    return f"http://127.0.0.1:{self.server_port}{_HOST}"

  def put(self, bucket: str, name: str, content: bytes) -> None:
    """Makes or replaces an object, past HTTP."""
    self.insert(bucket, name, content, {})

  def objects(self, bucket: str) -> dict[str, bytes]:
    """All objects, by name, past HTTP."""
    with self._lock:
      found = self.bucket(bucket)
      return {name: found[name].content for name in sorted(found)}

  def bucket(self, name: str) -> dict[str, _Object]:
    if name not in self._buckets:
      raise _Refused(404, "The specified bucket does not exist.")
    return self._buckets[name]

  def found(self, bucket: str, name: str) -> _Object:
    with self._lock:
      if name not in self.bucket(bucket):
        raise _Refused(404, f"No such object: {bucket}/{name}")
      return self.bucket(bucket)[name]

  def insert(self, bucket: str, name: str, content: bytes, query: dict[str, str]):
    with self._lock:
      before = self.bucket(bucket).get(name)
      wanted = query.get("ifGenerationMatch")
      if wanted and int(wanted) != (before.generation if before else 0):
        raise _Refused(412, "At least one of the pre-conditions you specified ...")
      now = datetime.datetime.now(datetime.timezone.utc)
      made = _Object(content, next(self._numbers), f"{now:%Y-%m-%dT%H:%M:%S.%f}Z")
      self.bucket(bucket)[name] = made
    return _facts(bucket, name, made)

  def delete(self, bucket: str, name: str) -> None:
    with self._lock:
      self.found(bucket, name)
      del self.bucket(bucket)[name]

  def list(self, bucket: str, query: dict[str, str]) -> dict:
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = min(int(query.get("maxResults", PAGE)), PAGE)
    with self._lock:
      objects = dict(self.bucket(bucket))
    found: dict[str, _Object | None] = {}
    for name in sorted(n for n in objects if n.startswith(prefix)):
      head, cut, _ = name[len(prefix) :].partition(delimiter or "\0")
      found[prefix + head + cut] = None if cut else objects[name]
    names = [name for name in found if name > query.get("pageToken", "")]
    shown = {name: found[name] for name in names[:page]}
    return {
      "kind": "storage#objects",
      "items": [_facts(bucket, name, one) for name, one in shown.items() if one],
      "prefixes": [name for name, one in shown.items() if one is None],
      **({"nextPageToken": names[page - 1]} if len(names) > page else {}),
    }

  def begin_upload(self, bucket: str, name: str, query: dict[str, str]) -> str:
    with self._lock:
      self.bucket(bucket)
      number = str(next(self._numbers))
      self._uploads[number] = (bucket, name, query, bytearray())
    return f"{self.url}/session/{number}?upload_id={number}"

  def add_piece(self, number: str, piece: bytes, place: str) -> tuple[int, dict | None]:
    """Returns (how much has come, the object if that is all)."""
    bucket, name, query, so_far = self._uploads[number]
    start, _, total = re.findall(r"\d+", place) if place else (0, 0, len(piece))
    if int(start) != len(so_far):
      raise _Refused(400, "a piece that does not follow the last")
    so_far += piece
    if len(so_far) < int(total):
      return len(so_far), None
    del self._uploads[number]
    return len(so_far), self.insert(bucket, name, bytes(so_far), query)

  def end_upload(self, number: str) -> None:
    self._uploads.pop(number, None)


class _Handler(BaseHTTPRequestHandler):
  protocol_version = "HTTP/1.1"
  disable_nagle_algorithm = True
  server: GcsServer

  def _answer(self) -> None:
    path, _, query = self.path.partition("?")
    body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
    fields = {name: values[-1] for name, values in parse_qs(query).items()}
    try:
      for verb, pattern, do in _ROUTES:
        match = re.fullmatch(pattern, path.removeprefix(_HOST))
        if match and self.command in verb.split():
          names = [unquote(one) for one in match.groups()]
          do(self, fields, body, *names)
          return
      raise _Refused(501, f"not in this stand-in: {self.command} {self.path}")
    except _Refused as refused:
      status, said = refused.args
      self._say({"error": {"code": status, "message": said}}, status)

  do_GET = do_POST = do_PUT = do_DELETE = _answer

  def _bucket(self, fields, body, bucket: str) -> None:
    self.server.bucket(bucket)
    self._say({"kind": "storage#bucket", "name": bucket})

  def _list(self, fields, body, bucket: str) -> None:
    self.server.asked["list"] += 1
    self._say(self.server.list(bucket, fields))

  def _read(self, fields, body, bucket: str, name: str) -> None:
    one = self.server.found(bucket, name)
    if fields.get("alt") != "media":
      self.server.asked["info"] += 1
      self._say(_facts(bucket, name, one))
      return
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
    self.server.asked["range" if asked else "read"] += 1
    if asked is None:
      self._send(200, one.content)
      return
    start, size = int(asked[1]), len(one.content)
    if start >= size:
      raise _Refused(416, "Requested range not satisfiable")
    end = min(int(asked[2] or size), size - 1)
    told = f"bytes {start}-{end}/{size}"
    self._send(206, one.content[start : end + 1], {"Content-Range": told})

  def _upload(self, fields, body: bytes, bucket: str) -> None:
    kind = fields["uploadType"]
    self.server.asked[kind] += 1
    if kind == "resumable":
      name = fields.get("name") or json.loads(body)["name"]
      place = self.server.begin_upload(bucket, name, fields)
      self._send(200, b"", {"Location": place})
      return
    name, content = fields.get("name", ""), body
    if kind == "multipart":
      facts, content = _two_parts(body, self.headers["Content-Type"])
      name = facts["name"]
    self._say(self.server.insert(bucket, name, content, fields))

  def _piece(self, fields, body: bytes, number: str) -> None:
    self.server.asked["piece"] += 1
    place = self.headers.get("Content-Range", "")
    num_bytes, made = self.server.add_piece(number, body, place)
    if made is None:
      self._send(308, b"", {"Range": f"bytes=0-{num_bytes - 1}"})
    else:
      self._say(made)

  def _end(self, fields, body: bytes, number: str) -> None:
    self.server.end_upload(number)
    self._say({}, 499)

  def _delete(self, fields, body: bytes, bucket: str, name: str) -> None:
    self.server.asked["delete"] += 1
    self.server.delete(bucket, name)
    self._send(204)

  def _rewrite(self, fields, body: bytes, *names: str) -> None:
    self.server.asked["rewrite"] += 1
    one = self.server.found(names[0], names[1])
    made = self.server.insert(names[2], names[3], one.content, fields)
    self._say({"kind": "storage#rewriteResponse", "done": True, "resource": made})

  def _batch(self, fields, body: bytes) -> None:
    self.server.asked["batch"] += 1
    asked = re.findall(r"(DELETE|POST) (\S+) HTTP/1\.1", body.decode("ascii"))
    if len(asked) > _MOST_IN_BATCH:
      raise _Refused(400, "The batch request could not be processed: too many parts")
    answers = []
    for verb, path in asked:
      try:
        made = self._in_batch(verb, urlsplit(path).path.removeprefix(_HOST))
        status = "204 No Content" if made is None else "200 OK"
        answers.append(f"HTTP/1.1 {status}\r\n\r\n{json.dumps(made) if made else ''}")
      except _Refused as refused:
        status, said = refused.args
        error = json.dumps({"error": {"code": status, "message": said}})
        answers.append(f"HTTP/1.1 {status} Not Found\r\n\r\n{error}\r\n")
    head = "--batch_1\r\nContent-Type: application/http\r\n\r\n"
    text = "".join(head + answer for answer in answers) + "--batch_1--\r\n"
    kind = "multipart/mixed; boundary=batch_1"
    self._send(200, text.encode(), {"Content-Type": kind})

  def _in_batch(self, verb: str, path: str) -> dict | None:
    """Removes an object, or copies it, as Beam does to rename one."""
    if verb == "DELETE":
      match = re.fullmatch(f"{_OBJECTS}/([^/]+)", path)
      assert match, path
      self.server.delete(*map(unquote, match.groups()))
      return None
    match = re.fullmatch(f"{_OBJECTS}/([^/]+)/copyTo/b/([^/]+)/o/([^/]+)", path)
    assert match, path
    names = [unquote(name) for name in match.groups()]
    one = self.server.found(names[0], names[1])
    return self.server.insert(names[2], names[3], one.content, {})

  def _say(self, value: dict, status: int = 200) -> None:
    kind = {"Content-Type": "application/json; charset=UTF-8"}
    self._send(status, json.dumps(value).encode(), kind)

  def _send(self, status: int, content: bytes = b"", headers: dict | None = None):
    self.send_response(status)
    for name, value in (headers or {}).items():
      self.send_header(name, value)
    self.send_header("Content-Length", str(len(content)))
    self.end_headers()
    self.wfile.write(content)

  def log_message(self, *args) -> None:
    """Says nothing."""


_ROUTES = (  # by method and path; groups are names, quoted
  ("GET", r"/storage/v1/b/([^/]+)", _Handler._bucket),
  ("GET", _OBJECTS, _Handler._list),
  ("GET", f"{_OBJECTS}/([^/]+)", _Handler._read),
  ("POST", _OBJECTS, _Handler._upload),
  ("POST PUT", r"/session/(\d+)", _Handler._piece),
  ("DELETE", r"/session/(\d+)", _Handler._end),
  ("DELETE", f"{_OBJECTS}/([^/]+)", _Handler._delete),
  ("POST", f"{_OBJECTS}/([^/]+)/rewriteTo/b/([^/]+)/o/([^/]+)", _Handler._rewrite),
  ("POST", r"/batch/storage/v1", _Handler._batch),
)


def _facts(bucket: str, name: str, one: _Object) -> dict[str, str]:
  return {
    "kind": "storage#object",
    "bucket": bucket,
    "name": name,
    "size": str(len(one.content)),
    "generation": str(one.generation),
    "updated": one.updated,
    "timeCreated": one.updated,
  }


def _two_parts(body: bytes, kind: str) -> tuple[dict[str, str], bytes]:
  """(the facts, the content) of a multipart upload."""
  cut = b"--" + kind.partition("boundary=")[2].strip('"').encode()
  facts, content = body.split(cut, 2)[1:]
  line = b"\r\n" if facts.startswith(b"\r\n") else b"\n"  # gcsfs ends its so
  content = content[: content.rindex(line + cut + b"--")]
  facts, content = (part.partition(line * 2)[2] for part in (facts, content))
  return json.loads(facts), content


@contextlib.contextmanager
def gcs_server(*buckets: str) -> Iterator[GcsServer]:
  """Serves these buckets, which all clients of this process then take for Google's.

  The processes that it starts do so, too: they get its environment.
  """
  server = GcsServer(buckets)
  thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
  thread.start()
  try:
    with pytest.MonkeyPatch.context() as patch:
      patch.setenv("STORAGE_EMULATOR_HOST", server.url)
      patch.setenv("FSSPEC_GCS_TOKEN", "anon")  # read when fsspec is imported
      patch.setitem(fsspec.config.conf, "gcs", {"token": "anon"})
      GCSFileSystem.clear_instance_cache()
      yield server
  finally:
    GCSFileSystem.clear_instance_cache()
    server.shutdown()
    server.server_close()
    thread.join()
