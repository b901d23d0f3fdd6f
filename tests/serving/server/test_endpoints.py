"""Every path: what it answers, and what it refuses."""

from __future__ import annotations

import dataclasses
import gzip
import io
import re

import numpy as np
import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from hardmine.serving.server import page_files
from hardmine.serving.server.limits import Limits
from hardmine.trainers import images
from hardmine.trainers.codec.running.memory import Needs
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.codec.streams.stream_header import Header, pack_header
from hardmine.trainers.codec.streams.tiling import Tiling
from tests.serving.server.fakes import FakeStore
from tests.serving.server.loopback import picture, wait_until

DETECTOR, CODEC = 7, 107


@pytest.fixture(scope="module")
def detector(serve_all):
  return serve_all(FakeStore(production=DETECTOR))


@pytest.fixture(scope="module")
def codec(serve_all):
  return serve_all(FakeStore(production=CODEC))


def test_it_lives_before_it_is_ready(serve):
  store = FakeStore()
  client = serve(store)
  wait_until(lambda: store.num_polls > 0)
  assert client.get("/healthz").status == 200
  for path in ("/readyz", "/v1/model"):
    assert client.get(path).status == 503
    assert client.get(path).reason == "no_model"
  refused = client.post("/v1/detect", picture())
  assert refused.status == 503
  assert "no alias 'production'" in refused.message
  assert "X-Hardmine-Version" not in refused.headers
  store.moving["production"] = DETECTOR
  client.until(DETECTOR)
  assert client.post("/v1/detect", picture()).status == 200


def test_detect_gives_boxes_both_ways(detector):
  answer = detector.post("/v1/detect", picture(24, 40))
  assert (answer.status, answer.version) == (200, DETECTOR)
  assert answer.json == {
    "version": DETECTOR,
    "model_id": "0000000000000007",
    "width_px": 40,
    "height_px": 24,
    "objects": [
      {
        "category": "blue",
        "category_id": 90,
        "score": pytest.approx(0.007),
        "box_yxyx_px": [1, 2, 11, 7],
        "box_xywh_px": [2, 1, 5, 10],
      }
    ],
  }
  assert detector.post("/v1/detect?min_score=0.5", picture()).json["objects"] == []


def test_a_photograph_is_compressed_and_decompressed(codec):
  sent = picture(20, 33)
  answer = codec.post("/v1/compress?iterations=3", sent)
  assert (answer.status, answer.version) == (200, CODEC)
  assert answer.headers["Content-Type"] == "application/octet-stream"
  header = bitstream.read_header(answer.body)
  assert (header.width_px, header.height_px, header.iterations) == (33, 20, 3)
  assert answer.headers["X-Hardmine-Iterations"] == "3"
  assert answer.headers["X-Hardmine-Model-Id"] == header.model_id.hex()
  assert float(answer.headers["X-Hardmine-Bpp"]) == pytest.approx(
    8 * len(answer.body) / (20 * 33), rel=1e-5
  )
  back = codec.post("/v1/decompress?iterations=2", answer.body)
  assert (back.status, back.version) == (200, CODEC)
  assert back.headers["Content-Type"] == "image/png"
  assert back.headers["X-Hardmine-Iterations"] == "2"
  with Image.open(io.BytesIO(back.body)) as image, Image.open(io.BytesIO(sent)) as true:
    assert image.size == (33, 20)
    assert (np.asarray(image) == np.asarray(true)[0, 0]).all()


def test_a_rate_bounds_the_whole_answer(codec):
  answer = codec.post("/v1/compress?bpp=0.5", picture(64, 64))
  assert int(answer.headers["X-Hardmine-Iterations"]) == 3
  assert float(answer.headers["X-Hardmine-Bpp"]) <= 0.5
  usual = codec.post("/v1/compress", picture())
  assert usual.headers["X-Hardmine-Iterations"] == "4"  # as many as help
  most = codec.post("/v1/compress?bpp=1000", picture())
  assert most.headers["X-Hardmine-Iterations"] == "4"
  asked = codec.post("/v1/compress?iterations=32", picture())
  assert asked.headers["X-Hardmine-Iterations"] == "32"  # as much as the server gives


