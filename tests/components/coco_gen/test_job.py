"""The Beam job: everything usable is kept, and any workers give the same."""

import collections
import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from hardmine.components.jobs.tfrecords import read_records
from hardmine.schemas.coco_example import from_example, parse
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from hardmine.schemas.manifest import read_manifest
from tests.components.coco_gen.conversions import (
  config_of,
  content,
  convert,
  letters,
  records,
)


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
  # Cameras' and Adobe's profiles; an sRGB one changes no pixel and counts nothing.
  assert counts["notes"] == {"colour_converted": 56, "grey": 1}
  assert counts["splits"] == {"train": {"images": 343, "objects": kept}}
  assert counts["copies"] == 0


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


def test_faults_of_images_that_are_left_out_do_not_count(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg"])
  annotated_set.annotate(2, bbox=[0, 0, "x", 0])
  annotated_set.annotate(2, id=102)
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
