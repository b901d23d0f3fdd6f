"""A photograph through detectors on every runtime, with one thread and with two.

MobileNet v1 with 80 categories: an SSD of width 0.75 at 300 pixels, Faster R-CNN and
R-FCN whose pictures have a shorter side of 300 and of 600 pixels and 300 proposals;
from uint8 pixels to detections. Every runtime in a process of its own, in turns, so
that whatever else the machine does falls on all of them alike. Beside it the parts
around the network, and which share of a plain float32 matrix product's speed the
network reaches.

    python benchmarks/detector_runtimes.py [--models NAME,...] [PHOTOGRAPH]

`--models crops` instead compares the crops alone: 300 of 14x14 points from a map of
38x38x512, by TensorFlow's own operation and as ONNX has them.

The backbone has ImageNet's weights where $HARDMINE_DATA holds them, else random ones;
the rest is random, with about 5 % of an SSD's scores above the threshold.
"""

from __future__ import annotations

import argparse
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

import _matrix_product
import numpy as np

RUNTIMES = ("tensorflow", "onnxruntime", "openvino")
MODELS = ("ssd_300", "faster_rcnn_300", "faster_rcnn_600", "rfcn_300", "rfcn_600")
CROPS = "crops"
ROUNDS, CALLS = 3, 30
SIDE_PX, NUM_CATEGORIES = 640, 80
WEIGHTS = "weights/mobilenet_v1_0.75_224.npz"


def main(arguments: list[str]) -> None:
  """Prints a table a model and number of threads."""
  if arguments[:1] == ["--ask"]:
    return _answer(*arguments[1:])
  if arguments[:1] == ["--ask-crops"]:
    return _answer_crops(*arguments[1:])
  if arguments[:1] == ["--export"]:
    _export(MODELS[0], arguments[1])
    return None
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--models", default=",".join((*MODELS, CROPS)))
  parser.add_argument("photograph", nargs="?")
  args = parser.parse_args(arguments)
  for name in args.models.split(","):
    with tempfile.TemporaryDirectory() as folder:
      if name == CROPS:
        _compare_crops(folder)
      else:
        _compare(name, folder, args.photograph)
  return None


def _compare(name: str, folder: str, photograph: str | None) -> None:
  model_dir, image = f"{folder}/model", f"{folder}/image.npy"
  multiply_adds = _export(name, model_dir)
  np.save(image, _photograph(photograph))
  flops = 2.0 * multiply_adds
  for num_threads in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
    rounds = [
      {
        runtime: _asked(["--ask", model_dir, image, runtime], num_threads)
        for runtime in RUNTIMES
      }
      for _ in range(ROUNDS)
    ]
    print(f"{name}, {num_threads} thread(s): ms, median and best of {ROUNDS}")
    for runtime in RUNTIMES:
      print("  " + _line([one[runtime] for one in rounds], rounds, runtime, flops))


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
    for part in ("prepare", "first", "propose", "second", "suppress"):
      if part in ours[0]:
        text += f"; {part} {min(one[part] for one in ours):.1f}"
  return text


def _asked(question: list[str], num_threads: int) -> Any:
  """What a process of its own measures."""
  # also what the matrix product and TensorFlow's own pools go by
  cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:num_threads]))
  answer = subprocess.run(
    ["taskset", "-c", cpus, sys.executable, __file__, *question],
    check=True,
    stdout=subprocess.PIPE,
    stderr=subprocess.DEVNULL,
    env={**os.environ, "OPENBLAS_NUM_THREADS": str(num_threads)},
  )
  return json.loads(answer.stdout.splitlines()[-1])


def _answer(model_dir: str, image_path: str, runtime: str) -> None:
  """Prints milliseconds of the whole and of its parts, and GFLOP/s of a product."""
  from hardmine.trainers.detection.detector import Detector

  image = np.load(image_path)
  detector = Detector.load(model_dir, runtime)
  answer = {"whole": _ms(lambda: detector.detect(image))}
  if runtime != "tensorflow":
    answer.update(_parts(detector._network, image))
  answer["peak"] = _matrix_product.FLOPS / _ms(_matrix_product.product()) / 1e6
  print(json.dumps(answer))


def _parts(network: Any, image: np.ndarray) -> dict[str, float]:
  """Milliseconds of what a light form does, one after the other."""
  around = network._around
  pixels = around.prepared(image)
  boxes, scores = network.raw(pixels)
  if len(boxes) == 1:  # a batch of one picture
    boxes, scores = boxes[0], scores[0]
  found = {
    "prepare": _ms(lambda: around.prepared(image)),
    "network": _ms(lambda: network.raw(pixels)),
    "suppress": _ms(lambda: around.detections(image, boxes, scores)),
  }
  if hasattr(network, "look"):
    seen = network.see(pixels)
    proposed = network.propose(seen)
    found["first"] = _ms(lambda: network.see(pixels))
    found["propose"] = _ms(lambda: network.propose(seen))
    found["second"] = _ms(lambda: network.look(seen, proposed))
  return found


