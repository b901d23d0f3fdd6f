"""Models on OpenVINO leave the process as it was."""

import subprocess
import sys

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
  from onnx import TensorProto, helper

  value = helper.make_tensor_value_info
  graph = helper.make_graph(
    [helper.make_node("Relu", ["x"], ["y"])],
    "rectifier",
    [value("x", TensorProto.FLOAT, [1, 8])],
    [value("y", TensorProto.FLOAT, [1, 8])],
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
