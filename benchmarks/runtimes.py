"""What runs a codec how fast: ONNX Runtime, OpenVINO and TensorFlow in one run.

Encodes and decodes 768x512 pixels by 16 iterations with one and two threads, every
runtime in a process of its own, all asked in turn, and prints seconds (the best of
some), the multiple of TensorFlow's speed, and the share of what the processor reaches
in a product of float32 matrices.

    python benchmarks/runtimes.py [--repeats N] [MODEL_DIR...]

Without models it takes those that ship.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import matrix_product
import numpy as np

ITERATIONS = 16
HEIGHT_PX, WIDTH_PX = 512, 768
WORK = ("encode", "decode")
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
  from hardmine.pipelines.cli.model_ref import shipped_models

  for model in args.models or map(str, shipped_models().values()):
    for threads in THREADS:
      report(model, threads, args.repeats)


def report(model: str, threads: int, repeats: int) -> None:
  """Runs every runtime and prints what it took."""
  from hardmine.trainers.runtime.choice import RUNTIMES

  runtimes = [name for name in RUNTIMES if importlib.util.find_spec(name)]
  processes = {
    name: _process(threads, "--ask", name, model) for name in (*runtimes, "product")
  }
  seconds: dict[tuple[str, str], list[float]] = {}
  for _ in range(repeats):
    for work in WORK:
      for name in processes:
        seconds.setdefault((name, work), []).append(_asked(processes[name], work))
  for process in processes.values():
    process.communicate()
  peak = min(min(seconds["product", work]) for work in WORK)
  peak_flops = matrix_product.FLOPS / peak
  print(
    f"{Path(model).name}, threads: {threads}, product {peak_flops / 1e9:.0f} GFLOP/s"
  )
  for work in WORK:
    flops = 2 * multiply_adds(model, work)
    base = min(seconds["tensorflow", work])
    for name in runtimes:
      best = min(seconds[name, work])
      print(
        f"  {work}  {name:12}{best:7.2f} s  {base / best:5.2f}x TensorFlow's speed  "
        f"{flops / best / peak_flops:4.0%} of a product"
      )


def multiply_adds(model: str, work: str) -> float:
  """Of the convolutions that a piece of work cannot do without."""
  encoding, decoding = (_step_multiply_adds(model, f"{w}_step") for w in WORK)
  if work == "decode":
    return ITERATIONS * decoding
  return ITERATIONS * encoding + (ITERATIONS - 1) * decoding


def _step_multiply_adds(model: str, step: str) -> float:
  import onnx

  from hardmine.schemas.codec_config import STRIDE_PX
  from hardmine.schemas.exported_model import light_graph

  proto = onnx.load(light_graph(model, step))
  for one in proto.graph.input:
    dims = one.type.tensor_type.shape.dim
    for dim, side in zip(dims[2:], (HEIGHT_PX, WIDTH_PX)):
      # named such as rows_4, four for each code position
      dim.dim_value = int(float(dim.dim_param.split("_")[1]) * side / STRIDE_PX)
  graph = onnx.shape_inference.infer_shapes(proto).graph
  shapes = {
    one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
    for one in (*graph.value_info, *graph.output)
  }
  kernels = {one.name: list(one.dims) for one in graph.initializer}
  return sum(
    float(np.prod([*kernels[node.input[1]], *shapes[node.output[0]][2:]]))
    for node in graph.node
    # one channel a group is how a graph only moves values
    if node.op_type == "Conv" and kernels[node.input[1]][1] > 1
  )


def answer(runtime: str, model: str) -> None:
  """Does what standard input asks for, and prints the seconds it took."""
  if runtime == "product":
    work = dict.fromkeys(WORK, matrix_product.product())
  else:
    work = _coding(runtime, model)
  print("ready", flush=True)
  for line in sys.stdin:
    started = time.perf_counter()
    work[line.strip()]()
    print(time.perf_counter() - started, flush=True)


def _coding(runtime: str, model: str) -> dict:
  from hardmine.trainers.codec.coding_network import open_network

  if runtime == "tensorflow":
    import tensorflow as tf

    threads = len(os.sched_getaffinity(0))
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
  network = open_network(model, runtime)
  codes, gains = network.encode(_photograph(), ITERATIONS)  # and all is warm
  network.decode(codes, gains, HEIGHT_PX, WIDTH_PX)
  return {
    "encode": lambda: network.encode(_photograph(), ITERATIONS),
    "decode": lambda: network.decode(codes, gains, HEIGHT_PX, WIDTH_PX),
  }


def _photograph() -> np.ndarray:
  """Smooth noise: times do not depend on what a picture shows."""
  from PIL import Image

  coarse = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
  return np.asarray(Image.fromarray(coarse).resize((WIDTH_PX, HEIGHT_PX)))


def _process(threads: int, *arguments: str) -> subprocess.Popen:
  """This program with so many threads, when it says that it is ready."""
  processors = sorted(os.sched_getaffinity(0))[:threads]
  environment = {
    **os.environ,
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "OPENBLAS_NUM_THREADS": str(threads),
    "OMP_NUM_THREADS": str(threads),
  }
  process = subprocess.Popen(
    [sys.executable, __file__, *arguments],
    stdin=subprocess.PIPE,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    text=True,
    env=environment,
  )
  os.sched_setaffinity(process.pid, processors)
  assert process.stdout is not None
  if process.stdout.readline() != "ready\n":
    raise RuntimeError(f"Expected a process that answers. Received: {arguments}")
  return process


def _asked(process: subprocess.Popen, work: str) -> float:
  """Seconds that a piece of work took."""
  assert process.stdin is not None
  assert process.stdout is not None
  process.stdin.write(f"{work}\n")
  process.stdin.flush()
  return float(process.stdout.readline())


if __name__ == "__main__":
  main()
