"""Files that are whole or not there, on disks that are full."""

import resource

import pytest

from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.files import write_atomically


@pytest.fixture
def almost_full():
  """As if there were a kilobyte left of the disk."""
  before = resource.getrlimit(resource.RLIMIT_FSIZE)
  resource.setrlimit(resource.RLIMIT_FSIZE, (1024, before[1]))
  yield
  resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("durable", [True, False])
def test_a_full_disk_leaves_the_old_file_and_is_told_with_its_name(
  tmp_path, almost_full, durable
):
  path = tmp_path / "a.bin"
  path.write_bytes(b"old")
  with pytest.raises(OSError, match=r"File too large: '.*/a\.bin'"):
    write_atomically(path, bytes(2000), durable=durable)
  assert path.read_bytes() == b"old"
  assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz"])
def test_records_are_whole_or_not_there(tmp_path, almost_full, name):
  noise = bytes(hash((i, "noise")) % 256 for i in range(10_000))
  with pytest.raises(OSError, match=rf"File too large: '.*/{name}'"):
    write_records(tmp_path / name, [noise])
  assert not list(tmp_path.iterdir())


def test_an_error_of_what_is_read_is_not_put_on_the_file(tmp_path):
  def records():
    yield b"x"
    raise ConnectionResetError(104, "Connection reset by peer")

  with pytest.raises(ConnectionResetError) as caught:
    write_records(tmp_path / "a", records())
  assert caught.value.filename is None
  assert not list(tmp_path.iterdir())
