"""What a job that writes shards of records is made of, and where its workers meet."""

from __future__ import annotations

import collections
import dataclasses
import functools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from hardmine.schemas.config import Config
from hardmine.schemas.folders import Folder, folder
from hardmine.schemas.output_sets import OutputSet

PARTS = "parts"  # the folder of the parts' files, below the scratch folder
PLAN = "plan.json"
SETTINGS = "settings.json"
LETTERS = "letters"  # a kind of list, which every job has

Counts = Mapping[str, Any]  # numbers, or Counts again
C = TypeVar("C", bound=Config)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Workplace:
  """Storage that the caller and all workers see; they share nothing else.

  Attributes:
    shards: what is published lies below it.
    scratch: what goes with the job.
  """

  shards: Folder
  scratch: Folder

  @classmethod
  def of(cls, made: OutputSet) -> Workplace:
    """Where a set is being made."""
    return cls(shards=made.shards, scratch=made.scratch)

  def settings(self) -> dict[str, Any]:
    """What the caller wrote down for the workers."""
    return self.told_once(SETTINGS)

  def told_once(self, name: str) -> Any:
    """Reads a JSON value that no one writes anew, once in every process."""
    return _told_once(self.scratch.url, name)

  def tell(self, name: str, value: Any) -> None:
    """Writes a JSON value."""
    self.scratch.write(name, json.dumps(value).encode("utf-8"))

  def told(self, name: str) -> Any:
    """Reads a JSON value."""
    return json.loads(self.scratch.read(name))


@functools.lru_cache(maxsize=8)
def _told_once(url: str, name: str) -> Any:
  return json.loads(folder(url).read(name))


@functools.lru_cache(maxsize=8)
def parsed(config_class: type[C], text: str) -> C:
  """What `to_json` wrote, parsed once in every process: configs are frozen."""
  return config_class.from_json(text)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Part:
  """Some images of one shard.

  Attributes:
    split: the shard's.
    shard_path: the shard's path below the output.
    name: sorts in the order in which the parts of a shard belong.
    num_images: how many it holds, for progress.
  """

  split: str
  shard_path: str
  name: str
  num_images: int

  @property
  def file(self) -> str:
    """Of its records, below the scratch folder; the name tells of how many images."""
    return f"{PARTS}/{self.name}.{self.num_images}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Picture:
  """An image of a part, by what tells equal ones.

  Attributes:
    digest: equal for the same picture.
    name: what people call it.
    part: the part's name.
    split: the part's.
    shard: the shard's path.
  """

  digest: str
  name: str
  part: str
  split: str
  shard: str


class ShardJob:
  """The work of a job; instances go to workers, so they hold little.

  Attributes:
    noun: what a record is, in the plural.
    compressed: whether shards are deflated.
    lines: shards are text, a record a line, instead of TFRecords.
  """

  noun = "records"
  compressed = True
  lines = False

  def plan(self, place: Workplace) -> Iterator[Part]:
    """Yields parts, on one worker, and writes `PLAN`.

    That is an object with `shards`, which maps each split to the paths of its shards,
    `images` and `parts` (numbers), and what else the caller wants to know. A shard
    without images needs a part, too: readers expect its file. `KIND-planned.jsonl` may
    be written with what is dead before it is worked on.

    Raises:
      ValueError: the caller can mend it.
    """
    raise NotImplementedError

  def work(self, part: Part, place: Workplace) -> dict[str, Any]:
    """Makes a part, with `shards.write_part`. Returns the report of that."""
    raise NotImplementedError

  def working(self, place: Workplace) -> Any:
    """Beam's transform of parts to reports; None where `work` is all that is done."""
    del place
    return None

  def pictures(self, report: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """(digest, name) of a part's images, of which several may be the same."""
    del report
    return ()

  def same(self, pictures: Sequence[Picture]) -> Iterable[tuple[str, dict[str, Any]]]:
    """What is to be said to the shards of several equal pictures, in order of part.

    Yields:
      (path of the shard, the remark).
    """
    del pictures
    return ()

  def unwanted(self, remarks: Iterable[Mapping[str, Any]]) -> Collection[str]:
    """Names of images whose records are to be taken out of a shard again."""
    del remarks
    return ()

  def image_of(self, record: bytes) -> str:
    """The name of the image that a record is of, where some may be unwanted."""
    raise NotImplementedError

  def counts(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> Counts:
    """What a shard's reports and remarks come to."""
    raise NotImplementedError

  def lists(
    self, reports: Iterable[Mapping[str, Any]], remarks: Sequence[Mapping[str, Any]]
  ) -> dict[str, list[dict[str, Any]]]:
    """JSON lines for each kind of list, among them `LETTERS`, of a shard."""
    raise NotImplementedError

  def order(self, line: Mapping[str, Any]) -> Any:
    """By which the lines of a list rise; by default they keep the shards' order."""
    del line
    return ()


def sum_counts(every: Iterable[Counts]) -> dict[str, Any]:
  """Numbers added up, key by key."""
  numbers: collections.Counter = collections.Counter()
  inner: dict[str, list[Counts]] = {}
  for counts in every:
    for key, value in counts.items():
      if isinstance(value, Mapping):
        inner.setdefault(key, []).append(value)
      else:
        numbers[key] += value
  return {**numbers, **{key: sum_counts(values) for key, values in inner.items()}}
