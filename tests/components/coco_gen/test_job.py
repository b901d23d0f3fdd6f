"""The Beam job: faults are named, any workers give the same, whole or not at all."""

import collections
import csv
import json

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from hardmine.components.coco_gen import convert_part
from hardmine.components.coco_gen.job import run_job
from hardmine.components.coco_gen.planning import make_plan
from hardmine.components.jobs import shards
from hardmine.components.jobs.tfrecords import read_records
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.coco_example import from_example, parse
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.manifest import read_manifest


def convert(config, output, *, workers=1, **options):
  beam_args = direct(workers)
  return run_job(
    config,
    output,
    make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
    **options,
  )


def records(output):
  """{source_id: record} of all shards."""
  found = [from_example(r) for p in output.rglob("*.gz") for r in read_records(p)]
  assert len({image.source_id for image in found}) == len(found)
  return {image.source_id: image for image in found}


def letters(path):
  return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }


def config_of(annotated_set, **fields):
  source = AnnotatedFolder(
    images=str(annotated_set.images), annotations=str(annotated_set.json)
  )
  return ConversionConfig(sources=(source,), num_shards=2, **fields)


@pytest.fixture(scope="module")
def coco(data_dir):
  return ConversionConfig(
    sources=(
      AnnotatedFolder(
        images=str(data_dir / "coco" / "train2017"),
        annotations=str(
          data_dir / "coco" / "annotations" / "instances_train2017_subset.json"
        ),
      ),
    ),
    num_shards=3,
  )


@pytest.fixture(scope="module")
def converted(coco, tmp_path_factory):
  output = tmp_path_factory.mktemp("coco") / "records"
  convert(coco, output)
  return output


def test_coco_is_kept_whole(coco, converted, data_dir):
  (source,) = coco.sources
  with open(source.annotations) as file:
    truth = json.load(file)
  by_image = collections.defaultdict(list)
  for annotation in truth["annotations"]:
    by_image[annotation["image_id"]].append(annotation)
  names = {category["id"]: category["name"] for category in truth["categories"]}
  found = records(converted)
  assert len(found) == 343
  for listed in truth["images"]:
    image, mine = found[str(listed["id"])], by_image[listed["id"]]
    path = data_dir / "coco" / "train2017" / listed["file_name"]
    assert image.encoded == path.read_bytes()
    assert (image.width_px, image.height_px) == (listed["width"], listed["height"])
    assert image.annotation_ids.tolist() == [a["id"] for a in mine]
    assert image.category_ids.tolist() == [a["category_id"] for a in mine]
    assert image.is_crowd.tolist() == [a["iscrowd"] for a in mine]
    assert list(image.names) == [names[a["category_id"]] for a in mine]
    np.testing.assert_allclose(image.areas_px, [a["area"] for a in mine], rtol=1e-6)
    boxes = np.array([a["bbox"] for a in mine]).reshape(-1, 4)
    ymin, xmin, ymax, xmax = image.boxes_yxyx_norm.T
    sides = (image.width_px, image.height_px) * 2
    given = np.stack([xmin, ymin, xmax - xmin, ymax - ymin], -1) * sides
    np.testing.assert_allclose(given, boxes, atol=1e-3)
  counts = read_manifest(converted)["counts"]
  kept = sum(len(image.labels) for image in found.values())
  assert kept + counts["skipped"] == counts["annotations"] == 2974
  assert counts["objects"] == kept == sum(counts["objects_by_category"].values())
  assert counts["crowds"] == 29
  assert counts["without_objects"] == 3
  assert counts["notes"] == {"grey": 1}
  assert counts["splits"] == {"train": {"images": 343}}


def test_categories_lie_beside_the_records(converted):
  manifest = read_manifest(converted)
  assert set(manifest["files"]) == {
    "categories.json",
    "dead_letters.jsonl",
    *(f"train-{shard:05d}-of-00003.tfrecord.gz" for shard in range(3)),
  }
  told = json.loads((converted / "categories.json").read_text("utf-8"))["categories"]
  assert told == manifest["categories"]
  assert len(told) == 80
  ids = [category["id"] for category in told]
  for image in records(converted).values():
    assert [ids[label - 1] for label in image.labels] == image.category_ids.tolist()


