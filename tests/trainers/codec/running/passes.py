"""Which passes of a codec's network run."""

from __future__ import annotations

from hardmine.trainers.runtime.onnx_runtime import OnnxRuntimeGraph


def noted(monkeypatch):
  """A list of "encode" and "decode", which grows by every pass on ONNX Runtime."""
  run, passes = OnnxRuntimeGraph.run, []

  def noting(graph, inputs):
    passes.append("encode" if "image" in graph.inputs else "decode")
    return run(graph, inputs)

  monkeypatch.setattr(OnnxRuntimeGraph, "run", noting)
  return passes
