"""Speed of an SSD MobileNet v1 (width 1, 300 pixels, 80 categories) on this machine.

Three pairs of figures, each pair from one run:

    input      images a second that the input pipeline delivers alone, beside those
               that training consumes when it never has to wait
    latency    milliseconds from uint8 pixels to detections in the exported model, and
               the part of it that comes after the network
    network    GFLOP/s of the forward pass beside those of a plain matrix product

    python benchmarks/detector.py [IMAGES_DIR]

Without a folder of JPEGs it makes 64 of 640x480 pixels.
"""

from __future__ import annotations

import functools
import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

NUM_IMAGES = 64
BATCH = 8
MULTIPLY_ADDS = 1.02e9  # of the backbone at 300 pixels: 569 M at 224, times the area


def main() -> None:
  """Prints the three pairs."""
  import tensorflow as tf

  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import SSDConfig
  from hardmine.schemas.training_config import DetectorTrainingConfig
  from hardmine.trainers.detection import export, input_pipeline
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
  from hardmine.trainers.detection.meta_architectures.ssd import SSD
  from hardmine.trainers.detection.run_fn import compiled_detector

  config = SSDConfig(feature_extractor=MobileNetV1)
  training = DetectorTrainingConfig(steps=1_000, batch_size=BATCH)
  categories = Categories(
    categories=tuple(Category(id=i, name=str(i)) for i in range(1, 81))
  )
  model = compiled_detector(config, len(categories), training)
  images = tf.data.Dataset.from_tensor_slices(_records(sys.argv[1:])).enumerate()
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
  batches = input_pipeline.training_batches(
    images,
    NUM_IMAGES,
    prepared=functools.partial(SSD.prepared, config),
    augmented=SSD.augmented,
    batch_size=BATCH,
    max_boxes=training.max_boxes,
    seed=0,
    first_step=0,
  )
  delivered = _rate(iter(batches).__next__, calls=24) * BATCH
  ready = tf.data.Dataset.from_tensors(next(iter(batches))).repeat()
  consumed = (
    BATCH * 5 * _rate(lambda: model.fit(ready, steps_per_epoch=5, verbose=0), calls=4)
  )
  print(
    f"input: {delivered:.0f} images/s delivered, {consumed:.1f} consumed by training: "
    f"{delivered / consumed:.1f}x"
  )

  with tempfile.TemporaryDirectory() as folder:
    export.export_detector(model, categories, folder)
    served = tf.saved_model.load(folder)
    pixels = tf.constant(
      np.random.default_rng(0).integers(0, 256, (1, 480, 640, 3)), tf.uint8
    )
    detect = served.signatures["detect"]
    whole = 1e3 / _rate(lambda: detect(images=pixels), calls=40)
  inputs = tf.image.resize(tf.cast(pixels, tf.float32), (300, 300))
  network = tf.function(lambda: model(inputs, training=False))
  forward = 1e3 / _rate(network, calls=40)
  print(
    f"latency: {whole:.1f} ms, network {forward:.1f} ms, the rest "
    f"(resize, decode boxes, suppress) {100 * (whole - forward) / whole:.0f} %"
  )

  matrix = tf.random.normal((2048, 2048))
  product = tf.function(lambda: tf.matmul(matrix, matrix))
  peak = 2 * 2048**3 * _rate(product, calls=10) / 1e9
  reached = 2 * MULTIPLY_ADDS * 1e3 / forward / 1e9
  print(f"network: {reached:.0f} GFLOP/s, matrix product {peak:.0f}")


def _records(arguments: list[str]) -> list[bytes]:
  """Whole JPEG files."""
  if arguments:
    paths = sorted(Path(arguments[0]).glob("*.jpg"))[:NUM_IMAGES]
    return [path.read_bytes() for path in paths]
  generator = np.random.default_rng(0)
  files = []
  for _ in range(NUM_IMAGES):
    coarse = Image.fromarray(generator.integers(0, 256, (60, 80, 3), np.uint8))
    buffer = io.BytesIO()
    coarse.resize((640, 480)).save(buffer, "JPEG", quality=90)
    files.append(buffer.getvalue())
  return files


def _rate(call: Callable[[], object], calls: int) -> float:
  """Calls a second: the median of `calls`, after two that do not count."""
  seconds = []
  for _ in range(calls + 2):
    started = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - started)
  return 1 / statistics.median(seconds[2:])


if __name__ == "__main__":
  main()
