"""TFRecord files: what TensorFlow reads, and damage that is noticed."""

import gzip

import pytest
import tensorflow as tf

from hardmine.components.jobs.tfrecords import read_records, write_records


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("name", ["a.tfrecord", "a.tfrecord.gz"])
def test_records_survive_a_file_and_damage_is_noticed(tmp_path, name, compressed):
  records = [b"", b"x", bytes(range(256)) * 40]
  path = tmp_path / name
  assert write_records(path, records, compressed=compressed) == 3
  assert list(read_records(path)) == records
  compression = "GZIP" if name.endswith(".gz") else None
  dataset = tf.data.TFRecordDataset(str(path), compression_type=compression)
  assert [record.numpy() for record in dataset] == records
  raw = path.read_bytes()
  plain = gzip.decompress(raw) if name.endswith(".gz") else raw
  for position in (3, 9, 14, 20, len(plain) - 2):
    broken = bytearray(plain)
    broken[position] ^= 1
    written = bytes(broken)
    path.write_bytes(gzip.compress(written) if name.endswith(".gz") else written)
    with pytest.raises(RuntimeError, match="make it again"):
      list(read_records(path))
  path.write_bytes(raw[:-10])
  with pytest.raises(RuntimeError, match="make it again"):
    list(read_records(path))


@pytest.mark.parametrize("compressed", [True, False])
def test_a_flipped_bit_of_a_gzip_file_gives_no_other_records(tmp_path, compressed):
  records = [b"", b"x", bytes(range(256))]
  path = tmp_path / "a.gz"
  write_records(path, records, compressed=compressed)
  raw = path.read_bytes()
  noticed = 0
  for place in range(len(raw)):
    broken = bytearray(raw)
    broken[place] ^= 0x10
    path.write_bytes(bytes(broken))
    try:
      found = list(read_records(path))
    except RuntimeError:
      noticed += 1
    else:  # the header has a time and a few bits that nobody reads
      assert found == records
  assert noticed >= len(raw) - 10
