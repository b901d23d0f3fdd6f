"""What this machine reaches in float32: a product of matrices by ONNX Runtime.

NumPy's own library does not know every processor: it reached a quarter of this on one
that calls itself no more than "Intel Xeon".
"""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

SIDE = 2048
FLOPS = 2 * SIDE**3


def product() -> Callable[[], object]:
  """One product of `FLOPS` operations, on the processors that this process may use."""
  import onnxruntime
  from onnx import TensorProto, helper

  sides = [SIDE, SIDE]
  left, right, out = (
    helper.make_tensor_value_info(name, TensorProto.FLOAT, sides) for name in "abc"
  )
  node = helper.make_node("MatMul", ["a", "b"], ["c"])
  model = helper.make_model(
    helper.make_graph([node], "product", [left, right], [out]),
    opset_imports=[helper.make_opsetid("", 17)],
    ir_version=8,
  )
  options = onnxruntime.SessionOptions()
  options.intra_op_num_threads = len(os.sched_getaffinity(0))
  session = onnxruntime.InferenceSession(
    model.SerializeToString(), options, providers=["CPUExecutionProvider"]
  )
  matrix = np.random.default_rng(0).random((SIDE, SIDE), np.float32)
  return lambda: session.run(None, {"a": matrix, "b": matrix})
