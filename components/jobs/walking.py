"""What lies below a folder or a prefix, one after the other, of any number.

fsspec's own listings are whole: a million of files are a gigabyte. Disks, S3 and
Google's storage are asked piece by piece here; others, and what few people ask for, by
fsspec.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

Facts = dict[str, Any]  # of a path, as fsspec gives them


def walk(
  files: Any, root: str, *, depth: int | None = None, with_folders: bool = False
) -> Iterator[tuple[str, Facts]]:
  """Yields (path, facts), in no order; nothing where nothing lies.

  Args:
    files: a file system of fsspec.
    root: in it, without its protocol; a file gives itself.
    depth: 1 is right below the root; None has no limit.
    with_folders: too, and else their files alone.
  """
  protocols = files.protocol
  protocols = {protocols} if isinstance(protocols, str) else set(protocols)
  pages = None
  if depth in (None, 1) and root.strip("/"):
    pages = _pages_of(files, protocols)
  if "file" in protocols:
    yield from _on_disk(files, root or "/", depth, with_folders)
  elif pages is not None and files.isdir(root):
    bucket, _, prefix = root.strip("/").partition("/")
    prefix = f"{prefix}/" if prefix else ""
    found = _keys(files, pages, bucket, prefix, by_level=depth == 1)
    yield from (one for one in found if with_folders or one[1]["type"] != "directory")
  else:
    found = files.find(root, maxdepth=depth, withdirs=with_folders, detail=True)
    yield from found.items()


def _on_disk(
  files: Any, root: str, depth: int | None, with_folders: bool
) -> Iterator[tuple[str, Facts]]:
  if not os.path.isdir(root):
    with contextlib.suppress(FileNotFoundError):
      yield root, files.info(root)
    return
  pending = [(root, 1)]
  while pending:
    folder, level = pending.pop()
    try:
      entries = os.scandir(folder)
    except OSError:  # gone, or nobody may look: as fsspec does
      continue
    with entries:
      for entry in entries:
        try:
          facts = files.info(entry)
        except FileNotFoundError:
          continue
        path = facts["name"]
        is_folder = facts["type"] == "directory"
        if is_folder and (depth is None or level < depth):
          pending.append((path, level + 1))
        if with_folders or not is_folder:
          yield path, facts


def _pages_of(files: Any, protocols: set[str]) -> Any:
  """What gives a bucket's listing in pages, None where nothing does."""
  if "s3" in protocols and hasattr(files, "call_s3"):
    return _pages_of_s3
  if "gs" in protocols and hasattr(files, "call") and hasattr(files, "_process_object"):
    return _pages_of_google
  return None


def _keys(
  files: Any, pages: Any, bucket: str, prefix: str, by_level: bool
) -> Iterator[tuple[str, Facts]]:
  """A bucket's objects, with the folders that their names have."""
  parents: list[str] = []  # of the last object; they come in the order of their names
  for name, facts in pages(files, bucket, prefix, "/" if by_level else ""):
    below = name[len(prefix) :]
    if not below:  # a mark that there is such a folder
      continue
    *folders, last = below.split("/")
    same = 0
    while same < min(len(folders), len(parents)) and folders[same] == parents[same]:
      same += 1
    for end in range(same + 1, len(folders) + 1):
      folder = f"{bucket}/{prefix}{'/'.join(folders[:end])}"
      yield folder, {"name": folder, "size": 0, "type": "directory"}
    parents = folders
    if last:
      yield f"{bucket}/{name}", facts


def _pages_of_s3(
  files: Any, bucket: str, prefix: str, delimiter: str
) -> Iterator[tuple[str, Facts]]:
  more: dict[str, str] = {"Delimiter": delimiter} if delimiter else {}
  while True:
    page = files.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **more)
    for folder in page.get("CommonPrefixes", ()):
      yield folder["Prefix"], {}
    for one in page.get("Contents", ()):
      facts = {**one, "name": f"{bucket}/{one['Key']}", "size": one["Size"]}
      yield one["Key"], {**facts, "type": "file"}
    if not page.get("IsTruncated"):
      return
    more["ContinuationToken"] = page["NextContinuationToken"]


def _pages_of_google(
  files: Any, bucket: str, prefix: str, delimiter: str
) -> Iterator[tuple[str, Facts]]:
  more: dict[str, str] = {"delimiter": delimiter} if delimiter else {}
  while True:
    page = files.call("GET", "b/{}/o", bucket, prefix=prefix, json_out=True, **more)
    yield from ((folder, {}) for folder in page.get("prefixes", ()))
    for one in page.get("items", ()):
      yield one["name"], files._process_object(bucket, one)
    if not page.get("nextPageToken"):
      return
    more["pageToken"] = page["nextPageToken"]