def test_what_a_photograph_carries_goes_along(codec):
  exif = Image.Exif()
  exif[0x8298] = "(c) somebody"
  exif.get_ifd(0x8825)[1] = "N"
  image = Image.new("RGBA", (33, 20), (9, 8, 7, 100))
  buffer = io.BytesIO()
  image.save(buffer, "PNG", exif=exif)
  sent = buffer.getvalue()
  kept = codec.post("/v1/compress?iterations=1&keep_metadata=1", sent)
  assert kept.headers["X-Hardmine-Left-Out"] == "location"
  back = codec.post("/v1/decompress", kept.body)
  with Image.open(io.BytesIO(back.body)) as decoded:
    assert decoded.getpixel((5, 5)) == (9, 8, 7, 100)
    assert decoded.getexif()[0x8298] == "(c) somebody"
  laid = codec.post("/v1/compress?iterations=1&alpha=%23ffffff", sent)
  assert not bitstream.read_header(laid.body).side
  assert "EXIF" in laid.headers["X-Hardmine-Left-Out"]
  small = codec.post(f"/v1/compress?max_bytes={len(laid.body)}&alpha=%23ffffff", sent)
  assert small.body == laid.body


def test_a_stream_cut_short_decodes_and_says_so(codec):
  whole = codec.post("/v1/compress?iterations=3", picture()).body
  answer = codec.post("/v1/decompress", whole[:-1])
  assert answer.headers["X-Hardmine-Iterations"] == "2"
  assert "2 of 3 iterations" in answer.headers["X-Hardmine-Note"]


def test_the_model_is_described(detector, serve):
  answer = detector.get("/v1/model")
  assert (answer.status, answer.version) == (200, DETECTOR)
  model = answer.json
  assert model["kind"] == "detector"
  assert (model["version"], model["alias"]) == (DETECTOR, "production")
  assert model["categories"] == [{"id": 3, "name": "red"}, {"id": 90, "name": "blue"}]
  assert model["metrics"] == {"ap": 0.5, "ap_small": None}  # JSON has no NaN
  assert model["problem"] is model["loading"] is None
  assert model["limits"]["max_pixels"] == 1 << 24
  codec = serve(FakeStore(production=CODEC), max_iterations=3).get("/v1/model").json
  assert (codec["kind"], codec["iterations"], codec["padding_px"]) == ("codec", 3, 16)
  assert codec["can_adapt"] is True


def test_a_model_of_the_other_kind_is_said_to_be_one(detector, codec):
  for client, paths in ((detector, ["compress", "decompress"]), (codec, ["detect"])):
    for path in paths:
      answer = client.post(f"/v1/{path}", picture())
      assert (answer.status, answer.reason) == (409, "wrong_kind")
      assert re.search(r"needs a \w+; version \d+ is a \w+", answer.message)
      assert answer.version in (DETECTOR, CODEC)


@pytest.mark.parametrize(
  ("method", "path", "status", "reason", "message"),
  [
    ("GET", "/v2/model", 404, "unknown_path", "Nothing is at /v2/model"),
    ("GET", "/v1/model/", 404, "unknown_path", "/v1/model/"),
    ("GET", "/static/../app.py", 404, "unknown_path", "app.py"),
    ("GET", "/v1/detect", 405, "wrong_method", "takes POST. Received: GET"),
    ("DELETE", "/v1/model", 405, "wrong_method", "Received: DELETE"),
    ("GET", "/nope", 404, "unknown_path", "POST /v1/detect, POST /v1/compress"),
    ("GET", "/v1/compress", 405, "wrong_method", "there are GET /healthz, GET /readyz"),
    (
      "POST",
      "/v1/detect?min_score=0&min_score=1",
      400,
      "bad_query",
      "min_score', 2 times",
    ),
    ("POST", "/v1/detect?min_score=1&min%5fscore=1", 400, "bad_query", "2 times"),
    ("POST", "/v1/detect?min_score=", 400, "bad_query", "a number"),
    ("POST", "/v1/detect?min_score=0_1", 400, "bad_query", "a number"),
    ("POST", "/v1/detect?min_score=%200.5", 400, "bad_query", "a number"),
    ("POST", "/v1/detect?min_score=%D9%A1", 400, "bad_query", "a number"),
    ("POST", "/v1/detect?min_score=high", 400, "bad_query", "a number"),
    ("POST", "/v1/detect?minscore=0.5", 400, "bad_query", "Received: 'minscore'"),
    ("POST", "/v1/detect?min_score=nan", 422, "refused", "min_score=nan"),
    ("POST", "/v1/detect?min_score=30", 422, "refused", "min_score=30"),
  ],
)
def test_mistakes_are_json(detector, method, path, status, reason, message):
  answer = detector.ask(method, path, picture() if method == "POST" else None)
  assert (answer.status, answer.reason) == (status, reason)
  assert message in answer.message
  if status == 405:
    assert answer.headers["Allow"]


