"""A stand-in for an object store: fsspec's interface over memory, with its faults.

`hardmine-test://NAME/...`; each NAME is a store of its own. Conditional creation is
atomic, as `ifGenerationMatch=0` is. Faults are injected before a request is carried
out, or after it (the answer is lost).
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from typing import Any

import fsspec

PROTOCOL = "hardmine-test"


class HttpError(Exception):
  """As gcsfs raises it."""

  def __init__(self, code: int):
    super().__init__(f"status {code}")
    self.code = code


class FakeObjectStore(fsspec.AbstractFileSystem):
  """Objects in a dict that all instances share.

  Attributes:
    fault: called with (operation, path, when), `when` being `before` or `after` the
      request is carried out; may raise or have side effects.
  """

  protocol = PROTOCOL
  cachable = False
  objects: dict[str, bytes] = {}  # noqa: RUF012 - shared on purpose
  lock = threading.RLock()
  fault: Callable[[str, str, str], None] = staticmethod(lambda *facts: None)
  num_requests = 0
  precondition_status: int | None = None  # None raises FileExistsError, as s3fs does

  @classmethod
  def reset(cls) -> None:
    cls.objects.clear()
    cls.fault = staticmethod(lambda *facts: None)
    cls.num_requests = 0
    cls.precondition_status = None

  def _request(self, operation: str, path: str, carry_out: Callable[[], Any]) -> Any:
    type(self).num_requests += 1
    type(self).fault(operation, path, "before")
    with self.lock:
      answer = carry_out()
    type(self).fault(operation, path, "after")
    return answer

  def ls(self, path, detail=True, **kwargs):
    path = self._strip_protocol(path).rstrip("/")

    def carry_out():
      found = {}
      for name, content in self.objects.items():
        if name == path:
          found[name] = ("file", len(content))
        elif name.startswith(path + "/"):
          child, slash, _ = name.removeprefix(path + "/").partition("/")
          kind = "directory" if slash else "file"
          found[f"{path}/{child}"] = (kind, 0 if slash else len(content))
      if not found:
        raise FileNotFoundError(path)
      return [
        {"name": name, "type": kind, "size": size}
        for name, (kind, size) in sorted(found.items())
      ]

    entries = self._request("ls", path, carry_out)
    self.dircache[path] = entries  # where it is used, as by s3fs and gcsfs
    return entries if detail else [entry["name"] for entry in entries]

  def cat_file(self, path, version_id=None, start=None, end=None, **kwargs):
    assert version_id is None  # s3fs has it in this place
    path = self._strip_protocol(path)
    if start is None and end is None:
      self._ls_from_cache(path)  # s3fs asks for the size, and so it may know of nothing

    def carry_out():
      if path not in self.objects:
        raise FileNotFoundError(path)
      return self.objects[path][start:end]

    return self._request("cat", path, carry_out)

  def pipe_file(self, path, value, mode="overwrite", **kwargs):
    path = self._strip_protocol(path)

    def carry_out():
      if mode == "create" and path in self.objects:
        if self.precondition_status is not None:
          raise HttpError(self.precondition_status)
        raise FileExistsError(path)
      self.objects[path] = bytes(value)

    self._request("create" if mode == "create" else "put", path, carry_out)

  def put_file(self, lpath, rpath, callback=None, mode="overwrite", **kwargs):
    with open(lpath, "rb") as file:
      self.pipe_file(rpath, file.read(), mode)

  def get_file(self, rpath, lpath, **kwargs):
    with open(lpath, "wb") as file:
      file.write(self.cat_file(rpath))

  def rm_file(self, path):
    path = self._strip_protocol(path)

    def carry_out():
      if self.objects.pop(path, None) is None:
        raise FileNotFoundError(path)

    self._request("rm", path, carry_out)

  def _open(self, path, mode="rb", **kwargs):
    return io.BytesIO(self.cat_file(path))


fsspec.register_implementation(PROTOCOL, FakeObjectStore, clobber=True)
