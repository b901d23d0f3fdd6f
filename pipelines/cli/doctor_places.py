"""Places that runs share: a root, a bucket, the records of what ran."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from pathlib import Path

from hardmine.pipelines import metadata_store
from hardmine.pipelines.cli.doctor_finding import Finding
from hardmine.schemas.uris import absolute, is_url

_BUSY_SECONDS = 5.0
_SCHEMA_VERSION = 10  # of ML Metadata's tables in either lane
# Scheme to the commands that log in, make a bucket, and give rights to it.
_REMEDIES = {
  "gs": (
    "gcloud auth application-default login",
    "gcloud storage buckets create gs://{bucket}",
    "gcloud storage buckets add-iam-policy-binding gs://{bucket} "
    "--member=user:YOU --role=roles/storage.objectUser",
  ),
  "s3": (
    "aws configure, or set AWS_PROFILE and AWS_ENDPOINT_URL",
    "aws s3 mb s3://{bucket}",
    "allow s3:ListBucket, s3:GetObject, s3:PutObject and s3:DeleteObject in {bucket}",
  ),
}
_EXTRAS = {"gs": "gcs", "s3": "s3"}


def check_root(root: str) -> Finding:
  """Whether a run could keep its outputs there; a bucket is tried for real."""
  if is_url(root):
    return _check_bucket(root)
  path = Path(absolute(root))
  subject = "root"
  if path.exists() and not path.is_dir():
    return _bad(subject, f"{path} is a file", "choose another --root")
  parent = path
  while not parent.exists():
    parent = parent.parent
  if not os.access(parent, os.W_OK | os.X_OK):
    return _bad(subject, f"{parent} cannot be written", f"sudo chown $USER {parent}")
  state = "is there" if path.exists() else "is made by the first run"
  return Finding(status="ok", subject=subject, found=f"{path} {state}")


def check_metadata(place: str) -> Finding:
  """Whether a run could keep its records there.

  Args:
    place: as `hardmine run --metadata` takes it.
  """
  subject = "metadata store"
  try:
    place = metadata_store.checked_place(place)
    shown = metadata_store.shown_place(place)
    if not metadata_store.is_database(place):
      bad = _check_file(Path(place))
      if bad is not None:
        return bad
    version = metadata_store.schema_version(place)
  except ModuleNotFoundError as error:
    extra = "make install, or pip install 'hardmine[mysql]'"
    return _bad(subject, f"no {error.name} to reach it with", extra)
  except (ValueError, RuntimeError, OSError) as error:
    said, _, remedy = " ".join(str(error).split()).rpartition(": ")
    return _bad(subject, said or remedy, remedy)
  if version is not None and version > _SCHEMA_VERSION:
    return _bad(
      subject,
      f"{shown} was written by a newer ML Metadata (tables {version}, here "
      f"{_SCHEMA_VERSION})",
      "use the lane that wrote it, or choose another --metadata",
    )
  if version is None:
    found = f"{shown}, which the first run fills"
  elif version < _SCHEMA_VERSION:
    found = (
      f"{shown} (tables {version}, which the next run brings to {_SCHEMA_VERSION})"
    )
  else:
    found = f"{shown} (tables {version})"
  return Finding(status="ok", subject=subject, found=found)


def _check_file(path: Path) -> Finding | None:
  """What is wrong with a SQLite file: damaged, or held by somebody."""
  subject = "metadata store"
  if not path.exists():
    parent = check_root(str(path.parent))
    if parent.status == "ok":
      return None
    return _bad(subject, parent.found, parent.remedy)
  try:
    with contextlib.closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as database:
      database.isolation_level = None
      (answer,) = database.execute("PRAGMA quick_check(1)").fetchone()
      if answer != "ok":
        return _bad(subject, f"{path} is damaged ({answer})", _put_back(path))
      database.execute("BEGIN IMMEDIATE")
      database.execute("ROLLBACK")
  except sqlite3.OperationalError as error:
    if "locked" in str(error):
      return _bad(
        subject,
        f"{path} is locked by another process for {_BUSY_SECONDS:.0f} seconds",
        f"wait for it, or see who it is: fuser -v {path}; many processes at once need "
        "--metadata mysql://USER@HOST/DATABASE",
      )
    return _bad(subject, f"{path}: {error}", f"sudo chown $USER {path} {path.parent}")
  except sqlite3.DatabaseError as error:
    return _bad(subject, f"{path} is damaged ({error})", _put_back(path))
  return None


def _put_back(path: Path) -> str:
  return f"put a copy of it back, or move it away with its root: mv {path} {path}.bad"


def _check_bucket(url: str) -> Finding:
  """Lists, writes, reads and removes a small object."""
  from hardmine.schemas.folders import folder

  scheme, _, rest = url.partition("://")
  bucket = rest.partition("/")[0]
  unknown = f"see to the settings and rights of {url}"
  log_in, make, allow = (
    text.format(bucket=bucket) for text in _REMEDIES.get(scheme, (unknown,) * 3)
  )
  name = f"hardmine-doctor-{uuid.uuid4().hex}.txt"
  step = "reach"
  try:
    place = folder(url)
    step = "list"
    place.names()
    step = "write"
    place.write(name, b"hardmine doctor")
    step = "read"
    if place.read(name) != b"hardmine doctor":
      raise OSError("another content came back than was written")
    step = "remove"
    place.remove(name)
  except ModuleNotFoundError as error:
    extra = _EXTRAS.get(scheme, scheme)
    install = f"make install, or pip install 'hardmine[{extra}]'"
    return _bad("root", f"no {error.name} to reach {url} with", install)
  except FileNotFoundError:
    return _bad("root", f"{url}: there is no such bucket", make)
  except PermissionError as error:
    return _bad("root", f"{url}: may not {step} ({_line(error)})", allow)
  except Exception as error:  # each client has its own
    return _bad("root", f"{url}: cannot {step} ({_line(error)})", log_in)
  found = f"{url}: listed, written, read and removed"
  return Finding(status="ok", subject="root", found=found)


def _line(error: BaseException) -> str:
  return " ".join(str(error).split())[:200] or type(error).__name__


def _bad(subject: str, found: str, remedy: str) -> Finding:
  return Finding(status="missing", subject=subject, found=found, remedy=remedy)