def test_tensorflow_reads_the_shards(converted):
  paths = sorted(map(str, converted.glob("*.gz")))
  dataset = tf.data.TFRecordDataset(paths, compression_type="GZIP").map(parse)
  num_boxes = sum(len(image["labels"]) for image in dataset.as_numpy_iterator())
  assert num_boxes == read_manifest(converted)["counts"]["objects"]


def test_two_processes_write_the_same_bytes(coco, converted, tmp_path):
  convert(coco, tmp_path / "two", workers=2)
  assert content(tmp_path / "two") == content(converted)


def test_pascals_files_give_what_their_coco_json_gives(data_dir, tmp_path):
  folder = data_dir / "raccoon"
  written = {}
  for kind in ("annotations_voc", "raccoon_coco.json"):
    sources = tuple(
      AnnotatedFolder(
        images=str(folder / "images"),
        annotations=str(folder / kind),
        split=split,
        only=str(folder / f"{name}_labels.csv"),
      )
      for split, name in (("train", "train"), ("eval", "test"))
    )
    output = tmp_path / kind
    manifest = convert(ConversionConfig(sources=sources), output)
    assert manifest["counts"]["objects"] == manifest["counts"]["annotations"] == 217
    written[kind] = content(output)
    del written[kind]["manifest.json"]  # has the paths in it
  assert written["annotations_voc"] == written["raccoon_coco.json"]
  with open(folder / "test_labels.csv") as file:
    names = {row["filename"] for row in csv.DictReader(file)}
  shards_of_eval = (tmp_path / "annotations_voc").glob("eval-*.gz")
  evals = [from_example(r) for path in shards_of_eval for r in read_records(path)]
  assert {image.filename for image in evals} == names


