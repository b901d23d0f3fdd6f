"""Where ML Metadata keeps what ran: a SQLite file, or a MySQL database that many share.

SQLite is for one machine. Nodes that run on several need a database:

    mysql://USER:PASSWORD@HOST:PORT/DATABASE?ssl_ca=FILE&ssl_cert=FILE&ssl_key=FILE
"""

from __future__ import annotations

import dataclasses
import os
import random
import re
import sqlite3
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from hardmine.schemas.config import require
from hardmine.schemas.uris import absolute, is_url

if TYPE_CHECKING:
  import pymysql
  from ml_metadata import MetadataStore
  from ml_metadata.proto.metadata_store_pb2 import ConnectionConfig

SCHEME = "mysql://"
DEFAULT_PORT = 3306
_FORM = "mysql://USER:PASSWORD@HOST:PORT/DATABASE"
_SSL = ("ssl_ca", "ssl_cert", "ssl_key")
_CONNECT_SECONDS = 10
# ML Metadata waits 2 s on average before it asks a busy database again.
_MAX_RETRIES = 30
WAIT_SECONDS = 60.0
_BUSY = re.compile("Concurrent writes|database is locked|subset of tables")
_FULL = "database or disk is full"
_PASSES = re.compile(
  f"{_BUSY.pattern}|Can't connect|gone away|Lost connection|server shutdown", re.I
)
# As long as MySQL allows: its usual eight hours are shorter than a training.
_IDLE_SECONDS = 31_536_000


@dataclasses.dataclass(frozen=True)
class Database:
  """A MySQL database, MariaDB included.

  Attributes:
    host: a name or address.
    port: of the server.
    name: of the database, which is there already.
    user: who may make tables in it.
    password: empty where none is needed.
    ssl: `ssl_ca`, `ssl_cert`, `ssl_key` to paths of PEM files, those there are.
  """

  host: str
  port: int
  name: str
  user: str
  password: str = dataclasses.field(default="", repr=False)
  ssl: tuple[tuple[str, str], ...] = ()

  @classmethod
  def parse(cls, url: str) -> Database:
    """Reads a URL of the form that this module's head shows.

    Raises:
      ValueError: it is of another form; the message shows no password.
    """
    parts = urllib.parse.urlsplit(url)
    try:
      port = parts.port or DEFAULT_PORT
    except ValueError:
      port = 0
    name = urllib.parse.unquote(parts.path[1:])
    options = urllib.parse.parse_qsl(parts.query, keep_blank_values=True)
    strange = [key for key, _ in options if key not in _SSL]
    fits = parts.hostname and port and parts.username and name and "/" not in name
    if not fits or strange or parts.fragment:
      raise ValueError(f"Expected {_FORM}. Received: metadata={_without_password(url)}")
    return cls(
      host=str(parts.hostname),
      port=port,
      name=name,
      user=urllib.parse.unquote(parts.username or ""),
      password=urllib.parse.unquote(parts.password or ""),
      ssl=tuple(options),
    )

  def __str__(self) -> str:
    return f"{SCHEME}{self.user}@{self.host}:{self.port}/{self.name}"

  @property
  def address(self) -> str:
    """The host; ML Metadata's client would look for a socket of `localhost`."""
    return "127.0.0.1" if self.host == "localhost" else self.host

  def connect(self) -> pymysql.Connection:
    """A connection that stays open for as long as it is not closed.

    Raises:
      ModuleNotFoundError: pymysql is not installed.
      RuntimeError: there is no such database, or it does not let us in.
    """
    import pymysql

    try:
      return pymysql.connect(
        host=self.address,
        port=self.port,
        user=self.user,
        password=self.password,
        database=self.name,
        connect_timeout=_CONNECT_SECONDS,
        autocommit=True,
        init_command=f"SET SESSION wait_timeout={_IDLE_SECONDS}",
        **dict(self.ssl),  # type: ignore[arg-type]
      )
    except (pymysql.MySQLError, OSError) as error:
      raise RuntimeError(self._complaint(error)) from error

  def _complaint(self, error: Exception) -> str:
    code = error.args[0] if error.args else 0
    said = error.args[1] if len(error.args) > 1 else error
    remedy = {
      1045: "see to user and password",
      1044: f"GRANT ALL ON {self.name}.* to that user",
      1049: f"CREATE DATABASE {self.name}",
    }.get(code, "see that it runs and can be reached from here")
    return f"the database {self} cannot be used ({said}): {remedy}"

  def connection_config(self) -> ConnectionConfig:
    """TFX's connection."""
    from ml_metadata.proto import metadata_store_pb2 as mlmd

    config = mlmd.MySQLDatabaseConfig(
      host=self.address,
      port=self.port,
      database=self.name,
      user=self.user,
      password=self.password,
      skip_db_creation=True,
    )
    for key, path in self.ssl:
      setattr(config.ssl_options, key.removeprefix("ssl_"), path)
    return mlmd.ConnectionConfig(mysql=config)


