"""The Associative LSTM: complex algebra, its equations, its place and its size."""

import numpy as np
import pytest
from keras import ops

from hardmine.schemas.codec_config import CodecConfig
from hardmine.trainers.codec.cells.associative_lstm import (
  AssociativeLSTMCell,
  bound,
  times,
)
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.network.networks import Decoder, Encoder


class TwoCopies(AssociativeLSTMCell):
  copies = 2


def complex_numbers(*shape, seed=0, size=2.0):
  rng = np.random.default_rng(seed)
  return (rng.normal(0, size, (2, *shape))).astype("float32")


def joined(pair):
  real, imaginary = map(np.asarray, pair)
  return real + 1j * imaginary


def test_bound_leaves_what_is_inside_and_puts_the_rest_on_the_circle():
  z = complex_numbers(1000)
  once = bound(*z)
  np.testing.assert_allclose(joined(bound(*once)), joined(once), atol=1e-6)
  lengths = np.abs(joined(z))
  np.testing.assert_allclose(np.abs(joined(once)), np.minimum(lengths, 1), atol=1e-6)
  inside = lengths <= 1
  assert inside.any()
  np.testing.assert_array_equal(joined(once)[inside], joined(z)[inside])


def test_bound_has_a_slope_at_zero():
  import tensorflow as tf

  zero = tf.zeros(3)
  with tf.GradientTape() as tape:
    tape.watch(zero)
    total = tf.reduce_sum(bound(zero, zero)[0])
  np.testing.assert_array_equal(tape.gradient(total, zero), [1, 1, 1])


def test_products_are_those_of_complex_numbers():
  a, b = complex_numbers(50), complex_numbers(50, seed=1)
  np.testing.assert_allclose(joined(times(a, b)), joined(a) * joined(b), atol=1e-5)
  one = (np.ones(50, "float32"), np.zeros(50, "float32"))
  np.testing.assert_array_equal(joined(times(a, one)), joined(a))


@pytest.mark.parametrize("kind", [AssociativeLSTMCell, TwoCopies])
def test_cell_follows_its_equations(kind):
  cell, cells = kind(depth=6, kernel_size=1), 3
  rng, copies = np.random.default_rng(0), kind.copies
  x = rng.normal(size=(1, 2, 2, 5)).astype("float32")
  h = rng.normal(size=(1, 2, 2, 6)).astype("float32")
  memory = complex_numbers(1, 2, 2, copies * cells, seed=2)
  output, (hidden, *new) = cell(x, [ops.convert_to_tensor(s) for s in (h, *memory)])
  w, u, b = (np.asarray(v) for v in cell.trainable_weights)
  np.testing.assert_array_equal(
    b.reshape(9, 3), np.eye(9)[[0, 4, 5]].sum(0)[:, None].repeat(3, 1)
  )
  gates = np.split(x @ w[0, 0] + h @ u[0, 0] + b, 9, axis=-1)
  f, i, o = (1 / (1 + np.exp(-gate)) for gate in gates[:3])
  j, key_in, key_out = (
    z / np.maximum(1, np.abs(z))
    for z in (re + 1j * im for re, im in zip(gates[3:6], gates[6:]))
  )
  order = np.random.RandomState(160602032).permutation(cells)
  orders = [np.arange(cells), order][:copies]
  olds = np.split(joined(memory), copies, axis=-1)
  news = [f * old + key_in[..., p] * (i * j) for old, p in zip(olds, orders)]
  np.testing.assert_allclose(joined(new), np.concatenate(news, -1), atol=1e-5)
  found = np.mean([key_out[..., p] * c for c, p in zip(news, orders)], axis=0)
  read = o * found / np.maximum(1, np.abs(found))
  expected = np.concatenate([read.real, read.imag], -1)
  np.testing.assert_allclose(hidden, expected, atol=1e-5)
  np.testing.assert_array_equal(output, hidden)


def test_it_begins_as_an_lstm_without_tanh():
  cell = AssociativeLSTMCell(depth=4, kernel_size=1)
  x = np.full((1, 1, 1, 2), 0.01, "float32")
  cell(x, cell.initial_states(1, 1, 1))
  w, u, b = cell.get_weights()
  w[..., 8:12] = w[..., 14:] = 0  # keys see nothing: they are 1
  cell.set_weights([w, np.zeros_like(u), b])
  output, _ = cell(x, cell.initial_states(1, 1, 1))
  f, i, o, j_real, _, _, j_imaginary, _, _ = np.split(x @ w[0, 0] + b, 9, axis=-1)
  gate = 1 / (1 + np.exp(-i)) / (1 + np.exp(-o))
  expected = np.concatenate([gate * j_real, gate * j_imaginary], axis=-1)
  np.testing.assert_allclose(output, expected, atol=1e-7)
  assert f.mean() > 0.9  # and remembers


def test_graph_computes_what_the_cell_does_eagerly():
  import tensorflow as tf

  cell = TwoCopies(depth=4, kernel_size=3)
  x = np.random.default_rng(0).normal(size=(2, 4, 4, 3)).astype("float32")
  states = [ops.convert_to_tensor(s) + 0.1 for s in cell.initial_states(2, 4, 4)]
  eager = tf.nest.flatten(cell(x, states))
  graph = tf.nest.flatten(tf.function(lambda x, s: cell(x, s))(x, states))
  assert len(eager) == 4
  for ours, theirs in zip(eager, graph):
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_convolutions_have_four_and_a_half_channels_a_channel_of_the_output():
  width = 1 / 16
  config = CodecConfig(cell=AssociativeLSTMCell, width=width)
  decoder = Decoder(config)
  depths = [cell.depth for cell in decoder.cells]
  assert depths == [32, 32, 16, 8]
  decoder(np.zeros((1, 1, 1, 32), "f4"), decoder.initial_states(1, 1, 1))
  inputs, hidden = [32, 8, 8, 4], [1, 1, 9, 9]
  sizes = [
    int(4.5 * depth) * (9 * reads + side * depth + 1)
    for depth, reads, side in zip(depths, inputs, hidden)
  ]
  plain = 32 * 32 + 2 * 3  # D-Conv#1, and D-Conv#2 behind a depth-to-space
  found = sum(np.asarray(w).size for w in decoder.trainable_weights)
  assert found == sum(sizes) + plain
  assert [type(cell) for cell in Encoder(config).cells] == [ConvLSTMCell] * 3
