"""Exported models in a real store: the answers are those of the model in process."""

from __future__ import annotations

import functools
import io
import re
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from hardmine.serving.server.app import create_app
from hardmine.serving.server.loaded_model import load_model
from hardmine.serving.store.signing import sign
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.detection.detector import Detector
from hardmine.trainers.images import decode_rgb
from tests.serving.server import tiny_models
from tests.serving.server.loopback import Client, picture, running, wait_until
from tests.serving.store.fake_models import by
from tests.serving.store.keys import write_keys

FIRST, SECOND, DETECTOR = 1, 2, 3  # versions


@pytest.fixture(scope="module")
def model_dirs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("exported")
  first = tiny_models.export_tiny_codec(folder / "first")
  return {
    FIRST: first,
    SECOND: tiny_models.copy_under_another_id(first, folder / "second"),
    DETECTOR: tiny_models.export_tiny_detector(folder / "detector"),
  }


@pytest.fixture
def store(model_dirs, tmp_path):
  store = ModelStore(tmp_path / "store")
  for number, path in model_dirs.items():
    assert tiny_models.add(store, path) == number
  return store


def serving(store):
  return running(create_app(store, "production", poll_seconds=0.05))


def test_answers_are_those_of_the_model_in_process(store, model_dirs):
  store.move("production", FIRST, reason=by("tester"))
  sent = picture(37, 50)
  pixels = decode_rgb(sent)
  with serving(store) as client:
    client.until(FIRST)
    codec = Codec.load(model_dirs[FIRST])
    stream = client.post("/v1/compress?iterations=2", sent)
    assert stream.body == codec.compress(pixels, iterations=2)
    uneven = np.full((64, 96, 3), 90, np.uint8)
    uneven[:, 48:] = decode_rgb(picture(64, 48))
    buffer = io.BytesIO()
    Image.fromarray(uneven).save(buffer, "PNG")
    adaptive = client.post("/v1/compress?max_bytes=420&adaptive=1", buffer.getvalue())
    assert adaptive.body == codec.compress(uneven, max_bytes=420, adaptive=True)
    assert bitstream.unpack(adaptive.body).heights is not None
    usual = client.post("/v1/compress", sent)
    assert usual.headers["X-Hardmine-Iterations"] == str(tiny_models.ITERATIONS)
    back = client.post("/v1/decompress", stream.body)
    with Image.open(io.BytesIO(back.body)) as image:
      np.testing.assert_array_equal(np.asarray(image), codec.decompress(stream.body))
    assert client.get("/v1/model").json["experiment"] == {"name": "tiny codec"}

    store.move("production", DETECTOR, reason=by("tester"))
    client.until(DETECTOR)
    found = Detector.load(model_dirs[DETECTOR]).detect(pixels)
    answer = client.post("/v1/detect", sent)
    assert len(answer.json["objects"]) == len(found) > 0
    boxes = [one["box_yxyx_px"] for one in answer.json["objects"]]
    np.testing.assert_allclose(boxes, found.boxes_yxyx_px, atol=1e-3)
    scores = [one["score"] for one in answer.json["objects"]]
    np.testing.assert_allclose(scores, found.scores, atol=1e-5)
    assert client.post("/v1/compress", sent).status == 409


def test_streams_name_the_version_that_the_header_names(store, model_dirs):
  store.move("production", FIRST, reason=by("tester"))
  ids = {number: store.version(number).model_id for number in (FIRST, SECOND)}
  assert ids[FIRST] != ids[SECOND]
  sent, stop = picture(16, 16), threading.Event()

  def loop(client):
    seen = []
    while not stop.is_set():
      answer = client.post("/v1/compress?iterations=2", sent)
      assert answer.status == 200, answer.body
      assert bitstream.read_header(answer.body).model_id.hex() == ids[answer.version]
      seen.append(answer.version)
    return seen

  with serving(store) as client, ThreadPoolExecutor(1) as threads:
    client.until(FIRST)
    looping = threads.submit(loop, client)
    try:
      for number in (SECOND, FIRST):
        store.move("production", number, reason=by("tester"))
        client.until(number)
    finally:
      stop.set()
    assert set(looping.result()) == {FIRST, SECOND}


