"""How fast detectors are trained on this machine, and what bounds them.

For the network and the batch of each experiment, on 64 pictures of 640x480 pixels:

    input    pictures a second that the input pipeline delivers alone, beside those
             that training consumes when it never has to wait
    step     steps a second, and the share of a plain float32 matrix product's speed
             that the step's convolutions and products reach
    parts    of the step's time: forward pass, loss (with proposals and second stage,
             where there is one), and what learning adds

Counted are the operations that TensorFlow really runs, so backward ones of layers that
learn alone, and not those of depthwise convolutions backward (2 % of a network's).

    python benchmarks/detector_training.py [--experiments NAME,...] [--images DIR]

The weights are random.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import functools
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _matrix_product
import numpy as np
from PIL import Image

NUM_IMAGES, NUM_CATEGORIES = 64, 80
EXPERIMENTS = ("ssd_small_set", "faster_rcnn_small_set", "rfcn_small_set")
PRODUCTS = ("Conv2D", "DepthwiseConv2d", "MatMul", "BatchMatMul")  # by their beginning
CALLS = 15


def main() -> None:
  """Prints the figures of every experiment."""
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--experiments", default=",".join(EXPERIMENTS))
  parser.add_argument("--images", type=Path, help="a folder of JPEG files")
  args = parser.parse_args()
  files = _files(args.images)
  for name in args.experiments.split(","):
    measure(name, files)


def measure(name: str, files: list[bytes]) -> None:
  """Prints the figures of one experiment."""
  import tensorflow as tf

  from hardmine.pipelines.experiments import find
  from hardmine.trainers.detection.run_fn import compiled_detector

  experiment: Any = find(name)
  training = experiment.training
  config = dataclasses.replace(experiment.detector, initial_weights=None)
  model = compiled_detector(config, NUM_CATEGORIES, training)
  batches = _batches(files, config, training)
  delivered = _rate(iter(batches).__next__, calls=24)
  inputs, truth = next(iter(batches))

  forward = tf.function(lambda: model(inputs, training=True))
  loss = tf.function(
    lambda: model.compute_loss(y=truth, y_pred=model(inputs, training=True))
  )
  step = tf.function(lambda: model.train_step((inputs, truth)))
  operations = _operations(step.get_concrete_function().graph)
  seconds = _in_turns(step, forward, loss, _matrix_product.product())
  steps, peak = 1 / seconds[0], _matrix_product.FLOPS / seconds[3]
  forward_share, loss_share = seconds[1] / seconds[0], seconds[2] / seconds[0]
  batch = training.batch_size
  print(f"{name}: a batch of {batch}, inputs {tuple(inputs.shape)}")
  print(
    f"  input  {delivered * batch:.0f} pictures/s delivered, {steps * batch:.1f} "
    f"consumed by training: {delivered / steps:.1f}x"
  )
  print(
    f"  step   {steps:.2f} a second, {operations / 1e9:.1f} GFLOP each: "
    f"{steps * operations / peak:.0%} of {peak / 1e9:.0f} GFLOP/s"
  )
  print(
    f"  parts  forward {forward_share:.0%}, loss {loss_share - forward_share:.0%}, "
    f"backward and update {1 - loss_share:.0%}"
  )


def _batches(files: list[bytes], config: Any, training: Any) -> Any:
  """As the Trainer makes them."""
  import tensorflow as tf

  from hardmine.trainers.detection.inputs import input_pipeline
  from hardmine.trainers.detection.meta_architectures.known import meta_architecture

  architecture = meta_architecture(config)
  images = tf.data.Dataset.from_tensor_slices(files).enumerate()
  images = images.map(
    lambda index, encoded: {
      "encoded": encoded,
      "source_id": tf.strings.as_string(index),
      "index": index,
      "boxes_yxyx_norm": tf.constant([[0.2, 0.2, 0.7, 0.6], [0.5, 0.1, 0.9, 0.9]]),
      "labels": tf.constant([1, 44], tf.int64),
      "is_crowd": tf.constant([0, 0], tf.int64),
    }
  )
  return input_pipeline.training_batches(
    images,
    len(files),
    prepared=functools.partial(architecture.prepared, config),
    augmented=architecture.augmented,
    batch_size=training.batch_size,
    max_boxes=training.max_boxes,
    seed=0,
    first_step=0,
  )


def _operations(graph: Any) -> int:
  """Floating-point operations of convolutions and products that change something."""
  from tensorflow.python.framework import ops

  todo = [one for one in graph.get_operations() if "Assign" in one.type]
  needed = set()
  while todo:
    one = todo.pop()
    if one.name not in needed:
      needed.add(one.name)
      todo += [tensor.op for tensor in one.inputs] + list(one.control_inputs)
  found: collections.Counter[str] = collections.Counter()
  for one in graph.get_operations():
    if one.name in needed and one.type.startswith(PRODUCTS):
      stats = ops.get_stats_for_node_def(graph, one.node_def, "flops")
      found[one.type] += stats.value or 0
  return found.total()


def _files(folder: Path | None) -> list[bytes]:
  """Whole JPEG files."""
  if folder is not None:
    paths = sorted(folder.glob("*.jpg"))[:NUM_IMAGES]
    if not paths:
      raise SystemExit(f"Expected JPEG files (*.jpg). Received: images={folder}")
    return [path.read_bytes() for path in paths]
  generator = np.random.default_rng(0)
  files = []
  for _ in range(NUM_IMAGES):
    coarse = Image.fromarray(generator.integers(0, 256, (60, 80, 3), np.uint8))
    buffer = io.BytesIO()
    coarse.resize((640, 480)).save(buffer, "JPEG", quality=90)
    files.append(buffer.getvalue())
  return files


def _in_turns(*calls: Callable[[], object]) -> list[float]:
  """Seconds of each, so that whatever else the machine does falls on all alike.

  Returns:
    The first's median, and the others' by the median of their ratios to it in a round.
  """
  rounds = np.zeros((CALLS + 2, len(calls)))
  for row in rounds:
    for index, call in enumerate(calls):
      started = time.perf_counter()
      call()
      row[index] = time.perf_counter() - started
  counted = rounds[2:]
  ratios = np.median(counted / counted[:, :1], axis=0)
  return [float(ratio * np.median(counted[:, 0])) for ratio in ratios]


def _rate(call: Callable[[], object], calls: int) -> float:
  """Calls a second: the median, after two that do not count."""
  seconds = []
  for _ in range(calls + 2):
    started = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - started)
  return 1 / statistics.median(seconds[2:])


if __name__ == "__main__":
  main()
