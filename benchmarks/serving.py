"""What HTTP adds to a model: throughput and latency beside calls in process.

Both in the same process and run, with the same photograph and as many threads: first
the exported model is called, with the file decoded and the answer encoded as the
server does it, then the server is asked over a loopback connection that stays open.
Processor time is of client and server together, and hardly depends on what else the
machine does.

    python benchmarks/serving.py [MODEL_DIR] [IMAGE]

Without a model it exports an untrained SSD MobileNet v1 of 300 pixels; without an image
it makes a JPEG of 640x480.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import io
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image

from hardmine.serving.server import answers
from hardmine.serving.server.app import create_app
from hardmine.serving.server.connections import listen, make_server
from hardmine.serving.server.limits import Limits
from hardmine.serving.server.loaded_model import LoadedModel, load_model

SECONDS = 9.0  # of each way, in all rounds
ROUNDS = 3
THREADS = 2
ITERATIONS = 4  # of a codec


def main() -> None:
  """Prints a line for each way."""
  with tempfile.TemporaryDirectory() as folder:
    model_dir = Path(sys.argv[1]) if len(sys.argv) > 1 else _detector(Path(folder))
    image = Path(sys.argv[2]).read_bytes() if len(sys.argv) > 2 else _photograph()
    store = _OneModel(model_dir)
    model = load_model(store, 1)
    limits = Limits(concurrency=THREADS)
    if model.kind == "detector":
      path, query, work = "/v1/detect", {}, answers.detect
    else:
      query = {"iterations": str(ITERATIONS)}
      path, work = f"/v1/compress?iterations={ITERATIONS}", answers.compress
    call = functools.partial(work, model, image, query, limits)
    with _serving(store, model, limits) as port:
      ways: dict[str, Callable[[], Callable[[], object]]] = {
        "in process": lambda: call,
        "over HTTP": lambda: _asking(port, path, image),
      }
      # In turns: whatever else this machine does then hits both alike.
      rounds = [{name: _measure(ways[name]) for name in ways} for _ in range(ROUNDS)]
  print(f"{model.kind}, image of {len(image):,} bytes, {THREADS} threads")
  figures = {}
  for name in rounds[0]:
    rates, lists, processor = zip(*(measured[name] for measured in rounds))
    seconds = sorted(one for each in lists for one in each)
    p50, cost = statistics.median(seconds), statistics.median(processor)
    figures[name] = p50, cost
    print(
      f"{name}: {statistics.median(rates):.1f} requests/s, p50 {1e3 * p50:.1f} ms, "
      f"p95 {1e3 * seconds[int(0.95 * len(seconds))]:.1f} ms, processor "
      f"{1e3 * cost:.1f} ms a request"
    )
  for word, plain, served in zip(("p50", "processor"), *figures.values()):
    overhead = served - plain
    print(
      f"overhead, {word}: {1e3 * overhead:.1f} ms a request, "
      f"{100 * overhead / plain:.0f} %"
    )


class _OneModel:
  """A store of one folder, which is version 1."""

  def __init__(self, model_dir: Path):
    self._model_dir = model_dir

  def aliases(self) -> dict[str, int]:
    return {"production": 1}

  def version(self, number: int) -> SimpleNamespace:
    kind = "codec" if self._facts("codec").is_file() else "detector"
    facts = json.loads(self._facts(kind).read_text("utf-8"))
    return SimpleNamespace(
      kind=kind,
      model_id=facts["model_id"],
      digest="",
      created_at="",
      num_bytes=0,
      experiment={},
      metrics={},
      verdict={},
    )

  def verify(self, number: int) -> None:
    pass

  def local_dir(self, number: int) -> Path:
    return self._model_dir

  def _facts(self, kind: str) -> Path:
    return self._model_dir / "assets.extra" / f"{kind}.json"


def _measure(
  make: Callable[[], Callable[[], object]],
) -> tuple[float, list[float], float]:
  """(Calls a second of all threads, seconds of each, processor seconds of one)."""

  def loop(_: int) -> list[float]:
    call, seconds = make(), []
    end = time.perf_counter() + SECONDS / ROUNDS
    while (began := time.perf_counter()) < end:
      call()
      seconds.append(time.perf_counter() - began)
    return seconds

  make()()  # what is put off until the first call
  began = time.process_time()
  with ThreadPoolExecutor(THREADS) as threads:
    loops = list(threads.map(loop, range(THREADS)))
  seconds = [one for each in loops for one in each]
  rate = sum(len(each) / sum(each) for each in loops)
  return rate, seconds, (time.process_time() - began) / len(seconds)


def _asking(port: int, path: str, image: bytes) -> Callable[[], object]:
  connection = http.client.HTTPConnection("127.0.0.1", port)

  def ask() -> None:
    connection.request("POST", path, image)
    response = connection.getresponse()
    body = response.read()
    assert response.status == 200, body

  return ask


@contextlib.contextmanager
def _serving(store: _OneModel, model: LoadedModel, limits: Limits) -> Iterator[int]:
  """A server of the very model that is called in process; gives its port."""
  app = create_app(store, "production", limits, load=lambda store, number: model)
  server = make_server(app, limits)
  with listen("127.0.0.1", 0) as listener:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
      while app.state.server.live.current is None:
        time.sleep(0.01)
      yield listener.getsockname()[1]
    finally:
      server.should_exit = True
      thread.join()


def _detector(folder: Path) -> Path:
  from hardmine.schemas.categories import Categories, Category
  from hardmine.schemas.detector_config import SSDConfig
  from hardmine.schemas.training_config import DetectorTrainingConfig
  from hardmine.trainers.detection.exports.export import export_detector
  from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
  from hardmine.trainers.detection.meta_architectures.ssd import ssd

  categories = Categories(categories=tuple(Category(id=i, name=str(i)) for i in (1, 2)))
  config = SSDConfig(feature_extractor=MobileNetV1)
  training = DetectorTrainingConfig(steps=1, summary_steps=1, checkpoint_steps=1)
  export_detector(ssd(config, len(categories), training), categories, folder)
  return folder


def _photograph() -> bytes:
  coarse = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
  buffer = io.BytesIO()
  Image.fromarray(coarse).resize((640, 480)).save(buffer, "JPEG", quality=90)
  return buffer.getvalue()


if __name__ == "__main__":
  main()
