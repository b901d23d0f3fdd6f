"""What lies at the output of a Beam job: the set, and what jobs left beside it."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Iterable, Mapping
from typing import Any

from hardmine.pipelines.cli.tables import printable
from hardmine.schemas.uris import absolute, is_url

_WORDS = {
  "left": "left behind by a job that is gone",
  "at_work": "of a job that may be at work",
  "set": "a whole set, which could not be published: it is one by itself",
  "aside": "the set of before, moved aside: `hardmine clean` puts it back",
  "unknown": "not to be told whose: remove it by hand if nobody needs it",
  "stuck": "left behind, and cannot be removed",
}
_NUM_TOLD = 5  # files in a list


def is_place(path: str) -> bool:
  """Whether a path is a set's, or would be, and no file."""
  if is_url(path):
    return True
  path = absolute(path)
  if os.path.lexists(path):
    return os.path.isdir(path)
  from hardmine.schemas.leftovers import leftovers

  return bool(leftovers(path))


def describe(output: str, *, full: bool) -> dict[str, Any]:
  """Looks at an output.

  Args:
    output: a path or a URL.
    full: hashes every file of the set.

  Returns:
    `state`: `whole`, `damaged`, or `absent` where there is no manifest; what that
    says; `problems` of its files; `other_files`, which it does not name; `left_behind`.
  """
  from hardmine.schemas.folders import folder
  from hardmine.schemas.leftovers import leftovers
  from hardmine.schemas.manifest import MANIFEST_NAME

  place = folder(output)
  facts: dict[str, Any] = {"place": place.url, "state": "absent", "problems": []}
  try:
    manifest = _manifest(place.read(MANIFEST_NAME))
  except FileNotFoundError:
    return {**facts, "left_behind": list(map(vars, leftovers(output)))}
  if manifest is None:
    problem = {"file": MANIFEST_NAME, "problem": "is no manifest"}
    return {**facts, "state": "damaged", "problems": [problem], "left_behind": []}
  left = leftovers(output)
  found = sizes(place.url)
  problems = list(_problems(place, manifest["files"], found, full))
  counted = set(manifest["files"]) | {MANIFEST_NAME}
  ours = [f"{one.place[len(place.url) + 1 :]}/" for one in left]
  others = sorted(
    name
    for name in found
    if name not in counted and not any(name.startswith(start) for start in ours)
  )
  return {
    **facts,
    "state": "damaged" if problems else "whole",
    "kind": manifest.get("kind"),
    "num_files": len(manifest["files"]),
    "num_bytes": sum(said["bytes"] for said in manifest["files"].values()),
    "checked": "SHA-256" if full else "sizes",
    "problems": problems,
    "num_other_files": len(others),
    "other_files": others[:_NUM_TOLD],
    "counts": manifest.get("counts", {}),
    "left_behind": list(map(vars, left)),
  }


def sizes(url: str) -> dict[str, int]:
  """Bytes of every file below a path or URL, by its name relative to that."""
  from hardmine.schemas.bucket import Bucket
  from hardmine.schemas.folders import folder

  if is_url(url):
    return {name: said.bytes for name, said in Bucket.at_url(url).facts("").items()}
  place = folder(url)
  return {name: place.size(name) for name in place.tree() if place.exists(name)}


def show(facts: Mapping[str, Any]) -> None:
  """Prints the facts for people."""
  rows = [("place", facts["place"]), ("state", facts["state"])]
  if "kind" in facts:
    size = f"{facts['num_files']:,} files, {in_bytes(facts['num_bytes'])}"
    rows += [("kind", str(facts["kind"])), ("files", size)]
    rows += [("checked", facts["checked"])]
    rows += [(f"  {name}", _in_words(value)) for name, value in facts["counts"].items()]
  rows += [("problem", f"{p['file']} {p['problem']}") for p in facts["problems"]]
  if facts.get("num_other_files"):
    names = ", ".join(facts["other_files"])
    rows += [("other files", f"{facts['num_other_files']:,}, such as {names}")]
  width = max(len(name) for name, _ in rows)
  for name, value in rows:
    print(f"{name:<{width}}  {printable(value)}")
  for one in facts["left_behind"]:
    print(printable(leftover_line(one)))


def complaint(facts: Mapping[str, Any]) -> str | None:
  """Why a place is of no use as a set, None where it is whole."""
  if facts["state"] == "whole":
    return None
  if facts["state"] == "damaged":
    first, *others = facts["problems"]
    more = f", and {len(others)} more" if others else ""
    told = f"{first['file']} {first['problem']}{more}"
    return f"{facts['place']} is damaged: {told}; make it again"
  left = [one for one in facts["left_behind"] if one["state"] in ("left", "aside")]
  told = "; a killed job left something there: `hardmine clean` removes it"
  return f"{facts['place']} holds no set: there is no manifest.json{told * bool(left)}"


def leftover_line(one: Mapping[str, Any]) -> str:
  """A place that is no set's, its state, whose, and how much."""
  when = "at an unknown time"
  if one["seconds"] is not None:
    age = datetime.timedelta(seconds=max(0, round(one["seconds"])))
    when = f"last written {age} ago"
  return (
    f"{one['place']}  {_WORDS[one['state']]}; {one['who']}, {when}; "
    f"{one['num_files']:,} files, {in_bytes(one['num_bytes'])}"
  )


def in_bytes(number: float) -> str:
  """A number of bytes as people read it."""
  for unit in ("bytes", "kB", "MB", "GB"):
    if number < 1000:
      return f"{number:,.0f} bytes" if unit == "bytes" else f"{number:.1f} {unit}"
    number /= 1000
  return f"{number:,.1f} TB"


def _manifest(text: bytes) -> dict[str, Any] | None:
  try:
    manifest = json.loads(text)
    sound = all({"sha256", "bytes"} <= set(f) for f in manifest["files"].values())
  except (ValueError, KeyError, TypeError, AttributeError):
    return None
  return manifest if sound else None


def _problems(
  place: Any, files: Mapping[str, Any], found: Mapping[str, int], full: bool
) -> Iterable[dict[str, str]]:
  from hardmine.schemas.manifest import file_facts

  for name, said in files.items():
    if name not in found:
      yield {"file": name, "problem": "is missing"}
    elif found[name] != said["bytes"]:
      told = f"has {found[name]:,} bytes instead of {said['bytes']:,}"
      yield {"file": name, "problem": told}
    elif full and file_facts(place, name)["sha256"] != said["sha256"]:
      yield {"file": name, "problem": "differs from its SHA-256"}


def _in_words(value: Any) -> str:
  if isinstance(value, Mapping):
    return ", ".join(f"{k} {_in_words(v)}" for k, v in value.items()) or "none"
  return f"{value:,}" if isinstance(value, int) else str(value)
