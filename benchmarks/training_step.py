"""One training step of a codec against the machine's matrix product.

By default the width-1 additive LSTM of 1608.05148: batch 32, 32x32 pixels, 16
iterations, forward, backward and Adam; with `--experiment` what that trains. Counted
are the products of its convolutions as the papers' table gives them (2.27 TFLOP),
nothing else; the reference is TensorFlow's own float32 matrix product, timed before and
after the step in the same process. Where an experiment multiplies in bfloat16, which
some processors do four times as fast, the share of float32's rate can exceed 100 %.

    python benchmarks/training_step.py [--width 1] [--batch 32] [--iterations 16]
    python benchmarks/training_step.py --experiment codec_shipped
"""

import argparse
import time

import numpy as np

import hardmine.trainers  # noqa: F401  sets TensorFlow's switches before its import
from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.training_config import CodecTrainingConfig
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.network.networks import scaled_depth

MATRIX = 2048


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--width", type=float, default=1.0)
  parser.add_argument("--batch", type=int, default=32)
  parser.add_argument("--iterations", type=int, default=16)
  parser.add_argument("--steps", type=int, default=3)
  parser.add_argument("--experiment", help="take all of the above but steps from this")
  args = parser.parse_args()

  from hardmine.trainers.codec.training.training import compiled_codec

  config = CodecConfig(cell=ConvLSTMCell, width=args.width)
  training = CodecTrainingConfig(
    steps=args.steps,
    summary_steps=args.steps,
    batch_size=args.batch,
    iterations=args.iterations,
  )
  side = 32
  if args.experiment:
    from hardmine.pipelines.experiments import find

    experiment = find(args.experiment)
    config, training = experiment.codec, experiment.training
    side = experiment.mining.patch_px
  codec = compiled_codec(config, training)
  shape = (training.batch_size, side, side, 3)
  images = np.random.default_rng(0).random(shape, "float32") - 0.5
  print("building the graph ...", flush=True)
  codec.train_on_batch(images)
  patches = training.batch_size * (side / 32) ** 2
  flops = 3 * 2 * macs_per_patch(config) * patches * training.iterations
  print(f"{flops / 1e12:.3f} TFLOP a step")
  shares = []
  for _ in range(args.steps):
    before = matmul_rate()
    start = time.perf_counter()
    codec.train_on_batch(images)
    seconds = time.perf_counter() - start
    peak = (before + matmul_rate()) / 2
    shares.append(flops / seconds / peak)
    print(
      f"step {seconds:7.3f} s  {flops / seconds / 1e9:6.1f} GFLOP/s   "
      f"matrix product {peak / 1e9:6.1f} GFLOP/s   {100 * shares[-1]:.0f} %",
      flush=True,
    )
  print(f"median: {100 * np.median(shares):.0f} % of the matrix product's rate")


def macs_per_patch(config):
  """Multiply-adds of one iteration on a 32x32 patch, from the papers' table.

  Each row: input kernel, its depth, hidden kernel, units, positions of the
  output. An LSTM has four gates, a GRU three.
  """
  gates = 4 if issubclass(config.cell, ConvLSTMCell) else 3

  def d(depth):
    return scaled_depth(depth, config.width)

  deep = scaled_depth(512, config.deep_width or config.width)
  plain = [  # kernel area * input depth * output depth * positions
    9 * 3 * d(64) * 16 * 16,
    deep * 32 * 2 * 2,
    32 * deep * 2 * 2,
    d(128) // 4 * 3 * 32 * 32,
  ]
  cells = [
    (9, d(64), 1, d(256), 8),
    (9, d(256), 1, deep, 4),
    (9, deep, 1, deep, 2),
    (9, deep, 1, deep, 2),
    (9, deep // 4, 1, deep, 4),
    (9, deep // 4, 9, d(256), 8),
    (9, d(256) // 4, 9, d(128), 16),
  ]
  return sum(plain) + sum(
    (kernel * depth + hidden * units) * gates * units * side * side
    for kernel, depth, hidden, units, side in cells
  )


def matmul_rate():
  """Floating-point operations per second of a float32 product."""
  import tensorflow as tf

  matrix = tf.random.normal((MATRIX, MATRIX))
  tf.matmul(matrix, matrix).numpy()
  best = np.inf
  for _ in range(8):
    start = time.perf_counter()
    tf.matmul(matrix, matrix).numpy()
    best = min(best, time.perf_counter() - start)
  return 2 * MATRIX**3 / best


if __name__ == "__main__":
  main()
