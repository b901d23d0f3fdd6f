"""Graphs say the same after they were rewritten."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from hardmine.trainers.onnx_blocks import in_blocks
from hardmine.trainers.onnx_gates import split_gates
from hardmine.trainers.onnx_half import is_exact_in_half, stored_in_half
from hardmine.trainers.onnx_layout import FIRST, LAST, channels_first
from hardmine.trainers.runtime.choice import open_graph

onnx = pytest.importorskip("onnx")

DEPTH = 16
RNG = np.random.default_rng(0)
KERNEL = RNG.normal(size=(2 * DEPTH, DEPTH, 3, 3)).astype(np.float32)
BIAS = RNG.normal(size=2 * DEPTH).astype(np.float32)


def node(kind, inputs, outputs, **attributes):
  return onnx.helper.make_node(kind, inputs, outputs, **attributes)


def cell(last):
  """h + z.(c - h) with z and c of one convolution of x, and h in the same layout."""
  axis = 3 if last else 1
  bias = BIAS if last else BIAS.reshape(-1, 1, 1)
  nodes = [
    *([node("Transpose", ["x"], ["x_first"], perm=FIRST)] if last else []),
    node(
      "Conv",
      ["x_first" if last else "x", "kernel"],
      ["made_first" if last else "made"],
      pads=[1, 1, 1, 1],
    ),
    *([node("Transpose", ["made_first"], ["made"], perm=LAST)] if last else []),
    node("Add", ["made", "bias"], ["gates"]),
    node("Split", ["gates"], ["update", "candidate"], axis=axis),
    node("Sigmoid", ["update"], ["z"]),
    node("Tanh", ["candidate"], ["c"]),
    node("Sub", ["c", "h"], ["difference"]),
    node("Mul", ["z", "difference"], ["step"]),
    node("Add", ["h", "step"], ["new_h"]),
    node("ReduceMean", ["new_h"], ["mean"], axes=[1, 2, 3], keepdims=0),
    # of all axes alike, so that it keeps its transpositions
    node("CumSum", ["new_h", "axis"], ["summed"]),
  ]
  shape = [1, None, None, DEPTH] if last else [1, DEPTH, None, None]
  info = onnx.helper.make_tensor_value_info
  graph = onnx.helper.make_graph(
    nodes,
    "cell",
    [info(name, 1, shape) for name in ("x", "h", "unused")],
    [info("new_h", 1, shape), info("mean", 1, [1]), info("summed", 1, shape)],
    [
      onnx.numpy_helper.from_array(KERNEL, "kernel"),
      onnx.numpy_helper.from_array(bias, "bias"),
      onnx.numpy_helper.from_array(np.array(2), "axis"),
    ],
  )
  opset = onnx.helper.make_opsetid("", 17)
  return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8)


def answers(model, **inputs):
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), providers=["CPUExecutionProvider"]
  )
  known = {one.name for one in session.get_inputs()}
  return session.run(None, {k: v for k, v in inputs.items() if k in known})


def kinds(model):
  return [node.op_type for node in model.graph.node]


@pytest.fixture
def inputs():
  rng = np.random.default_rng(1)
  return {name: rng.normal(size=(1, 5, 7, DEPTH)).astype("f4") for name in ("x", "h")}


def test_channels_first_is_the_same_graph_of_moved_axes(inputs):
  moved = channels_first(cell(last=True))
  assert [one.name for one in moved.graph.input] == ["x", "h"]
  theirs = answers(cell(last=True), **inputs, unused=inputs["h"])
  ours = answers(moved, **{k: v.transpose(FIRST) for k, v in inputs.items()})
  for our, their in zip(ours, theirs):
    if our.ndim == 4:
      our = our.transpose(LAST)
    np.testing.assert_allclose(our, their, atol=1e-4)
  # one to what cannot be moved, one back
  assert kinds(moved).count("Transpose") == 2


@pytest.mark.parametrize("rewrite", [split_gates, in_blocks])
def test_rewritten_graphs_say_the_same(inputs, rewrite):
  first = {name: value.transpose(FIRST) for name, value in inputs.items()}
  theirs = answers(cell(last=False), **first, unused=first["h"])
  ours = answers(rewrite(cell(last=False)), **first, unused=first["h"])
  for our, their in zip(ours, theirs):
    np.testing.assert_allclose(our, their, atol=1e-4)


def test_gates_get_a_convolution_each():
  assert kinds(cell(last=False)).count("Split") == 1
  rewritten = kinds(split_gates(cell(last=False)))
  assert "Split" not in rewritten
  assert rewritten.count("Conv") == 2


def test_what_cannot_be_divided_stays_split():
  model = cell(last=False)
  for one in model.graph.node:
    if one.op_type == "Add" and one.output[0] == "gates":
      one.op_type = "CumSum"
      one.input[1] = "axis"
  assert kinds(split_gates(model)) == kinds(model)


def test_states_enter_blocks_and_differences_become_sums():
  rewritten = kinds(in_blocks(cell(last=False)))
  assert "Sub" not in rewritten
  assert rewritten.count("Conv") == 3


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_weights_of_half_the_size_are_the_same_weights(runtime, inputs):
  pytest.importorskip(runtime)
  model = cell(last=False)
  for one in model.graph.initializer:
    if one.name == "kernel":
      rounded = KERNEL.astype(np.float16).astype(np.float32)
      one.CopyFrom(onnx.numpy_helper.from_array(rounded, "kernel"))
  small = stored_in_half(model)
  assert small.ByteSize() < 0.6 * model.ByteSize()
  assert kinds(small)[1:] == kinds(model)
  first = {name: value.transpose(FIRST) for name, value in inputs.items()}
  theirs, ours = (
    open_graph(one.SerializeToString(), runtime, 1).run({**first, "unused": first["h"]})
    for one in (model, small)
  )
  for name, their in theirs.items():
    np.testing.assert_array_equal(ours[name].numpy(), their.numpy())


def test_weights_that_would_lose_stay_as_they_are():
  model = cell(last=False)
  assert stored_in_half(model) == model
  assert not is_exact_in_half(KERNEL)
  assert not is_exact_in_half(np.array([1e6], np.float32))