def _export(name: str, model_dir: str) -> int:
  """Writes the model; gives the multiply-adds of one square picture."""
  from hardmine.pipelines.studies.combinations import Combination
  from hardmine.pipelines.studies.counting import Counter
  from hardmine.schemas.categories import Categories, Category
  from hardmine.trainers.detection.exports.export import export_detector
  from hardmine.trainers.detection.feature_extractors.extractor import load_weights
  from hardmine.trainers.detection.meta_architectures.known import meta_architecture

  config = _config(name)
  model = meta_architecture(config)(config, NUM_CATEGORIES)
  rng = np.random.default_rng(0)
  for layer in model.leaf_layers:
    if not hasattr(layer, "kernel"):
      continue
    fan_in = np.prod(layer.kernel.shape[: 2 if "dw" in layer.name else -1])
    layer.kernel.assign(rng.normal(0, np.sqrt(2 / fan_in), layer.kernel.shape))
    if layer.name.startswith("predictor") and layer.name.endswith("class_logits"):
      layer.kernel.assign(layer.kernel * 0.7)
      layer.bias.assign(np.full(layer.bias.shape, -7.5))
    elif layer.name.endswith("box_codes"):
      layer.kernel.assign(layer.kernel * 0.3)
  weights = Path(os.environ.get("HARDMINE_DATA", "../shared/data"), WEIGHTS)
  if config.width == 0.75 and weights.is_file():
    load_weights(
      model.leaf_layers, config.feature_extractor, str(weights), config.width
    )
  categories = [Category(id=i, name=str(i)) for i in range(1, NUM_CATEGORIES + 1)]
  export_detector(model, Categories(categories=tuple(categories)), model_dir)
  one = Combination(name=name, config=config, num_categories=NUM_CATEGORIES)
  return Counter().cost(one).multiply_adds


def _config(name: str) -> Any:
  from hardmine.schemas.detector_config import (
    FasterRCNNConfig,
    KeptProportions,
    RFCNConfig,
    SSDConfig,
  )
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1

  kind, _, side_px = name.rpartition("_")
  if kind == "ssd":
    return SSDConfig(feature_extractor=MobileNetV1, width=0.75)
  config = {"faster_rcnn": FasterRCNNConfig, "rfcn": RFCNConfig}[kind]
  resizer = KeptProportions(min_side_px=int(side_px), max_side_px=1024)
  return config(feature_extractor=MobileNetV1, resizer=resizer)


def _compare_crops(folder: str) -> None:
  """Prints how long crops take, and their ratio to TensorFlow's."""
  import tensorflow as tf

  from hardmine.trainers import onnx_export
  from hardmine.trainers.detection.exports import onnx_crops

  def crops(features: Any, boxes: Any) -> dict[str, Any]:
    index = tf.zeros(tf.shape(boxes)[:1], tf.int32)
    return {"crops": tf.image.crop_and_resize(features, boxes, index, [14, 14])}

  signature = [
    tf.TensorSpec([1, None, None, 512], tf.float32, name="features"),
    tf.TensorSpec([None, 4], tf.float32, name="boxes"),
  ]
  handlers = onnx_crops.handlers(boxes_inside=True)
  graph = onnx_export.to_onnx(crops, signature, handlers=handlers)
  path = f"{folder}/crops.onnx"
  Path(path).write_bytes(graph.SerializeToString())
  for num_threads in range(1, min(2, len(os.sched_getaffinity(0))) + 1):
    rounds = [
      {name: _asked(["--ask-crops", path, name], num_threads) for name in RUNTIMES}
      for _ in range(ROUNDS)
    ]
    print(f"crops, {num_threads} thread(s): best ms, times TensorFlow's")
    for name in RUNTIMES:
      ratio = statistics.median(one[name] / one["tensorflow"] for one in rounds)
      best = min(one[name] for one in rounds)
      print(f"  {name:12} {best:6.1f}  {ratio:.2f}x")


def _answer_crops(path: str, runtime: str) -> None:
  rng = np.random.default_rng(0)
  features = rng.random((1, 38, 38, 512), np.float32)
  boxes = np.sort(rng.random((300, 2, 2), np.float32), axis=1).reshape(300, 4)
  if runtime == "tensorflow":
    import tensorflow as tf

    index = tf.zeros([300], tf.int32)
    given = tf.constant(features), tf.constant(boxes)
    crop = tf.function(
      lambda maps, boxes: tf.image.crop_and_resize(maps, boxes, index, [14, 14])
    )
    print(_ms(lambda: crop(*given)))
  else:
    from hardmine.trainers.runtime.choice import open_graph

    graph = open_graph(path, runtime)
    print(_ms(lambda: graph.run({"features": features, "boxes": boxes})))


def _photograph(path: str | None) -> np.ndarray:
  """uint8 [h, w, 3]: the file that is named, else smooth noise of a square."""
  from PIL import Image

  if path is not None:
    return np.array(Image.open(path).convert("RGB"))
  coarse = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
  return np.array(Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX)))


def _ms(call: Callable[[], object]) -> float:
  """Milliseconds a call: the best of `CALLS`, or of two seconds, after one."""
  call()
  seconds = []
  while len(seconds) < CALLS and sum(seconds) < 2:
    started = time.perf_counter()
    call()
    seconds.append(time.perf_counter() - started)
  return 1e3 * min(seconds)


if __name__ == "__main__":
  main(sys.argv[1:])
