"""What runs a codec how fast: ONNX Runtime, OpenVINO and TensorFlow in one run.

Encodes and decodes 768x512 pixels by 16 iterations with one and two threads, every
runtime in a process of its own, all asked in turn, and prints seconds (the best of
some), the multiple of TensorFlow's speed, and the share of what the processor reaches
in a product of float32 matrices.

    python benchmarks/runtimes.py [--repeats N] [MODEL_DIR...]

Without models it makes one of width 1/8 (untrained) and one of the shipped weights.
What goes around the network into files and out of them is in `codec_speed.py`.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path

import _made_codecs
import _matrix_product
import _turns
import numpy as np

ITERATIONS = 16
SIZE = (512, 768)
WORK = ("encode", "decode")
PRODUCT = "product"
THREADS = (1, 2)


def main() -> None:
  """Prints a table a model and number of threads."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("models", nargs="*", metavar="MODEL_DIR")
  parser.add_argument("--repeats", type=int, default=3)
  parser.add_argument("--ask", help=argparse.SUPPRESS)  # a process of this program's
  args = parser.parse_args()
  if args.ask:
    return answer(args.ask, args.models[0])
  with tempfile.TemporaryDirectory() as folder:
    models = args.models or [
      _made_codecs.codec(name, Path(folder, name))
      for name in (_made_codecs.WIDTH_EIGHTH, "codec_shipped")
    ]
    for model in models:
      for threads in THREADS:
        report(model, threads, args.repeats)
  return None


def report(model: str, threads: int, repeats: int) -> None:
  """Runs every runtime and prints what it took."""
  from hardmine.trainers.runtime.choice import RUNTIMES

  runtimes = [name for name in RUNTIMES if importlib.util.find_spec(name)]
  workers = {
    name: _turns.Worker([sys.executable, __file__, "--ask", name, model], threads)
    for name in (*runtimes, PRODUCT)
  }
  seconds = _turns.in_turns(workers, WORK, repeats)
  for worker in workers.values():
    worker.close()
  peak = _matrix_product.FLOPS / min(seconds[PRODUCT, work] for work in WORK)
  print(f"{Path(model).name}, threads: {threads}, product {peak / 1e9:.0f} GFLOP/s")
  for work in WORK:
    flops = 2 * multiply_adds(model, work, ITERATIONS, SIZE)
    base = seconds["tensorflow", work]
    for name in runtimes:
      best = seconds[name, work]
      print(
        f"  {work}  {name:12}{best:7.2f} s  {base / best:5.2f}x TensorFlow's speed  "
        f"{flops / best / peak:4.0%} of a product"
      )


def multiply_adds(
  model: str, work: str, iterations: int, size_px: tuple[int, int]
) -> float:
  """Of the convolutions that a piece of work cannot do without."""
  encoding, decoding = (_step_multiply_adds(model, f"{w}_step", size_px) for w in WORK)
  if work == "decode":
    return iterations * decoding
  return iterations * encoding + (iterations - 1) * decoding


def _step_multiply_adds(model: str, step: str, size_px: tuple[int, int]) -> float:
  import onnx

  from hardmine.schemas.codec_config import STRIDE_PX
  from hardmine.schemas.exported_model import light_graph

  proto = onnx.load(light_graph(model, step))
  for one in proto.graph.input:
    dims = one.type.tensor_type.shape.dim
    for dim, side in zip(dims[2:], size_px):
      # named such as rows_4, four for each code position
      dim.dim_value = int(float(dim.dim_param.split("_")[1]) * side / STRIDE_PX)
  graph = onnx.shape_inference.infer_shapes(proto).graph
  shapes = {
    one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
    for one in (*graph.value_info, *graph.output)
  }
  # kernels that lie there as float16 are what a cast makes of them
  kernels = shapes | {one.name: list(one.dims) for one in graph.initializer}
  return sum(
    float(np.prod([*kernels[node.input[1]], *shapes[node.output[0]][2:]]))
    for node in graph.node
    # one channel a group is how a graph only moves values
    if node.op_type == "Conv" and kernels[node.input[1]][1] > 1
  )


def answer(runtime: str, model: str) -> None:
  """Codes pictures, or multiplies matrices, when it is asked to."""
  if runtime == PRODUCT:
    _turns.answer(dict.fromkeys(WORK, _matrix_product.product()))
  else:
    _turns.answer(_coding(runtime, model))


def _coding(runtime: str, model: str) -> dict:
  from hardmine.trainers.codec.running.coding_network import open_network

  if runtime == "tensorflow":
    import tensorflow as tf

    threads = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
  network, image = open_network(model, runtime), noise()
  codes, gains = network.encode(image, ITERATIONS)  # and all is warm
  network.decode(codes, gains, *SIZE)
  return {
    "encode": lambda: network.encode(image, ITERATIONS),
    "decode": lambda: network.decode(codes, gains, *SIZE),
  }


def noise() -> np.ndarray:
  """Smooth noise: times do not depend on what a picture shows."""
  from PIL import Image

  coarse = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
  return np.asarray(Image.fromarray(coarse).resize(SIZE[::-1]))


if __name__ == "__main__":
  main()
