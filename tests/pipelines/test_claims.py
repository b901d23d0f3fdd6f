"""Two processes are never at the same work, beside a file and beside a database."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest

from hardmine.pipelines.claims import claim
from hardmine.pipelines.site import Site
from tests.mysql_server import mysql_server


@pytest.fixture(scope="module")
def server(tmp_path_factory):
  with mysql_server(tmp_path_factory.mktemp("mysql")) as server:
    yield server


@pytest.fixture(params=["file", "database"])
def site(request, tmp_path):
  place = None
  if request.param == "database":
    place = request.getfixturevalue("server").url("records")
  return Site(root=str(tmp_path / uuid.uuid4().hex), metadata_place=place)


def held(site: Site, work: str, say=print, wait_seconds: float = 0.0):
  return claim(site, work, what=work, say=say, wait_seconds=wait_seconds)


HOLDER = """
import sys
from hardmine.pipelines.claims import claim
from hardmine.pipelines.site import Site
site = Site(root=sys.argv[1], metadata_place=sys.argv[2] or None)
with claim(site, "work", what="work", say=print):
  print("held", flush=True)
  sys.stdin.readline()
"""


@pytest.fixture
def holder(site):
  """Another process that holds a claim on `work`."""
  with subprocess.Popen(
    [sys.executable, "-c", HOLDER, site.root, site.metadata_place or ""],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()


def test_work_has_one_process_and_other_work_is_free(site, holder):
  lines = []
  with (
    pytest.raises(RuntimeError, match="another process has been at work for 1 s"),
    held(site, "work", lines.append, wait_seconds=1.2),
  ):
    pass
  assert lines == ["another process is at work; waiting for it"]
  with held(site, "other work", lines.append):
    pass
  elsewhere = dataclasses.replace(site, root=f"{site.root}-2")
  with held(elsewhere, "work", lines.append):
    pass
  assert len(lines) == 1


def test_a_root_by_another_name_is_the_same_root(tmp_path):
  site = Site(root=str(tmp_path / "root"))
  os.mkdir(site.root)
  os.symlink(site.root, tmp_path / "link")
  link = Site(root=str(tmp_path / "link"))
  with held(site, "work"):
    refused = pytest.raises(RuntimeError, match="another process has been at work")
    with refused, held(link, "work"):
      pass


def let_go(holder):
  holder.stdin.write("go\n")
  holder.stdin.flush()


@pytest.mark.parametrize("end", [let_go, subprocess.Popen.kill], ids=["let_go", "kill"])
def test_a_process_that_ends_lets_go_however_it_ends(site, holder, end):
  lines = []
  end(holder)
  start = time.monotonic()
  with held(site, "work", lines.append, wait_seconds=60.0):
    pass
  assert time.monotonic() - start < 30.0


def test_an_error_inside_lets_go(site):
  with pytest.raises(KeyError), held(site, "work"):
    raise KeyError
  with held(site, "work"):
    pass


def test_a_claim_outlives_the_idle_time_of_a_server(server, tmp_path):
  """Eight hours by default; a training takes longer."""
  site = Site(root=str(tmp_path), metadata_place=server.url("records"))
  with server.connect() as connection, connection.cursor() as cursor:
    cursor.execute("SET GLOBAL wait_timeout=1")
  try:
    with held(site, "work"):
      time.sleep(2.5)
      with pytest.raises(RuntimeError, match="has been at work"), held(site, "work"):
        pass
  finally:
    with server.connect() as connection, connection.cursor() as cursor:
      cursor.execute("SET GLOBAL wait_timeout=28800")


def test_a_database_that_goes_away_is_one_line_for_who_waits(tmp_path):
  folder = tmp_path / "s"
  folder.mkdir()
  with mysql_server(folder) as server:
    site = Site(root=str(tmp_path / "r"), metadata_place=server.url("records"))
    with held(site, "work"):  # whose own end harms nothing
      server.stop(signal.SIGKILL)
    refused = pytest.raises(RuntimeError, match=r"hardmine@127.0.0.1.* cannot be used")
    with refused, held(site, "work"):
      pass
    server.start()
    with held(site, "work"):
      pass
  assert os.listdir(tmp_path) == ["s"]
