"""A file or a database of ML Metadata: which, whose, and what is wrong with it."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from hardmine.pipelines import metadata_store
from hardmine.pipelines.metadata_store import Database, opened, schema_version
from hardmine.pipelines.relocation import require_one_root
from hardmine.pipelines.site import Site
from tests.mysql_server import mysql_server

URL = "mysql://ann:p%40ss@db.example:3307/records"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  with mysql_server(tmp_path_factory.mktemp("mysql")) as server:
    yield server


@pytest.fixture(params=["file", "database"])
def place(request, tmp_path):
  if request.param == "file":
    return str(tmp_path / "metadata.sqlite")
  server = request.getfixturevalue("server")
  with server.connect() as connection, connection.cursor() as cursor:
    cursor.execute("DROP DATABASE IF EXISTS fresh")
  return server.url("fresh")


def config(place: str):
  """As `connection_config`, without TFX, which takes half a minute."""
  from ml_metadata.proto import metadata_store_pb2 as mlmd

  if metadata_store.is_database(place):
    return metadata_store.connection_config(place)
  config = mlmd.ConnectionConfig()
  config.sqlite.filename_uri = place
  config.sqlite.connection_mode = 3
  return config


def test_a_url_is_read_and_shown_without_its_password():
  database = Database.parse(URL)
  assert database == Database("db.example", 3307, "records", "ann", "p@ss")
  assert Database.parse("mysql://ann@h/r?ssl_ca=/a.pem").ssl == (("ssl_ca", "/a.pem"),)
  assert Database.parse("mysql://ann@localhost/r").address == "127.0.0.1"
  for shown in (str(database), repr(database), metadata_store.shown_place(URL)):
    assert "ann" in shown
    assert "p@ss" not in shown
    assert "p%40ss" not in shown


@pytest.mark.parametrize(
  "url",
  [
    "mysql://",
    "mysql://host/records",
    "mysql://ann:secret@host",
    "mysql://ann:secret@host:port/records",
    "mysql://ann:secret@host/records/more",
    "mysql://ann:secret@host/records?sslca=/a.pem",
    "postgresql://ann:secret@host/records",
  ],
)
def test_another_url_is_refused_without_showing_its_password(url):
  with pytest.raises(ValueError, match="mysql://USER:PASSWORD@HOST") as refusal:
    Site(root="root", metadata_place=url)
  assert "secret" not in str(refusal.value)


def test_a_site_knows_whether_its_records_are_its_own(tmp_path):
  assert Site(root="root").has_own_records
  assert Site(root="root", metadata_place=str(tmp_path / "m")).has_own_records
  assert not Site(root="root", metadata_place=URL).has_own_records


@pytest.mark.parametrize(
  ("user", "name", "said"),
  [
    ("hardmine:wrong", "records", "see to user and password"),
    ("hardmine:se%40cret", "secrets", "GRANT ALL ON secrets"),
    ("root", "nowhere", "CREATE DATABASE nowhere|see to user"),
  ],
)
def test_a_database_that_refuses_says_what_to_do(server, user, name, said):
  server.url("records")
  with server.connect() as connection, connection.cursor() as cursor:
    cursor.execute("CREATE DATABASE IF NOT EXISTS secrets")
  url = f"mysql://{user}@127.0.0.1:{server.port}/{name}"
  with pytest.raises(RuntimeError, match=said) as refusal:
    metadata_store.check_database(url)
  assert "wrong" not in str(refusal.value)
  assert "\n" not in str(refusal.value)


def test_a_database_that_is_not_there_is_one_line():
  with pytest.raises(RuntimeError, match="see that it runs and can be reached"):
    metadata_store.check_database("mysql://ann@127.0.0.1:1/records")


def test_records_of_a_newer_version_are_refused_and_left_alone(place):
  assert schema_version(place) is None or place.startswith("mysql")
  store = opened(config(place), place)
  del store
  assert schema_version(place) == 10
  change = "UPDATE MLMDEnv SET schema_version = 99"
  if metadata_store.is_database(place):
    with Database.parse(place).connect() as database, database.cursor() as cursor:
      cursor.execute(change)
  else:
    with closing(sqlite3.connect(place)) as database, database:
      database.execute(change)
  with pytest.raises(RuntimeError, match="by another version of ML Metadata"):
    opened(config(place), place)
  assert schema_version(place) == 99


def test_many_processes_may_be_the_first(place):
  stores, threads = [], []
  for _ in range(6):
    threads.append(
      threading.Thread(target=lambda: stores.append(opened(config(place), place)))
    )
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(stores) == 6
  assert all(store.get_context_types() == [] for store in stores)


HOLDER = """
import sqlite3, sys
holder = sqlite3.connect(sys.argv[1], isolation_level=None)
holder.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
"""


def test_a_locked_file_is_waited_for(tmp_path):
  from ml_metadata.proto.metadata_store_pb2 import ContextType

  place = str(tmp_path / "metadata.sqlite")
  store = opened(config(place), place)
  # A process of its own: locks of one process do not keep it from itself.
  with subprocess.Popen(
    [sys.executable, "-c", HOLDER, place],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as holder:
    assert holder.stdout.readline() == "held\n"
    threading.Timer(1.0, lambda: holder.communicate("go\n")).start()
    assert store.put_context_type(ContextType(name="held")) > 0


def test_a_file_that_stays_locked_names_the_remedy():
  # ML Metadata says this after some 70 s, each time that it is asked.
  said = "Concurrent writes aborted after max number of retries."
  assert metadata_store.is_of_records(said)
  assert "another process holds it. End" in metadata_store.complaint(said, "m.sqlite")
  assert "--metadata mysql://" in metadata_store.complaint(said, "m.sqlite")
  assert "--metadata" not in metadata_store.complaint(said, URL)


def test_a_shared_database_knows_which_root_a_name_belongs_to(place):
  store = opened(config(place), place)
  site = Site(root="s3://bucket/root", metadata_place=URL)
  require_one_root(store, site, "tiny")
  require_one_root(store, site, "tiny")
  other = Site(root="s3://bucket/other", metadata_place=URL)
  with pytest.raises(ValueError, match="'s3://bucket/root', where this database knows"):
    require_one_root(store, other, "tiny")
  require_one_root(store, other, "tiny2")