@pytest.mark.parametrize(
  ("query", "status", "message"),
  [
    ("iterations=2.5", 400, "a whole number"),
    ("iterations=0", 422, "1 to 32 iterations"),
    ("iterations=33", 422, "1 to 32 iterations"),
    ("iterations=1&bpp=1", 422, "only one of iterations, bpp"),
    ("max_bytes=9", 422, "at least"),
    ("ms_ssim=2", 422, "at most 1"),
    ("alpha=white", 422, "#ffffff"),
    ("keep_location=1", 422, "keep-metadata"),
    ("keep_metadata=2", 422, "keep_metadata as 0 or 1"),
    ("adaptive=2", 422, "adaptive as 0 or 1"),
    ("adaptive=true", 400, "adaptive as a whole number"),
    ("adaptive=1&iterations=2", 422, "bpp, max_bytes or ms_ssim beside adaptive"),
    ("bpp=nan", 422, "a finite bpp"),
    ("bpp=0.001", 422, "at least"),
  ],
)
def test_rates_that_cannot_be(codec, query, status, message):
  answer = codec.post(f"/v1/compress?{query}", picture())
  assert answer.status == status
  assert message in answer.message


@pytest.mark.parametrize(
  ("headers", "reason", "received"),
  [
    (
      {"Content-Type": "multipart/form-data; boundary=x"},
      "type",
      "multipart/form-data",
    ),
    ({"Content-Type": "Multipart/Mixed"}, "type", "multipart/mixed"),
    ({"Content-Type": "application/json"}, "type", "application/json"),
    ({"Content-Encoding": "gzip"}, "encoding", "gzip"),
    ({"Content-Encoding": "identity, BR"}, "encoding", "br"),
    ({"Content-Encoding": "deflate"}, "encoding", "deflate"),
  ],
)
def test_only_plain_files_are_taken(detector, headers, reason, received):
  answer = detector.post("/v1/detect", picture(), headers=headers)
  assert (answer.status, answer.reason) == (415, f"unsupported_{reason}")
  assert answer.message.endswith(f"Received: {received}")
  assert "curl --data-binary @FILE" in answer.message
  assert answer.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
  "headers",
  [
    {"Content-Type": "application/x-www-form-urlencoded"},  # curl --data-binary
    {"Content-Type": "image/png"},
    {"Content-Type": "text/plain;charset=UTF-8"},
    {"Content-Encoding": "identity"},
    {"Content-Encoding": ""},
  ],
)
def test_how_clients_call_a_plain_file_does_not_matter(detector, headers):
  assert detector.post("/v1/detect", picture(), headers=headers).status == 200


@pytest.mark.parametrize(
  "beginning",
  [gzip.compress(b"x", mtime=0), b"PK\x03\x04", b"(\xb5/\xfd"],
  ids=["gzip", "zip", "zstd"],
)
def test_packed_files_are_told_without_a_header(codec, beginning):
  for path in ("/v1/compress", "/v1/decompress"):
    answer = codec.post(path, beginning + bytes(99))
    assert (answer.status, answer.reason) == (415, "unsupported_encoding")


@pytest.fixture(scope="module")
def small(serve_all):
  """Takes small pictures only."""
  return serve_all(FakeStore(production=DETECTOR), max_pixels=10_000)


def animation() -> bytes:
  frames = [Image.new("RGB", (8, 8), (n * 99, 9, 9)) for n in range(2)]
  buffer = io.BytesIO()
  frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
  return buffer.getvalue()


