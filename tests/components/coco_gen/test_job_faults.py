"""The Beam job: faults are named, and a set is whole or not there at all."""

import dataclasses
import json
import os
import shutil

import pytest
from PIL import Image

from hardmine.components.coco_gen import convert_part
from hardmine.components.coco_gen.planning import make_plan
from hardmine.components.jobs import shards
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig
from tests.components.coco_gen.conversions import (
  config_of,
  convert,
  letters,
  records,
)

ANNOTATION_FAULTS = {
  "box_outside": {"bbox": [60, 40, 10, 4]},
  "zero_or_negative_size": {"bbox": [1, 1, 0, 4]},
  "not_a_number": {"bbox": [1, 1, float("nan"), 4]},
  "unknown_category": {"category_id": 99},
  "duplicate_annotation": {"id": 112},
  "bad_structure": {"bbox": [1, 2]},
  "unknown_image": {"image_id": 999},
}


def spoil(images, outside):
  """Makes files of a folder unusable, each in its way, and two of another mode."""
  (images / "2.jpg").unlink()
  (images / "3.jpg").write_bytes((images / "3.jpg").read_bytes()[:-40])
  (images / "4.jpg").write_text("no image")
  (images / "5.jpg").write_bytes(b"")
  Image.new("RGB", (64, 48)).save(images / "6.jpg", "GIF")
  Image.new("RGB", (48, 64)).save(images / "7.jpg")
  (images / "8.jpg").rename(outside)
  (images / "8.jpg").symlink_to(outside)
  (images / "9.jpg").unlink()
  (images / "9.jpg").symlink_to("9.jpg")
  Image.open(images / "10.jpg").convert("CMYK").save(images / "10.jpg")
  Image.open(images / "11.jpg").convert("L").save(images / "11.jpg")


@pytest.fixture
def faulty_set(annotated_set, tmp_path):
  """Three good images, with an object or more each, and every kind of fault."""
  annotated_set.write([f"{number}.jpg" for number in range(1, 13)])
  spoil(annotated_set.images, tmp_path / "outside.jpg")
  listed = annotated_set.content["images"]
  listed.append({"id": 1, "file_name": "13.jpg"})
  listed.append({"id": 20, "file_name": "../set/elsewhere/1.jpg"})
  listed.append({"id": 21})
  annotated_set.annotate(20)
  annotated_set.annotate(21)
  for fields in ANNOTATION_FAULTS.values():
    annotated_set.annotate(**{"image_id": 12, **fields})
  annotated_set.annotate(12, bbox=[60, 40, 4.5, 8.5], category_id=7, iscrowd=1)
  annotated_set.save()
  return annotated_set


def test_every_fault_is_counted(faulty_set, tmp_path):
  manifest = convert(config_of(faulty_set, max_dead_share=0.9), tmp_path / "out")
  counts = manifest["counts"]
  assert counts["dead_by_reason"] == {
    "bad_structure": 1,
    "duplicate_image_id": 2,
    "empty": 1,
    "missing_image": 1,
    "not_an_image": 1,
    "path_outside_folder": 2,
    "size_mismatch": 1,
    "truncated": 1,
    "unreadable": 1,
    "unsupported_format": 1,
  }
  assert counts["skipped_by_reason"] == dict.fromkeys(sorted(ANNOTATION_FAULTS), 1)
  assert counts["images"] == 15
  assert counts["used"] == 3
  assert counts["notes"] == {"converted": 1, "grey": 1}
  assert counts["lost_with_image"] == 9 + 2
  assert counts["annotations"] == 12 + 2 + 7 + 1
  assert counts["objects"] == 4
  assert counts["objects_by_category"] == {"3": 3, "7": 1}
  assert (counts["clipped"], counts["crowds"]) == (1, 1)
  found = records(tmp_path / "out")
  assert set(found) == {"10", "11", "12"}
  for number in (10, 11, 12):
    path = faulty_set.images / f"{number}.jpg"
    assert found[str(number)].encoded == path.read_bytes()


def test_every_fault_is_named(faulty_set, tmp_path):
  manifest = convert(config_of(faulty_set, max_dead_share=0.9), tmp_path / "out")
  counts = manifest["counts"]
  told = letters(tmp_path / "out" / "dead_letters.jsonl")
  assert len(told) == counts["dead"] + counts["skipped"]
  assert {letter["source"] for letter in told} == {str(faulty_set.json)}
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
    ("duplicate_image_id", 1, "1.jpg"),
    ("duplicate_image_id", 1, "13.jpg"),
    ("path_outside_folder", 20, "../set/elsewhere/1.jpg"),
    ("bad_structure", 21, None),
  }
  by_annotation = {t["reason"]: t for t in told if t["number"]}
  assert set(by_annotation) == set(ANNOTATION_FAULTS)
  for place, (reason, fields) in enumerate(ANNOTATION_FAULTS.items(), 14):
    letter = by_annotation[reason]
    assert letter["number"] == place
    assert letter["annotation_id"] == fields.get("id", 101 + place)
    assert letter["image_id"] == fields.get("image_id", 12)
    assert letter["file"] == (None if reason == "unknown_image" else "12.jpg")