def damage(store, number, name):
  path = next(store.local_dir(number).rglob(name))
  data = bytearray(path.read_bytes())
  data[len(data) // 2] ^= 1
  path.chmod(0o644)
  path.write_bytes(data)


def test_a_damaged_version_is_not_taken(store):
  store.move("production", FIRST, reason=by("tester"))
  damage(store, SECOND, "variables.data*")
  with serving(store) as client:
    client.until(FIRST)
    store.move("production", SECOND, reason=by("tester"))
    wait_until(lambda: client.get("/v1/model").json["problem"])
    assert "variables.data" in client.get("/v1/model").json["problem"]["message"]
    assert client.post("/v1/compress?iterations=1", picture()).version == FIRST


def test_only_signed_versions_are_taken_where_a_key_is_trusted(store, tmp_path):
  keys = write_keys(tmp_path, "ann")
  sign(store, FIRST, keys.private, reason=by("ann"))
  store.move("production", FIRST, reason=by("tester"))
  load = functools.partial(load_model, public_keys=[keys.public])
  with running(create_app(store, "production", poll_seconds=0.05, load=load)) as client:
    client.until(FIRST)
    store.move("production", SECOND, reason=by("tester"))
    wait_until(lambda: client.get("/v1/model").json["problem"])
    problem = client.get("/v1/model").json["problem"]
    assert "version 2 is signed by nobody" in problem["message"]
    assert client.post("/v1/compress?iterations=1", picture()).version == FIRST
    sign(store, SECOND, keys.private, reason=by("ann"))
    client.until(SECOND)


def test_what_is_loaded_is_the_copy_whose_signature_held(store, tmp_path, monkeypatch):
  keys, load, loaded = write_keys(tmp_path, "ann"), Codec.load, []
  sign(store, FIRST, keys.private, reason=by("ann"))

  def swapping(model_dir, runtime):
    path = store.local_dir(FIRST) / "saved_model.pb"
    path.chmod(0o644)
    path.write_bytes(b"evil")
    loaded.append(model_dir)
    return load(model_dir, runtime)

  monkeypatch.setattr(Codec, "load", swapping)
  assert load_model(store, FIRST, [keys.public]).kind == "codec"
  assert not loaded[0].exists()
  with pytest.raises(RuntimeError, match=r"saved_model\.pb"):
    load_model(store, FIRST, [keys.public])


def test_files_that_are_another_model_are_refused(store, model_dirs):
  number = tiny_models.add(store, model_dirs[FIRST], model_id="00" * 8)
  with pytest.raises(RuntimeError, match=f"model {'00' * 8}, and its files hold"):
    load_model(store, number)
  number = tiny_models.add(store, model_dirs[FIRST], kind="detector")
  with pytest.raises(ValueError, match=r"detector\.json"):
    load_model(store, number)


def test_a_model_that_answers_wrongly_is_refused(store, monkeypatch):
  monkeypatch.setattr(Codec, "decompress", lambda self, data: np.zeros((1, 1, 3)))
  with pytest.raises(RuntimeError, match="decoding gave float64"):
    load_model(store, FIRST)


def test_it_ends_on_sigterm_after_the_last_answer(store):
  store.move("production", FIRST, reason=by("tester"))
  words = ["serve", "--store", store.url, "--port", "0", "--poll-seconds", "0.1"]
  script = "from hardmine.pipelines.cli.main import run; run()"
  process = subprocess.Popen(
    [sys.executable, "-c", script, *words],
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  )
  try:
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"production of .* at http://127\.0\.0\.1:(\d+)\n", line)
    assert found, line
    client = Client(int(found[1]))
    client.until(FIRST, seconds=120)  # a busy machine takes half a minute to import
    answers = []
    # Long enough to be at work when the signal comes.
    large = picture(512, 512)
    asking = threading.Thread(
      target=lambda: answers.append(client.post("/v1/compress?iterations=32", large))
    )
    asking.start()
    wait_until(lambda: b"in_flight 2.0" in client.get("/metrics").body)
    process.send_signal(signal.SIGTERM)
    asking.join(60)
    assert [answer.status for answer in answers] == [200]
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in out + err
    with pytest.raises(OSError, match="refused"):
      client.get("/healthz")
  finally:
    process.kill()
    process.wait()


def test_the_server_is_imported_without_anything_heavy():
  script = (
    "import sys, hardmine.serving.server.app, hardmine.serving.store.store; "
    "print({'tfx', 'apache_beam', 'keras', 'tensorflow'} & set(sys.modules))"
  )
  done = subprocess.run(
    [sys.executable, "-c", script], capture_output=True, text=True, check=False
  )
  assert (done.returncode, done.stdout.strip()) == (0, "set()"), done.stderr