@pytest.mark.parametrize(
  ("body", "reason"),
  [
    (b"", "empty"),
    (b"not a picture", "not_an_image"),
    (picture()[:-40], "truncated"),
    (picture(200, 200), "too_large"),
    (animation(), "animated"),
  ],
)
def test_images_that_cannot_be_used(small, body, reason):
  answer = small.post("/v1/detect", body)
  status = 413 if reason == "too_large" else 422
  assert (answer.status, answer.reason) == (status, reason)
  assert answer.version == DETECTOR
  assert answer.message.startswith("Expected")


def test_an_image_counts_as_the_codec_pads_it(serve):
  client = serve(FakeStore(production=CODEC), max_pixels=4096)
  assert client.post("/v1/compress", picture(64, 64)).status == 200
  for height, width in ((1, 300), (300, 1)):
    answer = client.post("/v1/compress", picture(height, width))
    assert (answer.status, answer.reason) == (413, "too_large")
    assert "4,096 pixels, with sides rounded up to 16" in answer.message
    assert "start the server with more --max-pixels" in answer.message


def flat(side_px):
  buffer = io.BytesIO()
  Image.new("RGB", (side_px, side_px), (9, 9, 9)).save(buffer, "PNG")
  return buffer.getvalue()


def test_what_a_codec_would_need_too_much_memory_for_is_refused_by_its_header(
  serve, shelf, monkeypatch
):
  limits = {"max_memory_bytes": 1 << 28}
  client = serve(FakeStore(production=CODEC), **limits)
  most = Limits(**limits).max_codec_pixels(shelf.models[CODEC].needs)
  assert most < 4096 * 4096
  model = client.get("/v1/model").json
  assert model["limits"]["max_pixels"] == most
  large = flat(4096)
  monkeypatch.setattr(images, "_load", None)  # no pixel is to be decoded
  answer = client.post("/v1/compress?iterations=1", large)
  assert (answer.status, answer.reason) == (413, "too_large")
  assert f"at most {most:,} pixels" in answer.message
  assert "send a smaller picture" in answer.message
  assert "more --max-memory-bytes" in answer.message
  monkeypatch.undo()
  assert client.post("/v1/compress?iterations=1", flat(256)).status == 200


def test_a_stream_says_itself_how_much_memory_decoding_it_takes(serve, shelf):
  """As one of before, whose large picture is no tiles, or a forged one."""
  client = serve(FakeStore(production=CODEC), max_memory_bytes=1 << 28)
  small = bitstream.read_header(client.post("/v1/compress", picture(16, 16)).body)
  for tiling in (None, Tiling(tile_px=4096, overlap_px=0)):
    header = dataclasses.replace(
      small, height_px=1500, width_px=3000, iterations=1, tiling=tiling
    )
    codes = np.zeros((1, *header.grid, 32), np.uint8)
    answer = client.post("/v1/decompress", bitstream.pack(header, codes))
    assert (answer.status, answer.reason) == (413, "too_large")
    assert "more --max-memory-bytes" in answer.message


SHIPPED = {"cell": "trainers.codec.cells.gru:ConvGRUCell", "width": 0.375}


@pytest.mark.parametrize(
  "config", [SHIPPED, {**SHIPPED, "width": 1.0}, {"width": 1.0}, {}]
)
def test_what_a_request_takes_stays_within_the_memory_that_was_set(config):
  limits = Limits()
  for light in (False, True):
    needs = Needs(config=config, light=light)
    most = limits.max_codec_pixels(needs)
    side = int(most**0.5) // 32 * 32
    how = needs.splitting.of(side, side)
    header = Header(
      model_id=bytes(8),
      height_px=side,
      width_px=side,
      padding_px=16,
      iterations=limits.max_iterations,
      tiling=how,
    )
    taken = needs.decoding(header, limits.max_iterations) - needs.fixed_bytes
    assert 0.5 * most < side**2
    assert taken <= limits.max_memory_bytes
    assert Limits(max_memory_bytes=1).max_codec_pixels(needs) == 1
    assert Limits(max_pixels=7).max_codec_pixels(needs) == 7


@pytest.mark.parametrize("light", [False, True])
def test_the_shipped_codec_is_given_what_the_page_sends(light):
  needs = Needs(config=SHIPPED, light=light)
  assert Limits().max_codec_pixels(needs) >= 1024 * 1024


