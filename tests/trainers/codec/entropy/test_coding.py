"""Coding by a context model: inverse, exact, and as long as the model says."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import constriction
import numpy as np
import pytest

from hardmine.trainers.codec.entropy import contexts, order
from hardmine.trainers.codec.entropy.coder import CodingError
from hardmine.trainers.codec.entropy.coding import ContextCoder
from hardmine.trainers.codec.entropy.context_model import ContextModel
from tests.trainers.codec.entropy import plain_decoder
from tests.trainers.codec.entropy.small_models import (
  likely_tile,
  small_model,
  small_stage,
)

CODER = ContextCoder(small_model())


def raw_bytes(*grids):
  return [sum(4 * rows * columns for rows, columns in grids)]


def messages(coder, *tiles):
  encoding = coder.encoding(len(tiles[0][0]))
  for codes, gains in tiles:
    encoding.add(codes, gains)
  return encoding.payloads()


def coded(coder, *tiles):
  raw = [
    b"".join(np.packbits(codes[number]).tobytes() for codes, _ in tiles)
    for number in range(len(tiles[0][0]))
  ]
  return [min(pair, key=len) for pair in zip(raw, messages(coder, *tiles))]


@pytest.mark.parametrize("group", [1, 8, 32])
def test_decoding_inverts_coding_for_every_grid(group):
  coder = ContextCoder(small_model(group))
  for grid in [(1, 1), (1, 5), (5, 1), (2, 3), (4, 4), (5, 6)]:
    codes, gains = likely_tile(5, *grid)
    payloads = coded(coder, (codes, gains))
    found = coder.decoding(payloads, raw_bytes(grid) * 5).next(grid, gains)
    np.testing.assert_array_equal(found, codes)
    assert found.dtype == np.uint8


def test_tiles_follow_one_another_in_one_message():
  tiles = [likely_tile(3, *grid) for grid in [(4, 5), (2, 1), (4, 5)]]
  payloads = coded(CODER, *tiles)
  grids = [codes.shape[1:3] for codes, _ in tiles]
  decoding = CODER.decoding(payloads, raw_bytes(*grids) * 3)
  for (codes, gains), grid in zip(tiles, grids):
    np.testing.assert_array_equal(decoding.next(grid, gains), codes)


def test_raw_bits_among_coded_ones_are_known_to_those_behind_them():
  codes, gains = likely_tile(3, 3, 4)
  payloads = coded(CODER, (codes, gains))
  payloads[1] = np.packbits(codes[1]).tobytes()
  decoding = CODER.decoding(payloads, raw_bytes((3, 4)) * 3)
  np.testing.assert_array_equal(decoding.next((3, 4), gains), codes)


def test_fewer_iterations_are_the_beginning_of_more():
  codes, gains = likely_tile(4, 3, 4)
  whole = coded(CODER, (codes, gains))
  assert coded(CODER, (codes[:2], gains[:2])) == whole[:2]


@pytest.mark.parametrize("heights", [None, np.arange(30).reshape(5, 6) % 5])
def test_iterations_one_by_one_are_those_of_all_at_once(heights):
  codes, gains = likely_tile(4, 5, 6)
  at_once, one_by_one = CODER.encoding(4), CODER.encoding(4)
  at_once.add(codes, gains, heights)
  for number in range(4):
    there = slice(number + 1)
    one_by_one.add(codes[there], gains[there], heights, first=number)
    payloads = at_once.payloads()[there]
    assert one_by_one.payloads() == payloads + [b""] * (3 - number)


def test_the_message_is_as_long_as_the_model_says():
  codes, gains = likely_tile(3, 24, 30)
  bits = CODER.cost_bits(codes, gains)
  sizes = [8 * len(one) for one in messages(CODER, (codes, gains))]
  for size, expected in zip(sizes, bits):
    assert expected <= size + 2
    assert size < 1.005 * expected + 64  # and two words at its end


def probabilities_in_whole_numbers(model, codes, gains, iteration):
  """int64 [rows, columns, 32], by the formulas of the module and nothing faster."""
  stage, slot = model.stage_of(iteration)
  rows, columns = codes.shape[1:3]
  signs = np.zeros((len(codes), rows + 4, columns + 4, 32), np.int64)
  signs[:, 2:-2, 2:-2] = 2 * codes.astype(np.int64) - 1
  near, before, within, out = (
    part.astype(np.int64)
    for part in (stage.near, stage.before, stage.within, stage.out)
  )
  found = np.zeros((rows, columns, 32), np.int64)
  for y in range(rows):
    for x in range(columns):
      kind = order.CLASSES[y % 4, x % 4]
      u = stage.bias[slot, kind].astype(np.int64)
      for place in order.KNOWN[kind]:
        dy, dx = order.WINDOW[place]
        u = u + signs[iteration, y + 2 + dy, x + 2 + dx] @ near[32 * place :][:32]
      seen = [
        signs[iteration - 1, y + 2 + dy, x + 2 + dx]
        for dy, dx in order.SQUARE
        if iteration
      ]
      seen += [signs[iteration - k, y + 2, x + 2] for k in (2, 3, 4) if iteration >= k]
      for place, one in enumerate(seen):
        u = u + one @ before[32 * place :][:32]
      for k, gain in enumerate((iteration, max(iteration - 1, 0), 0)):
        u = u + (int(gains[gain]) - 32) * stage.gains[k].astype(np.int64)
      for first in range(0, 32, model.group):
        own = signs[iteration, y + 2, x + 2] * (np.arange(32) < first)
        now = u + own @ within
        rounded = (now + (1 << stage.activation_shift >> 1)) >> stage.activation_shift
        hidden = np.clip(rounded[:-32], 0, stage.top)
        logits = hidden @ out + (now[-32:] << stage.direct_shift)
        places = (logits >> stage.index_shift) + len(model.table) // 2
        chances = model.table[np.clip(places, 0, len(model.table) - 1)]
        found[y, x, first : first + model.group] = chances[first : first + model.group]
  return found


@pytest.mark.parametrize("group", [4, 16])
def test_float32_gives_what_whole_numbers_give(group):
  model = small_model(group)
  codes, gains = likely_tile(6, 6, 7)
  planes = contexts.Planes.of(codes)
  for iteration in (0, 1, 2, 5):
    found = np.zeros((*planes.signs.shape[1:],), np.int64)

    def note(chances, places, channels, found=found, iteration=iteration):
      found[places, channels] = chances
      return planes.signs[iteration][places, channels] > 0

    ContextCoder(model)._probabilities.iteration(planes, (6, 7), iteration, gains, note)
    inner = found.reshape(-1, planes.stride, 32)[2:-2, 2:-2]
    expected = probabilities_in_whole_numbers(model, codes, gains, iteration)
    np.testing.assert_array_equal(inner, expected)
    assert len(np.unique(inner)) > 20  # the model has opinions


def test_any_number_of_threads_codes_alike():
  """Products of one size are split among threads differently."""
  script = (
    "import hashlib; from tests.trainers.codec.entropy import test_coding as t\n"
    "data = b''.join(t.coded(t.CODER, t.likely_tile(2, 64, 70)))\n"
    "print(hashlib.sha256(data).hexdigest())"
  )
  root = Path(__file__).parents[4]
  found = {
    subprocess.run(
      [sys.executable, "-c", script],
      cwd=root,
      env={**os.environ, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
      check=True,
      capture_output=True,
      text=True,
    ).stdout
    for threads in ("1", "2")
  }
  assert len(found) == 1


def test_models_survive_their_file(tmp_path):
  model = small_model()
  model.save(tmp_path / "entropy.npz")
  again = ContextModel.load(tmp_path / "entropy.npz")
  assert again.entropy_id == model.entropy_id != small_model(4).entropy_id
  tiled = likely_tile(3, 3, 4)
  assert coded(ContextCoder(again), tiled) == coded(CODER, tiled)


def test_ids_follow_every_number():
  model = small_model()
  ids = {model.entropy_id}
  for name in ("bias", "near", "before", "gains", "within", "out"):
    changed = getattr(model.stages[0], name).copy()
    changed.flat[-1] += 1
    stage = dataclasses.replace(model.stages[0], **{name: changed})
    ids.add(dataclasses.replace(model, stages=(stage, *model.stages[1:])).entropy_id)
  table = model.table.copy()
  table[0] += 1
  ids.add(dataclasses.replace(model, table=table).entropy_id)
  assert len(ids) == 8


@pytest.mark.parametrize(
  ("name", "value"),
  [
    ("out", np.full((8, 32), 32767, np.int16)),
    ("near", np.full((768, 40), 32767, np.int16)),
    ("bias", np.full((1, 6, 40), 1 << 24, np.int32)),
    ("direct_shift", 24),
    ("activation_shift", -1),
    ("index_shift", 1 << 30),
    ("top", -1),
    ("near", np.zeros((768, 40), np.float32)),
    ("within", np.zeros((31, 40), np.int16)),
  ],
)
def test_weights_whose_sums_float32_cannot_hold_are_refused(name, value):
  with pytest.raises(ValueError, match="Expected"):
    dataclasses.replace(small_stage(1, 1), **{name: value})


@pytest.mark.parametrize("table", [np.zeros(4, np.uint16), np.ones(3, np.uint16)])
def test_tables_that_leave_a_bit_without_a_chance_are_refused(table):
  with pytest.raises(ValueError, match="table"):
    dataclasses.replace(small_model(), table=table)


def test_other_files_are_no_models(tmp_path):
  path = tmp_path / "entropy.npz"
  with pytest.raises(ValueError, match="exists"):
    ContextModel.load(path)
  for content in (b"", b"PK\x03\x04", bytes(100)):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="Expected an entropy model"):
      ContextModel.load(path)


def test_bytes_that_nobody_coded_give_bits_or_one_line():
  rng = np.random.default_rng(0)
  for size in (0, 1, 4, 44):
    payload = rng.bytes(size)
    with contextlib.suppress(CodingError):
      decoding = CODER.decoding([payload], raw_bytes((3, 4)))
      codes = decoding.next((3, 4), np.zeros(1, np.uint8))
      assert codes.shape == (1, 3, 4, 32)


def as_lists(model):
  names = ("bias", "near", "before", "gains", "within", "out")
  numbers = ("activation_shift", "top", "direct_shift", "index_shift")
  return {
    "group": model.group,
    "table": model.table.tolist(),
    "stages": [
      {name: getattr(stage, name).tolist() for name in names}
      | {name: getattr(stage, name) for name in numbers}
      for stage in model.stages
    ],
  }


def test_the_format_as_its_page_tells_it_decodes():
  """By a decoder of whole numbers that shares no line with ours."""
  grid = (5, 6)
  codes, gains = likely_tile(4, *grid)
  payloads = messages(CODER, (codes, gains))
  payloads[2] = np.packbits(codes[2]).tobytes()
  raw = [False, False, True, False]
  planes = plain_decoder.decode(
    as_lists(CODER.model), payloads, raw, grid, gains.tolist()
  )
  found = [
    [[plane[row, column] for column in range(grid[1])] for row in range(grid[0])]
    for plane in planes
  ]
  np.testing.assert_array_equal(np.array(found) > 0, codes > 0)


@pytest.mark.parametrize("chance", [1, 2, 1000, 32768, 65534, 65535])
def test_the_range_coder_is_the_one_that_the_page_tells(chance):
  """Also where it carries, and with chances as slim as there are."""
  rng = np.random.default_rng(chance)
  bits = rng.random(3000) < max(chance / 65536, 0.01)
  chances = np.full(3000, chance, np.uint16)
  chances[::7] = 65536 - chance
  encoder = constriction.stream.queue.RangeEncoder()
  encoder.encode(
    bits.astype(np.int32),
    constriction.stream.model.Bernoulli(perfect=False),
    chances / 65536.0,
  )
  message = encoder.get_compressed().astype("<u4").tobytes()
  decoder = plain_decoder.RangeDecoder(message)
  assert [decoder.bit(int(one)) for one in chances] == bits.tolist()
