"""MariaDB of this machine, in a folder of its own, for as long as a test needs it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

_SERVER = next(
  (p for p in ("/usr/sbin/mariadbd", "/usr/sbin/mysqld") if os.path.exists(p)), None
)
_INSTALL = shutil.which("mariadb-install-db")
_START_SECONDS = 60


@dataclasses.dataclass
class Server:
  """A server that can be stopped, killed and started again on the same port."""

  folder: Path
  port: int
  process: subprocess.Popen | None = None

  def url(
    self, database: str, user: str = "hardmine", password: str = "se@cret"
  ) -> str:
    """A database's URL, made where it is not there."""
    with self.connect() as connection, connection.cursor() as cursor:
      cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
      cursor.execute(f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}'")
      cursor.execute(f"GRANT ALL ON {database}.* TO {user}")
    quoted = password.replace("@", "%40")
    return f"mysql://{user}:{quoted}@127.0.0.1:{self.port}/{database}"

  def connect(self) -> pymysql.Connection:
    """As who may do anything."""
    return pymysql.connect(unix_socket=str(self.folder / "s"), user="root")

  def start(self) -> None:
    """Starts it, and waits until it answers."""
    log = open(self.folder / "log", "ab")  # noqa: SIM115 - the server's from now on
    self.process = subprocess.Popen(
      [
        str(_SERVER),
        "--no-defaults",
        f"--datadir={self.folder / 'data'}",
        f"--socket={self.folder / 's'}",
        f"--pid-file={self.folder / 'pid'}",
        f"--port={self.port}",
        "--bind-address=127.0.0.1",
        "--skip-name-resolve",
        "--innodb-flush-log-at-trx-commit=2",
        *(["--user=root"] if os.getuid() == 0 else []),
      ],
      stdout=log,
      stderr=log,
    )
    log.close()
    deadline = time.monotonic() + _START_SECONDS
    while True:
      try:
        self.connect().close()
        return
      except pymysql.MySQLError:
        if time.monotonic() > deadline or self.process.poll() is not None:
          raise RuntimeError((self.folder / "log").read_text()[-2000:]) from None
        time.sleep(0.1)

  def stop(self, number: int = signal.SIGTERM) -> None:
    """Ends it by a signal, and waits for that."""
    if self.process is not None:
      self.process.send_signal(number)
      self.process.wait()
      self.process = None


@contextlib.contextmanager
def mysql_server(folder: Path) -> Iterator[Server]:
  """Starts one; the test is skipped where MariaDB is not installed."""
  if _SERVER is None or _INSTALL is None:
    pytest.skip("no MariaDB: apt-get install mariadb-server-core mariadb-client-core")
  user = ["--user=root"] if os.getuid() == 0 else []
  subprocess.run(
    [
      _INSTALL,
      "--no-defaults",
      f"--datadir={folder / 'data'}",
      "--auth-root-authentication-method=normal",
      "--skip-test-db",
      *user,
    ],
    check=True,
    capture_output=True,
  )
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
  server = Server(folder, port)
  server.start()
  try:
    yield server
  finally:
    server.stop(signal.SIGKILL)
