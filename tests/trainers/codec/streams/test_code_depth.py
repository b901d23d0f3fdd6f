"""Streams of 16 bits a position, as the networks of 2015 send them."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.trainers.codec.streams import bitstream, rates
from hardmine.trainers.codec.streams.stream_header import pack_header, read_header
from hardmine.trainers.codec.streams.tiling import Tiling

HEADER = bitstream.Header(
  model_id=bytes(range(8)),
  height_px=40,
  width_px=50,
  padding_px=16,
  iterations=3,
  code_depth=16,
)


def codes_of(header, seed=0):
  shape = (header.iterations, *header.grid, header.code_depth)
  return np.random.default_rng(seed).integers(0, 2, shape, np.uint8)


@settings(max_examples=20, deadline=None)
@given(
  height_px=st.integers(1, 70),
  width_px=st.integers(1, 70),
  padding_px=st.sampled_from([16, 32]),
)
def test_unpack_inverts_pack_at_half_the_bits(height_px, width_px, padding_px):
  header = dataclasses.replace(
    HEADER, height_px=height_px, width_px=width_px, padding_px=padding_px
  )
  codes = codes_of(header)
  data = bitstream.pack(header, codes)
  stream = bitstream.unpack(data)
  assert stream.header == header
  assert header.version == 4
  np.testing.assert_array_equal(stream.codes, codes)
  rows, columns = header.grid
  assert header.payload_bytes == rows * columns * 2
  assert len(data) == rates.size_bytes(
    height_px, width_px, padding_px, 3, code_depth=16
  )


def test_every_beginning_is_a_file_and_every_cut_is_told():
  data = bitstream.pack(HEADER, codes_of(HEADER))
  sizes = bitstream.prefix_bytes(data)
  for iterations, size in enumerate(sizes, start=1):
    part = bitstream.cut(data, iterations)
    assert len(part) == size
    np.testing.assert_array_equal(
      bitstream.unpack(part).codes, codes_of(HEADER)[:iterations]
    )
  for end in range(sizes[0], len(data)):
    assert bitstream.unpack(data[:end]).note
  for end in range(sizes[0]):
    with pytest.raises(bitstream.BitstreamError):
      bitstream.unpack(data[:end])


def test_rates_count_half():
  assert rates.iteration_bits(64, 64, 16, code_depth=16) == 16 * 16


def test_tiles_have_it_too():
  header = dataclasses.replace(
    HEADER, tiling=Tiling(tile_px=32, overlap_px=0), sends_gains=True
  )
  assert read_header(pack_header(header)) == header


@pytest.mark.parametrize(
  "fields",
  [{"code_depth": 8}, {"entropy_level": 1, "entropy_id": bytes(range(8))}],
)
def test_other_depths_and_coded_ones_are_refused(fields):
  with pytest.raises(ValueError, match="bits a position"):
    dataclasses.replace(HEADER, **fields)


def test_codes_of_another_depth_are_refused():
  with pytest.raises(ValueError, match=r"\[3, 3, 4, 16\]"):
    bitstream.pack(HEADER, np.zeros((3, 3, 4, 32), np.uint8))
