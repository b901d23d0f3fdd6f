"""Reads images out of their folder, and out of nowhere else."""

from __future__ import annotations

import errno
import os
import posixpath

from fsspec.implementations.local import LocalFileSystem

from hardmine.components.coco_gen.annotations import Fault, ListedImage
from hardmine.schemas.bucket import Bucket, file_system_of


class ImageFolder:
  """A folder of images, local or a URL."""

  def __init__(self, folder: str):
    self._folder = folder
    self._bucket = Bucket.at_url(folder)
    file_system, root = file_system_of(folder)
    self._is_local = isinstance(file_system, LocalFileSystem)
    self._root = root.rstrip("/") + "/"
    self._inside = os.path.realpath(root).rstrip("/") + "/"
    self._safe: dict[str, bool] = {}  # by folder below the root: no link leads out

  def read(self, listed: ListedImage) -> bytes | Fault:
    """An image's file, unless it is missing or a link leads out of the folder.

    Args:
      listed: its `file` has no `..` that leads out of the folder.
    """
    try:
      if self._is_local:
        return self._read_local(listed)
      return self._bucket.read(listed.file)
    except FileNotFoundError:
      return image_fault(listed, "missing_image", f"no such file in {self._folder}")
    except OSError as error:
      detail = f"{type(error).__name__}: {error.strerror or error}"
      return image_fault(listed, "unreadable", detail)

  def _read_local(self, listed: ListedImage) -> bytes | Fault:
    """One call tells whether the file itself is a link; folders are asked once."""
    path = self._root + listed.file
    parent = posixpath.dirname(listed.file)
    if parent not in self._safe:
      self._safe[parent] = self._is_inside(posixpath.dirname(path) + "/")
    if self._safe[parent]:
      try:
        return _read(os.open(path, os.O_RDONLY | os.O_NOFOLLOW))
      except OSError as error:
        if error.errno != errno.ELOOP:
          raise
    if not self._is_inside(path):
      detail = f"{listed.file} is a link to {os.path.realpath(path)}"
      return image_fault(listed, "path_outside_folder", detail)
    return _read(os.open(path, os.O_RDONLY))

  def _is_inside(self, path: str) -> bool:
    slash = "/" if path.endswith("/") else ""
    return (os.path.realpath(path) + slash).startswith(self._inside)


def image_fault(listed: ListedImage, reason: str, detail: str) -> Fault:
  """The fault of a listed image."""
  return Fault(reason=reason, detail=detail, image_id=listed.id, file=listed.file)


def _read(descriptor: int) -> bytes:
  with open(descriptor, "rb") as file:
    return file.read()
