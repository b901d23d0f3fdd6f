"""A photograph through one detector on every runtime, with one thread and with two.

An SSD MobileNet v1 of width 0.75 at 300 pixels with 80 categories, from uint8 pixels to
detections; every runtime in a process of its own, in turns, so that whatever else the
machine does falls on all of them alike. Beside it the parts around the network, and
which share of a plain float32 matrix product's speed the network reaches.

    python benchmarks/detector_runtimes.py [PHOTOGRAPH]

The backbone has ImageNet's weights where $HARDMINE_DATA holds them, else random ones;
the rest is random, with about 5 % of all scores above the threshold.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matrix_product
import numpy as np

RUNTIMES = ("tensorflow", "onnxruntime", "openvino")
ROUNDS, CALLS = 5, 30
SIDE_PX, NUM_CATEGORIES, NUM_BOXES = 300, 80, 1917
WEIGHTS = "weights/mobilenet_v1_0.75_224.npz"


def main(arguments: list[str]) -> None:
  """Prints a table a number of threads."""
  if arguments[:1] == ["--ask"]:
    return _answer(*arguments[1:])
  if arguments[:1] == ["--export"]:
    _export(arguments[1])
    return None
  with tempfile.TemporaryDirectory() as folder:
    model_dir, image = f"{folder}/model", f"{folder}/image.npy"
    flops = _export(model_dir)
    np.save(image, _photograph(arguments))
    for num_threads in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
      rounds = [
        {name: _asked(model_dir, image, name, num_threads) for name in RUNTIMES}
        for _ in range(ROUNDS)
      ]
      print(f"{num_threads} thread(s): ms a photograph, median and best of {ROUNDS}")
      for name in RUNTIMES:
        print("  " + _line([one[name] for one in rounds], rounds, name, flops))


def _line(
  ours: list[dict[str, float]], rounds: list[Any], name: str, flops: float
) -> str:
  """One runtime's figures; ratios are taken inside a round."""
  whole = [one["whole"] for one in ours]
  gains = [one["tensorflow"]["whole"] / one[name]["whole"] for one in rounds]
  text = f"{name:12} {statistics.median(whole):6.1f} {min(whole):6.1f}"
  text += f"  {statistics.median(gains):.2f}x the SavedModel"
  if "network" in ours[0]:
    network = min(one["network"] for one in ours)
    peak = max(one["peak"] for one in ours)
    text += (
      f"; network {network:.1f}, {flops / network / 1e6:.0f} of {peak:.0f} GFLOP/s"
    )
    text += f" ({100 * flops / network / 1e6 / peak:.0f} %)"
    for part in ("prepare", "suppress"):
      text += f"; {part} {min(one[part] for one in ours):.1f}"
  else:
    text += f"; its own suppression {min(one['suppress'] for one in ours):.1f}"
  return text


def _asked(model_dir: str, image: str, runtime: str, num_threads: int) -> Any:
  """What a process of its own measures."""
  command = [sys.executable, __file__, "--ask", model_dir, image, runtime]
  # also what the matrix product and TensorFlow's own pools go by
  cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:num_threads]))
  answer = subprocess.run(
    ["taskset", "-c", cpus, *command],
    check=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    env={**os.environ, "OPENBLAS_NUM_THREADS": str(num_threads)},
  )
  return json.loads(answer.stdout.splitlines()[-1])


def _answer(model_dir: str, image_path: str, runtime: str) -> None:
  """Prints milliseconds of the whole and of its parts, and GFLOP/s of a product."""
  from hardmine.schemas.detector_config import PostprocessingConfig
  from hardmine.trainers.detection.detector import Detector

  image = np.load(image_path)
  detector = Detector.load(model_dir, runtime)
  answer = {"whole": _ms(lambda: detector.detect(image))}
  boxes, scores = _raw(model_dir, image)
  if runtime == "tensorflow":
    import tensorflow as tf

    from hardmine.trainers.detection import nms

    raw = tf.constant(boxes), tf.constant(scores)
    suppress = tf.function(lambda: nms.detections(*raw, PostprocessingConfig()))
  else:
    from hardmine.trainers.detection import preparation, suppression
    from hardmine.trainers.detection.light_network import LightNetwork

    network = LightNetwork(model_dir, runtime)
    how = preparation.Stretched(height_px=SIDE_PX, width_px=SIDE_PX)
    pixels = preparation.prepare(image, how)[np.newaxis]
    answer["prepare"] = _ms(lambda: preparation.prepare(image, how))
    answer["network"] = _ms(lambda: network.raw(pixels))

    def suppress():
      return suppression.detections(boxes[0], scores[0], PostprocessingConfig())

  answer["suppress"] = _ms(suppress)
  answer["peak"] = matrix_product.FLOPS / _ms(matrix_product.product()) / 1e6
  print(json.dumps(answer))


def _raw(model_dir: str, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """What the network says before suppression, whichever runtime is measured."""
  from hardmine.trainers.detection import preparation
  from hardmine.trainers.detection.light_network import LightNetwork

  how = preparation.Stretched(height_px=SIDE_PX, width_px=SIDE_PX)
  network = LightNetwork(model_dir, "onnxruntime")
  return network.raw(preparation.prepare(image, how)[np.newaxis])


def _export(model_dir: str) -> float:
  """Writes the model; gives the operations of its convolutions on one picture."""
  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import SSDConfig
  from hardmine.trainers.detection.export import export_detector
  from hardmine.trainers.detection.feature_extractors.extractor import load_weights
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
  from hardmine.trainers.detection.meta_architectures.ssd import SSD

  config = SSDConfig(feature_extractor=MobileNetV1, width=0.75)
  model, rng, flops = SSD(config, NUM_CATEGORIES), np.random.default_rng(0), 0
  for layer in model.layers:
    if not hasattr(layer, "kernel"):
      continue
    rows, columns, depth, _ = layer.kernel.shape
    is_depthwise = "dw" in layer.name
    fan_in = rows * columns * (1 if is_depthwise else depth)
    layer.kernel.assign(rng.normal(0, np.sqrt(2 / fan_in), layer.kernel.shape))
    outputs = np.prod(layer.output.shape[1:])
    flops += 2 * int(outputs) * fan_in
    if layer.name.endswith("class_logits"):
      layer.kernel.assign(layer.kernel * 0.7)
      layer.bias.assign(np.full(layer.bias.shape, -7.5))
    elif layer.name.endswith("box_codes"):
      layer.kernel.assign(layer.kernel * 0.3)
  weights = Path(os.environ.get("HARDMINE_DATA", "../shared/data"), WEIGHTS)
  if weights.is_file():
    load_weights(model.leaf_layers, MobileNetV1, str(weights), config.width)
  categories = [Category(id=i, name=str(i)) for i in range(1, NUM_CATEGORIES + 1)]
  export_detector(model, Categories(categories=tuple(categories)), model_dir)
  return float(flops)


def _photograph(arguments: list[str]) -> np.ndarray:
  """uint8 [h, w, 3]: the file that is named, else smooth noise of 480x640."""
  from PIL import Image

  if arguments:
    return np.array(Image.open(arguments[0]).convert("RGB"))
  coarse = np.random.default_rng(0).integers(0, 256, (12, 16, 3), np.uint8)
  return np.array(Image.fromarray(coarse).resize((640, 480)))


def _ms(call: Callable[[], object]) -> float:
  """Milliseconds a call: the best of `CALLS`, after three that do not count."""
  seconds = []
  for _ in range(CALLS + 3):
    started = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - started)
  return 1e3 * min(seconds[3:])


if __name__ == "__main__":
  main(sys.argv[1:])