def is_database(place: str | None) -> bool:
  """Whether a place of ML Metadata is a database, not a file."""
  return place is not None and place.startswith(SCHEME)


def checked_place(place: str) -> str:
  """A file's absolute path, a database's URL as it is.

  Raises:
    ValueError: another URL, or one that is not well formed.
  """
  if is_database(place):
    Database.parse(place)
    return place
  path = absolute(place)
  shown = _without_password(place)
  require(not is_url(path), f"a local path or {_FORM}", metadata=shown)
  return path


def connection_config(place: str) -> ConnectionConfig:
  """TFX's connection to a file or a database, patient where others are at work.

  Args:
    place: as `checked_place` gives it.
  """
  if is_database(place):
    config = Database.parse(place).connection_config()
  else:
    from tfx import v1 as tfx

    config = tfx.orchestration.metadata.sqlite_metadata_connection_config(place)
  config.retry_options.max_num_retries = _MAX_RETRIES
  return config


def opened(
  config: ConnectionConfig, place: str, *, wait_seconds: float = WAIT_SECONDS
) -> MetadataStore:
  """ML Metadata, with its tables made where there were none.

  Args:
    config: of `connection_config`.
    place: for messages.
    wait_seconds: the longest wait for others that write, or for a database that does
      not answer.

  Raises:
    RuntimeError: it cannot be used, or other versions of ML Metadata wrote it.
  """
  from ml_metadata import MetadataStore, errors

  deadline = time.monotonic() + wait_seconds
  while True:
    try:
      return MetadataStore(config)
    except (RuntimeError, errors.StatusError) as error:
      passes = _PASSES.search(str(error)) and "Unknown database" not in str(error)
      if not passes or time.monotonic() > deadline:
        raise RuntimeError(complaint(str(error), place)) from error
      time.sleep(0.5 + random.random())  # or those that wait would meet again


def complaint(said: str, place: str) -> str:
  """What is wrong with ML Metadata and what to do, in one line.

  Args:
    said: by ML Metadata.
    place: where it is.
  """
  if _FULL in said:
    return (
      f"{shown_place(place)} cannot be written, as its disk is full: make room there"
    )
  line = f"{shown_place(place)} cannot be used: {' '.join(said.split())[:400]}"
  if "library version" in said or "schema_version" in said:
    return (
      f"{line}: it was written by another version of ML Metadata. Use the lane of "
      "Hardmine that wrote it, or choose another --metadata"
    )
  if _BUSY.search(said) and not is_database(place):
    return (
      f"{line}: another process holds it. End that one, or keep the records of many "
      f"processes in a database: --metadata {_FORM}"
    )
  return line


def is_of_records(said: str) -> bool:
  """Whether an error of a node came from records: held by others, gone, or full."""
  return _FULL in said or bool(_PASSES.search(said))


def check_database(place: str) -> None:
  """Reaches a database and looks at who wrote it, before TFX is imported.

  Raises:
    RuntimeError: it cannot be reached.
  """
  Database.parse(place).connect().close()


def schema_version(place: str) -> int | None:
  """The version of ML Metadata's tables; None where it has made none yet.

  Raises:
    RuntimeError: the file or database cannot be read.
  """
  query = "SELECT schema_version FROM MLMDEnv"
  if is_database(place):
    import pymysql

    connection = Database.parse(place).connect()
    try:
      with connection, connection.cursor() as cursor:
        cursor.execute(query)
        row: Any = cursor.fetchone()
    except pymysql.ProgrammingError:  # no such table
      return None
  elif not os.path.exists(place):
    return None
  else:
    uri = f"file:{urllib.parse.quote(place)}?mode=ro"
    try:
      database = sqlite3.connect(uri, uri=True, timeout=_CONNECT_SECONDS)
      try:
        row = database.execute(query).fetchone()
      finally:
        database.close()
    except sqlite3.OperationalError as error:
      if "no such table" in str(error):
        return None
      raise RuntimeError(f"{place} cannot be read: {error}") from error
    except sqlite3.DatabaseError as error:
      raise RuntimeError(f"{place} is damaged ({error})") from error
  return int(row[0]) if row else None


def shown_place(place: str) -> str:
  """A place as it may be written into logs."""
  return str(Database.parse(place)) if is_database(place) else place


def _without_password(url: str) -> str:
  head, at, tail = url.rpartition("@")
  if not at:
    return url
  scheme, _, user = head.rpartition("//")
  return f"{scheme}//{user.partition(':')[0]}@{tail}"