def test_the_shipped_codec_in_its_light_form_is_given_any_picture():
  limits = Limits()
  needs = Needs(config=SHIPPED, light=True)
  assert limits.max_codec_pixels(needs) == limits.max_pixels


def test_streams_that_cannot_be_used(serve):
  store = FakeStore(production=CODEC)
  client = serve(store, max_pixels=2_000, max_iterations=8)
  whole = client.post("/v1/compress?iterations=3", picture()).body

  def refused(body, query="", status=422):
    answer = client.post(f"/v1/decompress{query}", body)
    assert answer.status == status
    return answer.message

  assert "Expected a hardmine stream" in refused(picture())
  flipped = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
  assert "iteration 1 of 3 is damaged" in refused(flipped)
  assert "Expected a header" in refused(whole[:20])
  assert "1 to 3 iterations" in refused(whole, "?iterations=4")

  def forged(**fields):
    header = {"model_id": whole[8:16], "height_px": 20, "width_px": 20}
    header |= {"padding_px": 16, "iterations": 9, **fields}
    return pack_header(bitstream.Header(**header))

  large = forged(height_px=1 << 14, width_px=1 << 14)
  assert "Received: 16384x16384" in refused(large, status=413)
  assert "1 to 8 iterations" in refused(forged())
  store.moving["production"] = CODEC + 1
  client.until(CODEC + 1)
  assert f"Received: one of model {CODEC:016x}" in refused(whole)


def test_a_fault_is_json_and_the_server_lives_on(detector):
  black = io.BytesIO()
  Image.new("RGB", (8, 8)).save(black, "PNG")
  answer = detector.post("/v1/detect", black.getvalue())
  assert (answer.status, answer.reason) == (500, "fault")
  assert "fire" not in answer.message
  assert answer.version == DETECTOR
  assert detector.post("/v1/detect", picture()).status == 200


def test_figures_are_what_prometheus_reads(serve):
  detector = serve(FakeStore(production=DETECTOR))
  detector.post("/v1/detect", picture())
  detector.post("/v1/detect", b"no picture")
  detector.get("/invented")
  answer = detector.get("/metrics")
  assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
  figures = {
    (sample.name, tuple(sorted(sample.labels.items()))): sample.value
    for family in text_string_to_metric_families(answer.body.decode())
    for sample in family.samples
  }

  def requests(endpoint, status):
    labels = (("endpoint", endpoint), ("status", status))
    return figures["hardmine_requests_total", labels]

  assert requests("/v1/detect", "200") == 1
  assert requests("/v1/detect", "422") == 1
  assert requests("other", "404") == 1
  seconds = (("endpoint", "/v1/detect"),)
  assert figures["hardmine_request_seconds_count", seconds] == 2
  assert figures["hardmine_requests_in_flight", ()] == 1  # this one
  assert figures["hardmine_rejected_total", (("reason", "not_an_image"),)] == 1
  assert figures["hardmine_answers_total", (("version", "7"),)] == 1
  assert figures["hardmine_model_version", ()] == DETECTOR
  assert figures["hardmine_model_switches_total", ()] == 1
  assert figures["hardmine_alias_followed", ()] == 1
  assert figures["hardmine_models_in_memory", ()] == 1


def test_the_page_is_all_ours(detector):
  page = detector.get("/")
  assert page.headers["Content-Type"].startswith("text/html")
  linked = set(re.findall(r'(?:src|href)="([^"]+)"', page.body.decode()))
  assert linked == {"/static/icon.svg", "/static/page.css", "/static/page.js"}
  for path in page_files._FOLDER.iterdir():
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(", text), path.name
    assert len(text.splitlines()) <= 250
    if path.name != "index.html":
      assert detector.get(f"/static/{path.name}").body == path.read_bytes()


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/v1/model", "/none"])
def test_browsers_are_told_to_be_careful(detector, path):
  headers = detector.get(path).headers
  policy = headers["Content-Security-Policy"]
  assert policy.startswith("default-src 'none'; script-src 'self';")
  assert "unsafe" not in policy
  assert headers["X-Content-Type-Options"] == "nosniff"
  assert "Access-Control-Allow-Origin" not in headers
