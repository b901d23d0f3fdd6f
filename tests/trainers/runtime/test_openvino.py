"""Models on OpenVINO leave the process as it was."""

import subprocess
import sys

import numpy as np
import pytest

# Stdlib and OpenVINO alone, in a process of its own: what is tested kills it.
PROGRAM = """
import gc, signal, sys, threading
from hardmine.trainers.runtime.openvino import OpenVinoGraph

MODEL = bytes.fromhex(sys.argv[2])
caught = []
signal.signal(signal.SIGTERM, lambda *_: caught.append(1))
graphs = [OpenVinoGraph(MODEL, 1), OpenVinoGraph(MODEL, 1)]
if sys.argv[1] == "first_goes_first":
  del graphs[0]
  gc.collect()
  del graphs[0]
else:
  other = threading.Thread(target=graphs.clear)
  other.start()
  other.join()
gc.collect()
signal.raise_signal(signal.SIGTERM)
print(len(caught))
"""


def rectifier() -> bytes:
  """A model of ReLU alone."""
  return model_of([("Relu", "x", "y", {})], "FLOAT", "x", "y")


def model_of(nodes, dtype, given, made) -> bytes:
  """Of operations with one input, one output and their attributes."""
  from onnx import TensorProto, helper

  shape = getattr(TensorProto, dtype), [1, 8]
  graph = helper.make_graph(
    [helper.make_node(kind, [x], [y], **more) for kind, x, y, more in nodes],
    "model",
    [helper.make_tensor_value_info(given, *shape)],
    [helper.make_tensor_value_info(made, *shape)],
  )
  opset = helper.make_opsetid("", 17)
  model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
  return model.SerializeToString()


@pytest.mark.parametrize("end", ["first_goes_first", "in_another_thread"])
def test_a_signal_after_models_went_is_handled(end):
  done = subprocess.run(
    [sys.executable, "-c", PROGRAM, end, rectifier().hex()],
    capture_output=True,
    text=True,
  )
  assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr


@pytest.mark.parametrize("dtype", ["INT32", "FLOAT"])
def test_names_are_those_of_the_file_where_a_cast_changes_nothing(dtype):
  """OpenVINO drops such casts and gives what is left the names of both sides."""
  pytest.importorskip("openvino")
  from onnx import TensorProto

  from hardmine.trainers.runtime.openvino import OpenVinoGraph

  cast = {"to": getattr(TensorProto, dtype)}
  nodes = [("Cast", "x", "a", cast), ("Abs", "a", "b", {}), ("Cast", "b", "y", cast)]
  graph = OpenVinoGraph(model_of(nodes, dtype, "x", "y"), 1)
  assert (graph.inputs, graph.outputs) == (("x",), ("y",))
  values = np.arange(-4, 4, dtype={"INT32": "int32", "FLOAT": "float32"}[dtype])
  found = graph.run({"x": values[np.newaxis]})["y"].numpy()
  np.testing.assert_array_equal(found, np.abs(values[np.newaxis]))