@pytest.mark.parametrize("what", ["images", "annotations"])
def test_too_much_that_is_dead_leaves_only_its_list(annotated_set, tmp_path, what):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  if what == "images":
    (annotated_set.images / "b.jpg").write_text("no image")
    told = r"1 of 3 images cannot be used \(not_an_image 1\).*, as b\.jpg: Expected"
  else:
    annotated_set.annotate(1, bbox=[1, 1, 0, 0])
    told = r"1 of 4 annotations cannot be used .*, as a\.jpg, annotation 104: bbox"
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

  monkeypatch.setattr("hardmine.components.coco_gen.convert_job.make_plan", late)
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
    monkeypatch.setattr("hardmine.components.coco_gen.job.file_facts", broken)
  with pytest.raises((Exception, KeyboardInterrupt)):
    convert(config_of(annotated_set), tmp_path / "out")
  assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_records_lost_by_a_runner_are_noticed(annotated_set, tmp_path, monkeypatch):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  original = shards.join_shard

  def forgetful(group, **where):
    path, told = group
    return original((path, list(told)[1:]), **where)

  monkeypatch.setattr(shards, "join_shard", forgetful)
  with pytest.raises(RuntimeError, match=r"lost or doubled some: \d parts instead of"):
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


def test_a_split_without_objects_is_refused_where_they_are_needed(
  annotated_set, tmp_path
):
  annotated_set.write(["a.jpg", "b.jpg"], boxes=())
  config = config_of(annotated_set)
  with pytest.raises(ValueError, match="the split train has no object"):
    convert(config, tmp_path / "out", needs_objects=True)
  assert not (tmp_path / "out").exists()
  assert convert(config, tmp_path / "out")["counts"]["without_objects"] == 2


def test_the_annotations_of_a_doubled_id_are_lost(annotated_set, tmp_path):
  """The last image gets the first one's id, and its annotation goes with it."""
  annotated_set.write([f"{number}.jpg" for number in range(20)])
  annotated_set.content["images"][19]["id"] = 1
  annotated_set.content["annotations"][19].update(image_id=1, category_id=7)
  annotated_set.save()
  counts = convert(config_of(annotated_set), tmp_path / "out")["counts"]
  assert set(records(tmp_path / "out")) == {str(number) for number in range(2, 20)}
  assert counts["dead_by_reason"] == {"duplicate_image_id": 2}
  assert (counts["objects"], counts["lost_with_image"]) == (18, 2)
  told = letters(tmp_path / "out" / "dead_letters.jsonl")
  assert [letter["file"] for letter in told] == ["0.jpg", "19.jpg"]
  assert all("0.jpg and 19.jpg have the id 1" in letter["detail"] for letter in told)


@pytest.mark.parametrize("how", ["copy", "link", "symlink"])
def test_a_picture_in_two_splits_is_refused_whatever_its_name(
  annotated_set, tmp_path, how
):
  names = [f"{number}.jpg" for number in range(6)]
  annotated_set.write(names)
  other = annotated_set.images if how == "symlink" else tmp_path / "other"
  other.mkdir(exist_ok=True)
  if how == "symlink":
    (other / "new.jpg").symlink_to("2.jpg")
  else:
    {"copy": shutil.copy, "link": os.link}[how](
      annotated_set.images / "2.jpg", other / "new.jpg"
    )
  evals = tmp_path / "evals.json"
  images = [{"id": 1, "file_name": "new.jpg"}]
  evals.write_text(json.dumps({**annotated_set.content, "images": images}))
  config = config_of(annotated_set, max_dead_share=0.9)
  source = AnnotatedFolder(images=str(other), annotations=str(evals), split="eval")
  config = dataclasses.replace(config, sources=(*config.sources, source))
  report = tmp_path / "out.dead_letters.jsonl"
  with pytest.raises(ValueError, match="share no picture") as caught:
    convert(config, tmp_path / "out")
  told = str(caught.value)
  assert "1 pictures in two splits" in told
  assert f"{other}/new.jpg in eval and {annotated_set.images}/2.jpg in train" in told
  assert str(report) in told
  assert len(letters(report)) == 2
  assert not (tmp_path / "out").exists()


def test_copies_within_a_split_are_counted(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  shutil.copy(annotated_set.images / "a.jpg", annotated_set.images / "c.jpg")
  counts = convert(config_of(annotated_set), tmp_path / "out")["counts"]
  assert (counts["copies"], counts["used"]) == (1, 3)


def test_what_no_parser_reads_is_on_a_list(annotated_set, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg"])
  folder = tmp_path / "voc"
  folder.mkdir()
  for name in ("a", "b"):
    (folder / f"{name}.xml").write_text("<annotation>\n<object>")
  source = AnnotatedFolder(images=str(annotated_set.images), annotations=str(folder))
  report = tmp_path / "out.dead_letters.jsonl"
  with pytest.raises(ValueError, match=rf"a\.xml: no XML .* line 2.*{report}"):
    convert(ConversionConfig(sources=(source,)), tmp_path / "out")
  details = [letter["detail"] for letter in letters(report)]
  assert [detail.split(":")[0] for detail in details] == ["a.xml", "b.xml"]