def test_every_fault_is_counted_and_named(annotated_set, tmp_path):
  names = [f"{number}.jpg" for number in range(1, 13)]
  annotated_set.write(names, boxes=[(4, 6, 20, 10)])
  images = annotated_set.images
  (images / "2.jpg").unlink()
  (images / "3.jpg").write_bytes((images / "3.jpg").read_bytes()[:-40])
  (images / "4.jpg").write_text("no image")
  (images / "5.jpg").write_bytes(b"")
  Image.new("RGB", (64, 48)).save(images / "6.jpg", "GIF")
  Image.new("RGB", (48, 64)).save(images / "7.jpg")
  outside = tmp_path / "outside.jpg"
  (images / "8.jpg").rename(outside)
  (images / "8.jpg").symlink_to(outside)
  (images / "9.jpg").unlink()
  (images / "9.jpg").mkdir()
  Image.open(images / "10.jpg").convert("CMYK").save(images / "10.jpg")
  Image.open(images / "11.jpg").convert("L").save(images / "11.jpg")
  listed = annotated_set.content["images"]
  listed.append({"id": 1, "file_name": "12.jpg"})
  listed.append({"id": 20, "file_name": "../set/images/1.jpg"})
  listed.append({"id": 21})
  annotated_set.annotate(20)
  annotated_set.annotate(21)
  faults = {
    "box_outside": {"bbox": [60, 40, 10, 4]},
    "zero_or_negative_size": {"bbox": [1, 1, 0, 4]},
    "not_a_number": {"bbox": [1, 1, float("nan"), 4]},
    "unknown_category": {"category_id": 99},
    "duplicate_annotation_id": {"id": 101},
    "bad_structure": {"bbox": [1, 2]},
    "unknown_image": {"image_id": 999},
  }
  for fields in faults.values():
    annotated_set.annotate(**{"image_id": 12, **fields})
  annotated_set.annotate(12, bbox=[60, 40, 4.5, 8.5], category_id=7, iscrowd=1)
  annotated_set.save()
  manifest = convert(config_of(annotated_set, max_dead_share=0.9), tmp_path / "out")
  counts = manifest["counts"]
  assert counts["dead_by_reason"] == {
    "bad_structure": 1,
    "duplicate_image_id": 1,
    "empty": 1,
    "missing_image": 1,
    "not_an_image": 1,
    "path_outside_folder": 2,
    "size_mismatch": 1,
    "truncated": 1,
    "unreadable": 1,
    "unsupported_format": 1,
  }
  assert counts["skipped_by_reason"] == dict.fromkeys(sorted(faults), 1)
  assert counts["images"] == 15
  assert counts["used"] == 4
  assert counts["notes"] == {"converted": 1, "grey": 1}
  assert counts["lost_with_image"] == 8 + 2
  assert counts["annotations"] == 12 + 2 + 7 + 1
  assert counts["objects"] == 5
  assert counts["objects_by_category"] == {"3": 4, "7": 1}
  assert (counts["clipped"], counts["crowds"]) == (1, 1)

  found = records(tmp_path / "out")
  assert set(found) == {"1", "10", "11", "12"}
  for number in (1, 10, 11, 12):
    path = images / f"{number}.jpg"
    assert found[str(number)].encoded == path.read_bytes()
  told = letters(tmp_path / "out" / "dead_letters.jsonl")
  assert len(told) == counts["dead"] + counts["skipped"]
  assert {letter["source"] for letter in told} == {str(annotated_set.json)}
  assert all(letter["detail"] for letter in told)
  by_image = {(t["reason"], t["image_id"], t["file"]) for t in told if not t["number"]}
  assert by_image == {
    ("missing_image", 2, "2.jpg"),
    ("truncated", 3, "3.jpg"),
    ("not_an_image", 4, "4.jpg"),
    ("empty", 5, "5.jpg"),
    ("unsupported_format", 6, "6.jpg"),
    ("size_mismatch", 7, "7.jpg"),
    ("path_outside_folder", 8, "8.jpg"),
    ("unreadable", 9, "9.jpg"),
    ("duplicate_image_id", 1, "12.jpg"),
    ("path_outside_folder", 20, "../set/images/1.jpg"),
    ("bad_structure", 21, None),
  }
  by_annotation = {t["reason"]: t for t in told if t["number"]}
  assert set(by_annotation) == set(faults)
  for place, (reason, fields) in enumerate(faults.items(), 14):
    letter = by_annotation[reason]
    assert letter["number"] == place
    assert letter["annotation_id"] == fields.get("id", 101 + place)
    assert letter["image_id"] == fields.get("image_id", 12)
    assert letter["file"] == (None if reason == "unknown_image" else "12.jpg")


def test_what_needs_no_object_is_kept(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "sub/ü 1.png"], boxes=())
  annotated_set.annotate(2, bbox=[1, 1, -5, 5])
  annotated_set.annotate(2)
  annotated_set.save()
  manifest = convert(config_of(annotated_set, max_dead_share=0.5), tmp_path / "out")
  found = records(tmp_path / "out")
  assert found["1"].boxes_yxyx_norm.shape == (0, 4)
  assert found["2"].filename == "sub/ü 1.png"
  assert found["2"].format == "png"
  assert manifest["counts"]["without_objects"] == 1
  assert manifest["counts"]["objects_by_category"] == {"3": 1, "7": 0}


@pytest.mark.parametrize("what", ["images", "annotations"])
def test_too_much_that_is_dead_leaves_only_its_list(annotated_set, tmp_path, what):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  if what == "images":
    (annotated_set.images / "b.jpg").write_text("no image")
    told = r"1 of 3 images cannot be used \(not_an_image 1\)"
  else:
    annotated_set.annotate(1, bbox=[1, 1, 0, 0])
    told = r"1 of 4 annotations cannot be used \(zero_or_negative_size 1\)"
    annotated_set.save()
  report = tmp_path / "out.dead_letters.jsonl"
  with pytest.raises(RuntimeError, match=f"{told}.*{report}"):
    convert(config_of(annotated_set, max_dead_share=0.2), tmp_path / "out")
  assert len(letters(report)) == 1
  assert sorted(path.name for path in tmp_path.iterdir()) == [report.name, "set"]
  convert(config_of(annotated_set, max_dead_share=0.4), tmp_path / "out")
  assert not report.exists()


