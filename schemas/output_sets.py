"""Where a job puts a set of files that is whole or not there, on a disk or in a bucket.

    with output_set("s3://bucket/patches", kind=PATCHES) as made:
      ...      workers write below made.shards, and below made.scratch what goes again
      made.commit(files, counts=...)

On a disk it is made in a hidden folder that gets its name in one move; `bucket_sets`
says how it is in a bucket.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Protocol

from hardmine.schemas.bucket_sets import BucketSet
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically
from hardmine.schemas.folders import Folder, LocalFolder
from hardmine.schemas.manifest import MANIFEST_NAME, SCRATCH, Files, make_manifest
from hardmine.schemas.outputs import StagedFolder
from hardmine.schemas.uris import absolute, is_below, is_url


class OutputSet(Protocol):
  """A set to be made, as a context manager.

  An exception in the block removes what was made and leaves what was there.

  Attributes:
    output: where the set will lie, absolute.
    shards: the folder of its files, for workers.
    scratch: a folder for what is gone at the end.
    replaces: whether a set is there, which will go.
  """

  output: str
  replaces: bool

  @property
  def shards(self) -> Folder: ...

  @property
  def scratch(self) -> Folder: ...

  def commit(self, files: Files, **facts: Any) -> dict[str, Any]:
    """Says what the set holds; it is published when the block ends.

    Args:
      files: by name below `shards`.
      **facts: JSON values for the manifest, such as `counts`.

    Returns:
      The manifest.
    """
    ...

  def __enter__(self) -> OutputSet: ...

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None: ...


def output_set(
  output: str | os.PathLike,
  *,
  kind: str,
  overwrite: bool = False,
  plain: bool = False,
) -> OutputSet:
  """Looks at an output; nothing is made before the block is entered.

  Args:
    output: a path or a URL.
    kind: of the set, as the manifest's `kind`.
    overwrite: replaces a set of this kind that holds nothing else.
    plain: in a bucket, files get the names that were asked for, in the output itself,
      as TFX's readers need; such a set cannot be replaced.

  Raises:
    ValueError: something is there that may not be replaced, or a URL that nothing
      installed can read.
  """
  if not is_url(output):
    return LocalSet(output, kind=kind, overwrite=overwrite)
  return BucketSet(absolute(output), kind=kind, overwrite=overwrite, plain=plain)


def check_sources(output: str, sources: Iterable[str]) -> None:
  """Raises ValueError where one of the files that are read lies in the output.

  Args:
    output: absolute; a set that is there would be replaced.
    sources: paths and URLs.
  """
  for source in sources:
    require(
      not is_below(absolute(source), output),
      "an output folder without any of the files that are read",
      output=output,
      source=source,
    )


class LocalSet:
  """On a disk that every worker sees; see `OutputSet` and `StagedFolder`."""

  def __init__(self, output: str | os.PathLike, *, kind: str, overwrite: bool):
    self._folder = StagedFolder(absolute(output), overwrite=overwrite, kind=kind)
    self._kind = kind
    self.output = str(self._folder.output)
    self.replaces = os.path.isdir(self.output) and bool(os.listdir(self.output))

  def __enter__(self) -> LocalSet:
    self._staging = self._folder.__enter__()
    self.shards = LocalFolder(str(self._staging))
    self.scratch = self.shards.below(SCRATCH)
    return self

  def commit(self, files: Files, **facts: Any) -> dict[str, Any]:
    self.scratch.remove_tree()
    manifest, text = make_manifest(files, kind=self._kind, **facts)
    write_atomically(self._staging / MANIFEST_NAME, text)
    return manifest

  def __exit__(
    self,
    kind: type[BaseException] | None,
    error: BaseException | None,
    traceback: TracebackType | None,
  ) -> None:
    self._folder.__exit__(kind, error, traceback)
