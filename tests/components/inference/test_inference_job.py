"""A model over photographs, with a model of known answers in the place of ours."""

import dataclasses
import json
import shutil
import threading
import time
from typing import Any

import apache_beam as beam
import dask
import numpy as np
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dask.overrides import dask_overrides
from apache_beam.runners.runner import PipelineResult, PipelineRunner, PipelineState
from PIL import Image

from hardmine.components.inference import staged_model
from hardmine.components.inference.detection_job import DetectionJob
from hardmine.components.inference.encoding_job import EncodingJob
from hardmine.components.inference.job import run_job
from hardmine.components.inference.staged_model import model_digest
from hardmine.components.jobs.dask_bags import BagVisitor, emptied
from hardmine.components.jobs.failures import JobFailed
from hardmine.components.jobs.shard_job import Workplace
from hardmine.components.jobs.sources import Source
from hardmine.pipelines.beam_runners import direct, pipeline_maker
from hardmine.schemas.categories import Categories, Category
from hardmine.schemas.folders import folder
from hardmine.schemas.inference_config import DetectionJobConfig, EncodingJobConfig
from hardmine.schemas.manifest import read_manifest
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.running.rate_control import Compressed
from hardmine.trainers.codec.side_chunks.beside import pack_side
from hardmine.trainers.codec.streams import bitstream
from hardmine.trainers.detection.detector import Detections, Detector
from hardmine.trainers.images import Photograph
from hardmine.trainers.metrics.coco_files import read_detections
from tests.components.inference.tiny_models import photograph
from tests.s3_server import s3_server
from tests.trainers.codec.running import bit_planes


class OddError(Exception):
  """Of a runtime."""