def test_a_folder_that_vanishes_stops_the_job(annotated_set, tmp_path, monkeypatch):
  annotated_set.write(["a.jpg", "b.jpg"])

  def late(*arguments):
    annotated_set.images.rename(tmp_path / "elsewhere")
    return make_plan(*arguments)

  monkeypatch.setattr("hardmine.components.coco_gen.job.make_plan", late)
  with pytest.raises(RuntimeError, match=r"2 of 2 images .*missing_image 2"):
    convert(config_of(annotated_set, max_dead_share=1.0), tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_a_file_that_cannot_be_read_is_named(annotated_set, tmp_path, monkeypatch):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  monkeypatch.setattr(
    "hardmine.components.coco_gen.image_files._read", _refuse_second()
  )
  convert(config_of(annotated_set, max_dead_share=0.5), tmp_path / "out")
  (letter,) = letters(tmp_path / "out" / "dead_letters.jsonl")
  assert letter["reason"] == "unreadable"
  assert letter["detail"] == "PermissionError: Permission denied"


def _refuse_second():
  """Tests may run as root, who may read everything."""
  from hardmine.components.coco_gen import image_files

  original, calls = image_files._read, []

  def read(descriptor):
    calls.append(descriptor)
    if len(calls) == 2:
      raise PermissionError(13, "Permission denied")
    return original(descriptor)

  return read


@pytest.mark.parametrize(
  "error", [OSError("no space left on device"), KeyboardInterrupt]
)
def test_a_job_that_breaks_leaves_nothing(annotated_set, tmp_path, monkeypatch, error):
  annotated_set.write(["a.jpg"])

  def broken(*arguments, **options):
    raise error

  if isinstance(error, OSError):
    monkeypatch.setattr(convert_part, "convert_image", broken)
  else:
    monkeypatch.setattr("hardmine.components.coco_gen.job.count_again", broken)
  with pytest.raises((Exception, KeyboardInterrupt)):
    convert(config_of(annotated_set), tmp_path / "out")
  assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_records_lost_by_a_runner_are_noticed(annotated_set, tmp_path, monkeypatch):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  original = shards.join_shard

  def forgetful(shard, staging_dir, compressed):
    path, names = shard
    return original((path, sorted(names)[1:]), staging_dir, compressed)

  monkeypatch.setattr(shards, "join_shard", forgetful)
  with pytest.raises(RuntimeError, match="images instead of"):
    convert(config_of(annotated_set), tmp_path / "out")
  assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_split_without_usable_images_stops_the_job(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  (annotated_set.images / "c.jpg").write_text("no image")
  sources = []
  for split, text in (("train", "a.jpg\nb.jpg"), ("eval", "c.jpg")):
    (tmp_path / f"{split}.txt").write_text(text)
    sources.append(
      AnnotatedFolder(
        images=str(annotated_set.images),
        annotations=str(annotated_set.json),
        split=split,
        only=str(tmp_path / f"{split}.txt"),
      )
    )
  config = ConversionConfig(sources=tuple(sources), max_dead_share=0.5)
  with pytest.raises(RuntimeError, match="split eval has no usable image"):
    convert(config, tmp_path / "out")
  assert not (tmp_path / "out").exists()


def test_faults_of_images_that_are_left_out_do_not_count(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg"])
  annotated_set.annotate(2, bbox=[0, 0, "x", 0])
  annotated_set.annotate(2, id=101)
  annotated_set.save()
  only = tmp_path / "only.txt"
  only.write_text("a.jpg")
  source = AnnotatedFolder(
    images=str(annotated_set.images),
    annotations=str(annotated_set.json),
    only=str(only),
  )
  manifest = convert(ConversionConfig(sources=(source,)), tmp_path / "out")
  assert manifest["counts"]["annotations"] == manifest["counts"]["objects"] == 1
  assert letters(tmp_path / "out" / "dead_letters.jsonl") == []


def test_progress_ends_with_everything_done(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  seen = []
  progress = {"on_progress": lambda *numbers: seen.append(numbers)}
  convert(config_of(annotated_set), tmp_path / "out", **progress)
  assert seen[-1] == (3, 3)
