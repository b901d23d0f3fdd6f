"""`hardmine inspect`: whole, cut, damaged and foreign files."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hardmine.pipelines.cli.main import main
from hardmine.trainers.codec.entropy.coding import ContextCoder
from hardmine.trainers.codec.streams import packing
from hardmine.trainers.codec.streams.bitstream import Header, pack, pack_tiles
from tests.trainers.codec.entropy.small_models import likely_tile, small_model


@pytest.fixture
def data():
  header = Header(
    model_id=bytes.fromhex("0123456789abcdef"),
    height_px=20,
    width_px=40,
    padding_px=16,
    iterations=3,
  )
  codes = np.random.default_rng(0).integers(0, 2, (3, *header.grid, 32), np.uint8)
  return pack(header, codes)


def inspect(tmp_path, capsys, data):
  path = tmp_path / "photo.hmc"
  path.write_bytes(data)
  status = main(["inspect", str(path), "--json"])
  return status, json.loads(capsys.readouterr().out)


def test_a_whole_file_is_described(tmp_path, capsys, data):
  status, facts = inspect(tmp_path, capsys, data)
  assert status == 0
  del facts["file"]
  assert facts == {
    "file_bytes": 28 + 3 * (8 + 2 * 3 * 4),
    "bits_per_pixel": 8 * (28 + 3 * 32) / (20 * 40),
    "state": "complete",
    "format_version": 1,
    "model_id": "0123456789abcdef",
    "entropy_level": 0,
    "width_px": 40,
    "height_px": 20,
    "padding_px": 16,
    "iterations": 3,
    "iteration_bytes": 32,
    "whole_iterations": 3,
    "damaged_iterations": [],
    "missing_iterations": [],
    "missing_bytes": 0,
    "trailing_bytes": 0,
  }


def test_people_read_the_same_facts(tmp_path, capsys, data):
  path = tmp_path / "photo.hmc"
  path.write_bytes(data)
  assert main(["inspect", str(path)]) == 0
  out = capsys.readouterr().out
  assert "0123456789abcdef" in out
  assert "complete" in out


@pytest.mark.parametrize(
  ("length", "missing", "told"),
  [
    (123, [3], "cut after 123 of 124 bytes: iterations 3 of 3 are missing"),
    (92, [3], "the first 2 still decode"),
    (91, [2, 3], "iterations 2 to 3 of 3"),
    (28, [1, 2, 3], "nothing can be decoded"),
  ],
)
def test_a_cut_file_exits_with_1_and_says_what_is_missing(
  tmp_path, capsys, data, length, missing, told
):
  path = tmp_path / "photo.hmc"
  path.write_bytes(data[:length])
  assert main(["inspect", str(path), "--json"]) == 1
  out, err = capsys.readouterr()
  facts = json.loads(out)
  assert (facts["state"], facts["missing_iterations"]) == ("cut", missing)
  assert facts["missing_bytes"] == len(data) - length
  assert facts["whole_iterations"] == 3 - len(missing)
  assert told in err
  assert err.count("\n") == 1


def test_several_files_are_looked_at_whatever_is_wrong_with_one(tmp_path, capsys, data):
  names = [str(tmp_path / f"{number}.hmc") for number in range(4)]
  contents = (data, b"no stream", data[:-1])
  for name, content in zip(names, contents):
    (tmp_path / name).write_bytes(content)
  assert main(["inspect", *names, "--json"]) == 1
  out, err = capsys.readouterr()
  found = json.loads(out)
  assert found["failed"] == 3
  states = [one.get("state", "error") for one in found["results"]]
  assert states == ["complete", "error", "cut", "error"]
  assert err.count("\n") == 3
  assert main(["inspect", names[0], names[0]]) == 0
  assert capsys.readouterr().out.count("complete") == 2
  assert main(["inspect", names[0], names[1]]) == 2


def test_a_file_without_a_whole_iteration_is_of_no_use(tmp_path, capsys, data):
  for length in (28, 28 + 31):
    path = tmp_path / "photo.hmc"
    path.write_bytes(data[:length])
    assert main(["inspect", str(path), "--json"]) == 1
    out, err = capsys.readouterr()
    facts = json.loads(out)
    assert (facts["state"], facts["whole_iterations"]) == ("cut", 0)
    assert "nothing can be decoded" in err
    assert err.count("\n") == 1


def test_gains_that_no_encoder_sends_are_damage(tmp_path, capsys, monkeypatch):
  header = Header(
    model_id=bytes(8),
    height_px=16,
    width_px=16,
    padding_px=16,
    iterations=2,
    sends_gains=True,
  )
  codes = np.zeros((2, 1, 1, 32), np.uint8)
  gains = np.array([63, 64], np.uint8)
  with monkeypatch.context() as patch:
    patch.setattr(packing, "MAX_GAIN", 255)
    data = pack(header, codes, gains)
  status, facts = inspect(tmp_path, capsys, data)
  assert (status, facts["state"], facts["damaged_iterations"]) == (1, "damaged", [2])


def test_every_damaged_iteration_is_named(tmp_path, capsys, data):
  damaged = bytearray(data)
  damaged[28 + 20] ^= 1
  damaged[28 + 2 * 32 + 5] ^= 128
  status, facts = inspect(tmp_path, capsys, bytes(damaged))
  assert (status, facts["state"]) == (1, "damaged")
  assert (facts["damaged_iterations"], facts["whole_iterations"]) == ([1, 3], 1)


def test_bytes_behind_the_end_are_damage(tmp_path, capsys, data):
  status, facts = inspect(tmp_path, capsys, data + b"ab")
  assert (status, facts["state"], facts["trailing_bytes"]) == (1, "damaged", 2)


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff\xe0 a JPEG", b"\x89HMC\x02"])
def test_other_files_are_refused_in_one_line(tmp_path, capsys, content):
  path = tmp_path / "photo.hmc"
  path.write_bytes(content)
  assert main(["inspect", str(path)]) == 2
  err = capsys.readouterr().err
  assert str(path) in err
  assert err.count("\n") == 1


def test_a_missing_file_is_a_failure(tmp_path, capsys):
  assert main(["inspect", str(tmp_path / "none.hmc")]) == 1
  assert "none.hmc: No such file" in capsys.readouterr().err


def test_what_lies_beside_the_picture_is_named(tmp_path, capsys):
  codes = np.zeros((2, 1, 2, 32), np.uint8)
  header = Header(
    model_id=bytes(8), height_px=9, width_px=20, padding_px=16, iterations=2
  )
  whole = pack_tiles(header, [(codes, None)], {"metadata": b"m" * 70})
  damaged = whole[:50] + b"?" + whole[51:]
  for content, status, state, told in (
    (whole, 0, "complete", "70 bytes"),
    (damaged, 1, "damaged", "damaged"),
    (whole[:60], 1, "cut", "cut"),
    (whole + b"x", 1, "damaged", "70 bytes"),
  ):
    (tmp_path / "a.hmc").write_bytes(content)
    assert main(["inspect", str(tmp_path / "a.hmc"), "--json"]) == status
    facts = json.loads(capsys.readouterr().out)
    assert (facts["state"], facts["metadata"]) == (state, told)


def test_coded_iterations_are_listed_with_their_sizes(tmp_path, capsys):
  coder = ContextCoder(small_model())
  tile = likely_tile(2, 4, 5)
  header = Header(
    model_id=bytes(8),
    height_px=64,
    width_px=80,
    padding_px=16,
    iterations=2,
    sends_gains=True,
  )
  stream = pack_tiles(header, [tile], {}, coder)
  status, facts = inspect(tmp_path, capsys, stream)
  assert (status, facts["entropy_level"]) == (0, 1)
  assert facts["entropy_id"] == coder.entropy_id.hex()
  sizes = facts["bytes_by_iteration"]
  assert len(stream) == 40 + sum(sizes)
  assert max(sizes) < facts["iteration_bytes"]
  assert main(["inspect", str(tmp_path / "photo.hmc")]) == 0
  assert ", ".join(map(str, sizes)) in capsys.readouterr().out
  status, facts = inspect(tmp_path, capsys, stream[:-1])
  assert (status, facts["state"], facts["whole_iterations"]) == (1, "cut", 1)