class KnownCodec:
  """Its streams are a header."""

  loads = 0

  @classmethod
  def load(cls, path, runtime):
    assert runtime == "onnxruntime"
    cls.loads += 1
    return cls()

  def compress_to(self, image, target, *, metadata=None, adaptive=False):
    assert not adaptive
    height_px, width_px, _ = image.shape
    if width_px == 7:
      raise ValueError("Expected another width. Received: 7")
    if width_px == 8:
      raise OddError("no good")
    header = bitstream.Header(
      model_id=bytes(8),
      height_px=height_px,
      width_px=width_px,
      padding_px=16,
      iterations=target.iterations or 1,
      sends_gains=False,
    )
    shape = (header.iterations, -(-height_px // 16), -(-width_px // 16), 32)
    tile = np.zeros(shape, np.uint8), np.zeros(header.iterations, np.uint8)
    _, side = pack_side(image, metadata)
    return Compressed(
      data=bitstream.pack_tiles(header, [tile], side), iterations=header.iterations
    )


class KnownDetector:
  """Finds a cat and a dog in what is wide."""

  categories = Categories(
    categories=(Category(id=17, name="cat"), Category(id=18, name="dog"))
  )

  @classmethod
  def load(cls, path, runtime):
    return cls()

  def detect(self, image, min_score=0.0):
    found = Detections(
      boxes_yxyx_px=np.array([[20, 10, 50, 40.4], [0, 60, 9.5, 90]], np.float32),
      scores=np.array([0.875, 0.25], np.float32),
      category_ids=np.array([18, 17]),
    )
    return found.above(min_score if image.shape[1] > 40 else 2.0)


@pytest.fixture(autouse=True)
def known(monkeypatch):
  monkeypatch.setattr(Codec, "load", KnownCodec.load)
  monkeypatch.setattr(Detector, "load", KnownDetector.load)
  monkeypatch.setattr(KnownCodec, "loads", 0)


@pytest.fixture
def model(tmp_path):
  """The folder of a model, of both kinds in turn."""
  for kind in ("codec", "detector"):
    path = tmp_path / kind
    (path / "assets.extra" / "light").mkdir(parents=True)
    (path / "variables").mkdir()
    (path / "variables" / "large").write_bytes(b"not needed")
    (path / "saved_model.pb").write_bytes(b"graph")
    facts = {"model_id": "00" * 8, "categories": []}
    (path / "assets.extra" / f"{kind}.json").write_text(json.dumps(facts))
  return tmp_path / "codec"


@pytest.fixture
def photos(tmp_path):
  """Six that are right, with names that meet, one that is damaged, and a text."""
  place = tmp_path / "photos"
  (place / "sub").mkdir(parents=True)
  for seed, name in enumerate(("a.jpg", "a.png", "a.jpg.png", "sub/b.png", "c.png")):
    photograph(seed).save(place / name)
  photograph(9, width_px=30).save(place / "narrow.png")
  whole = (place / "c.png").read_bytes()
  (place / "broken.png").write_bytes(whole[: len(whole) // 2])
  (place / "notes.txt").write_text("no photograph")
  return place


def run(job, photos, output, model, *, make_pipeline=None, overwrite=False, **fields):
  config = {EncodingJob: EncodingJobConfig, DetectionJob: DetectionJobConfig}[job](
    **{
      "images": (str(photos),),
      "model_digest": model_digest(model, "onnxruntime"),
      "max_dead_share": 0.5,
      "num_shards": 2,
      **fields,
    }
  )
  return run_job(
    job(),
    config,
    output,
    model_dir=model,
    make_pipeline=make_pipeline or pipeline_maker(direct(1)),
    overwrite=overwrite,
  )


def lines(output, manifest, start):
  names = [name for name in manifest["files"] if name.startswith(start)]
  text = "".join((output / name).read_text() for name in sorted(names))
  return [json.loads(line) for line in text.splitlines()]


def test_every_photograph_is_a_stream_or_a_letter(photos, tmp_path, model):
  output = tmp_path / "out"
  manifest = run(EncodingJob, photos, output, model, iterations=2)
  assert read_manifest(output) == manifest
  counts = manifest["counts"]
  assert counts["photographs"] == 7 == counts["used"] + counts["dead"]
  assert counts["dead_by_reason"] == {"truncated": 1}
  assert counts["skipped"] == {"other_file": 1}
  listed = lines(output, manifest, "streams-")
  assert {one["image"]: one["file"] for one in listed} == {
    "a.jpg": "streams/a.jpg.hmc",
    "a.png": "streams/a.png.hmc",
    "a.jpg.png": "streams/a.jpg.png.hmc",
    "c.png": "streams/c.hmc",
    "narrow.png": "streams/narrow.hmc",
    "sub/b.png": "streams/sub/b.hmc",
  }
  for one in listed:
    data = (output / one["file"]).read_bytes()
    header = bitstream.read_header(data)
    assert len(data) == one["bytes"] == manifest["files"][one["file"]]["bytes"]
    assert (header.width_px, header.iterations) == (one["width_px"], 2)
  assert folder(output).tree() == {"manifest.json", *manifest["files"]}
  letters = [json.loads(x) for x in (output / "dead_letters.jsonl").open()]
  assert [one["source"].rpartition("/")[2] for one in letters] == [
    "broken.png",
    "notes.txt",
  ]
  assert counts["stream_bytes"] == sum(one["bytes"] for one in listed)
  assert KnownCodec.loads == 1


def test_detections_are_coco_s(photos, tmp_path, model):
  output = tmp_path / "out"
  manifest = run(DetectionJob, photos, output, model.with_name("detector"))
  results = json.loads((output / "detections.json").read_text())
  assert results == lines(output, manifest, "detections-")
  images = {one["id"]: one for one in lines(output, manifest, "images.jsonl")}
  assert len(images) == manifest["counts"]["used"] == 6
  assert [one["file_name"] for one in images.values()] == sorted(
    one["file_name"] for one in images.values()
  )
  found_in = {images[result["image_id"]]["file_name"] for result in results}
  assert found_in == {"a.jpg", "a.png", "a.jpg.png", "sub/b.png", "c.png"}
  assert manifest["counts"]["objects"] == {"cat": 5, "dog": 5}
  assert manifest["counts"]["without_objects"] == 1
  np.testing.assert_allclose(results[0]["bbox"], [10, 20, 30.4, 30], rtol=1e-6)
  assert len(read_detections(output / "detections.json").scores) == 10


def test_what_is_not_wanted_is_left_out(photos, tmp_path, model):
  detector = model.with_name("detector")
  asked: dict[str, Any]
  for number, (asked, left) in enumerate(
    [
      ({"min_score": 0.5}, {"dog": 5}),
      ({"categories": ("cat",)}, {"cat": 5}),
      ({"max_boxes": 1}, {"dog": 5}),
    ]
  ):
    manifest = run(DetectionJob, photos, tmp_path / f"{number}", detector, **asked)
    assert manifest["counts"]["objects"] == left
  manifest = run(DetectionJob, photos, tmp_path / "none", detector, min_score=1.0)
  assert json.loads((tmp_path / "none" / "detections.json").read_text()) == []
  assert manifest["counts"]["without_objects"] == 6


def test_numbers_of_files_are_the_ids(tmp_path, model):
  (tmp_path / "coco").mkdir()
  for number in (139, 7):
    photograph(number).save(tmp_path / "coco" / f"{number:012}.jpg")
  output = tmp_path / "out"
  manifest = run(DetectionJob, tmp_path / "coco", output, model.with_name("detector"))
  images = lines(output, manifest, "images.jsonl")
  assert [one["id"] for one in images] == [7, 139]


def test_what_the_model_refuses_is_a_letter(photos, tmp_path, model):
  photograph(1, width_px=7).save(photos / "odd.png")
  manifest = run(EncodingJob, photos, tmp_path / "out", model)
  assert manifest["counts"]["dead_by_reason"] == {"refused": 1, "truncated": 1}
  text = (tmp_path / "out" / "dead_letters.jsonl").read_text()
  assert "Expected another width" in text


def test_a_model_that_fails_fails_the_job_and_names_the_photograph(
  photos, tmp_path, model
):
  photograph(1, width_px=8).save(photos / "odd.png")
  before = set(tmp_path.iterdir())
  with pytest.raises(JobFailed, match=r"the model failed with \S+odd.png: OddError"):
    run(EncodingJob, photos, tmp_path / "out", model)
  assert set(tmp_path.iterdir()) == before


def test_too_many_dead_leave_their_list_alone(photos, tmp_path, model):
  before = set(tmp_path.iterdir())
  with pytest.raises(RuntimeError, match="1 of 7 photographs cannot be used"):
    run(EncodingJob, photos, tmp_path / "out", model, max_dead_share=0.1)
  assert {path.name for path in set(tmp_path.iterdir()) - before} == {
    "out.dead_letters.jsonl"
  }


def test_a_set_of_the_same_kind_alone_is_replaced(photos, tmp_path, model):
  output = tmp_path / "out"
  first = run(EncodingJob, photos, output, model)
  with pytest.raises(ValueError, match="--overwrite"):
    run(EncodingJob, photos, output, model)
  (photos / "c.png").unlink()
  again = run(EncodingJob, photos, output, model, overwrite=True)
  assert set(first["files"]) - set(again["files"]) == {"streams/c.hmc"}
  assert not (output / "streams" / "c.hmc").exists()
  with pytest.raises(ValueError, match="holds detections"):
    run(DetectionJob, photos, output, model.with_name("detector"), overwrite=True)


def test_a_model_that_goes_meanwhile_is_not_missed(
  photos, tmp_path, model, monkeypatch
):
  def load(path, runtime):
    shutil.rmtree(model)
    assert not (staged := folder(path).tree()) & {"variables/large"}
    assert "assets.extra/codec.json" in staged
    return KnownCodec()

  monkeypatch.setattr(Codec, "load", load)
  manifest = run(EncodingJob, photos, tmp_path / "out", model)
  assert manifest["counts"]["used"] == 6


def test_a_model_that_has_changed_is_refused(photos, tmp_path, model):
  before = set(tmp_path.iterdir())
  digest = model_digest(model, "onnxruntime")
  (model / "saved_model.pb").write_bytes(b"another")
  with pytest.raises(RuntimeError, match="has changed"):
    run(EncodingJob, photos, tmp_path / "out", model, model_digest=digest)
  assert set(tmp_path.iterdir()) == before


def test_all_threads_of_a_process_share_one_model(tmp_path, model):
  loads = []

  def load(path, runtime):
    loads.append(path)
    time.sleep(0.1)
    return object()

  staged_model.stage_model(
    model, "onnxruntime", model_digest(model, "onnxruntime"), folder(tmp_path / "job")
  )
  found = []

  def ask():
    found.append(
      staged_model.staged_model(folder(tmp_path / "job"), "onnxruntime", load)
    )

  threads = [threading.Thread(target=ask) for _ in range(8)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert len(loads) == 1
  assert len(found) == 8
  assert len(set(map(id, found))) == 1
  staged_model.forget_model()
  shutil.rmtree(tmp_path / "job")
  with pytest.raises(RuntimeError, match="is gone"):
    ask()


def test_photographs_keep_what_they_carry(tmp_path, model):
  exif = Image.Exif()
  exif[0x8298] = "(c) somebody"
  exif.get_ifd(0x8825)[1] = "N"
  for name in ("a", "b"):
    (tmp_path / name).mkdir()
    picture = photograph(0)
    picture.putalpha(100)
    picture.save(tmp_path / name / "seen.png", exif=exif)
  kept = run(EncodingJob, tmp_path / "a", tmp_path / "kept", model, keep_metadata=True)
  bare = run(EncodingJob, tmp_path / "b", tmp_path / "bare", model, alpha="#ffffff")
  for manifest in (kept, bare):
    assert manifest["counts"]["transparent"] == 1
    assert manifest["counts"]["metadata_left_out"] == 1
  side = bitstream.unpack((tmp_path / "kept/streams/seen.hmc").read_bytes()).side
  assert set(side) == {"alpha", "metadata"}
  assert not bitstream.unpack((tmp_path / "bare/streams/seen.hmc").read_bytes()).side


def test_an_adaptive_job_writes_height_maps(tmp_path, model, monkeypatch):
  codec, _ = bit_planes.codec()
  monkeypatch.setattr(Codec, "load", lambda path, runtime: codec)
  pixels = bit_planes.picture(4, 6)
  (tmp_path / "photos").mkdir()
  Image.fromarray(pixels).save(tmp_path / "photos" / "a.png")
  run(EncodingJob, tmp_path / "photos", tmp_path / "out", model, adaptive=True, bpp=0.7)
  data = (tmp_path / "out/streams/a.hmc").read_bytes()
  assert data == codec.compress(pixels, bpp=0.7, adaptive=True)
  heights = bitstream.unpack(data).heights
  assert heights is not None
  assert heights.min() < heights.max()


def test_a_model_is_at_one_photograph_at_a_time(tmp_path):
  """However many threads a worker has."""
  at_work, most = [], []

  class Slow(KnownCodec):
    def compress_to(self, image, target, **options):
      at_work.append(1)
      most.append(len(at_work))
      time.sleep(0.02)
      at_work.pop()
      return super().compress_to(image, target, **options)

  loaded = staged_model.LoadedModel(Slow())
  config = EncodingJobConfig(images=("x",), model_digest="")
  place = Workplace(shards=folder(tmp_path), scratch=folder(tmp_path / "scratch"))
  picture = Photograph(pixels=np.asarray(photograph(0)), notes=())

  def ask(number):
    source = Source(id="a", path="a", is_directory=False, stamp="")
    EncodingJob().ask(loaded, config, picture, source, f"{number}.hmc", place)

  threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
  for thread in threads:
    thread.start()
  for thread in threads:
    thread.join()
  assert most == [1] * 4
  assert len(list(tmp_path.glob("*.hmc"))) == 4


class DaskHere(PipelineRunner):
  """Dask's bags, as a cluster computes them, in this process."""

  def run_pipeline(self, pipeline, options):
    pipeline.replace_all(dask_overrides())
    visitor = BagVisitor(4)
    pipeline.visit(visitor)
    dask.compute(*map(emptied, visitor.ends()), scheduler="synchronous")
    return PipelineResult(PipelineState.DONE)


def test_runinference_is_what_dask_s_bags_can_be(photos, tmp_path, model):
  def make_pipeline():
    return beam.Pipeline(runner=DaskHere(), options=PipelineOptions([]))

  here = run(EncodingJob, photos, tmp_path / "here", model)
  KnownCodec.loads = 0
  bags = run(EncodingJob, photos, tmp_path / "bags", model, make_pipeline=make_pipeline)
  assert bags == here
  assert KnownCodec.loads == 1  # in all partitions


def test_its_files_stay_as_long_as_the_model(tmp_path, model):
  """Some are opened when the first picture of a size comes."""
  digest = model_digest(model, "onnxruntime")
  with s3_server("jobs"):
    scratch = folder("s3://jobs/scratch")
    staged_model.stage_model(model, "onnxruntime", digest, scratch)
    loaded = staged_model.staged_model(
      scratch, "onnxruntime", lambda path, runtime: path
    )
    assert model_digest(loaded.model, "onnxruntime") == digest
    staged_model.forget_model()
    assert not folder(loaded.model).tree()


def test_pictures_are_as_people_see_them(tmp_path, model):
  """The one decoder: turned as EXIF says."""
  (tmp_path / "turned").mkdir()
  exif = Image.Exif()
  exif[0x0112] = 6
  photograph(0).save(tmp_path / "turned" / "1.jpg", exif=exif)
  output = tmp_path / "out"
  manifest = run(DetectionJob, tmp_path / "turned", output, model.with_name("detector"))
  (image,) = lines(output, manifest, "images.jsonl")
  assert (image["width"], image["height"]) == (40, 56)
  assert manifest["counts"]["notes"] == {"turned": 1}


def test_configs_survive_json():
  for config in (
    EncodingJobConfig(images=("a",), model_digest="b", bpp=0.5, adaptive=True),
    DetectionJobConfig(images=("a",), model_digest="b", categories=("cat",)),
  ):
    assert type(config).from_json(config.to_json()) == config
  with pytest.raises(ValueError, match="only one of iterations, bpp"):
    dataclasses.replace(
      EncodingJobConfig(images=("a",), model_digest="b", bpp=0.5), iterations=1
    )
  with pytest.raises(ValueError, match="bpp, max_bytes or ms_ssim beside adaptive"):
    EncodingJobConfig(images=("a",), model_digest="b", iterations=1, adaptive=True)
