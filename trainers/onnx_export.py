"""TensorFlow functions as ONNX graphs, by tf2onnx."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

OPSET = 17  # the newest that tf2onnx writes well and every runtime of ours reads


def to_onnx(
  function: Callable[..., dict[str, Any]],
  signature: Sequence[Any],
  opset: int = OPSET,
  handlers: Mapping[str, Any] | None = None,
) -> Any:
  """The ModelProto of a function, its variables as constants.

  Args:
    function: of tensors; its dict's keys name the outputs.
    signature: a TensorSpec an argument, whose names name the inputs. What the function
      does not use may be missing from the graph.
    opset: of ONNX.
    handlers: of tf2onnx, for operations that it would write otherwise.
  """
  import tensorflow as tf

  traced = tf.function(function, input_signature=list(signature))
  with _quiet():
    import tf2onnx

    model, _ = tf2onnx.convert.from_function(
      traced,
      list(signature),
      opset=opset,
      custom_op_handlers=dict(handlers) if handlers else None,
    )
  return model


def versions() -> dict[str, str]:
  """What makes graphs, by package."""
  import keras
  import onnx
  import tensorflow as tf
  import tf2onnx

  return {one.__name__: one.__version__ for one in (keras, onnx, tf, tf2onnx)}


_TENSORFLOWS_LEVEL = "TF_CPP_MIN_LOG_LEVEL"  # which importing tf2onnx sets


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
  """Without what converting tells about its passes."""
  kept = os.environ.get(_TENSORFLOWS_LEVEL)
  os.environ[_TENSORFLOWS_LEVEL] = "3"
  logger = logging.getLogger("tf2onnx")
  level = logger.level
  logger.setLevel(logging.ERROR)
  try:
    yield
  finally:
    logger.setLevel(level)
    del os.environ[_TENSORFLOWS_LEVEL]
    if kept is not None:
      os.environ[_TENSORFLOWS_LEVEL] = kept
