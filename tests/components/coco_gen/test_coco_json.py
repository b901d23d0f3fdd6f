"""COCO JSON as people bring it."""

import json

import numpy as np
import pytest

from hardmine.components.coco_gen.annotations import ROW


def rows_of(found):
  return np.fromfile(found.rows_path, ROW)


@pytest.mark.parametrize("order", ["images", "annotations", "categories"])
def test_keys_come_in_any_order(annotated_set, read, order):
  annotated_set.write(["ä.jpg", "b.jpg"])
  content = annotated_set.content
  content = {"info": {"year": 2017}, order: content[order], **content, "licenses": []}
  annotated_set.json.write_text("\ufeff" + json.dumps(content), "utf-8")
  _, sets, categories = read()
  (found,) = sets.values()
  assert [image.file for image in found.images.values()] == ["ä.jpg", "b.jpg"]
  assert categories.names == ("cat", "dog")
  assert categories.ids == (3, 7)
  rows = rows_of(found)
  assert rows["annotation_id"].tolist() == [101, 102]
  assert rows["area_px"].tolist() == [150.5, 150.5]
  assert list(found.faults()) == []


def test_area_and_crowd_may_be_missing(annotated_set, read):
  annotated_set.write(["a.jpg"], boxes=())
  annotated_set.annotate(1)
  for key in ("area", "iscrowd", "segmentation"):
    del annotated_set.content["annotations"][0][key]
  annotated_set.save()
  _, sets, _ = read()
  (row,) = rows_of(next(iter(sets.values())))
  assert np.isnan(row["area_px"])
  assert row["is_crowd"] == 0


@pytest.mark.parametrize(
  ("fields", "reason"),
  [
    ({"bbox": [1, 2, float("nan"), 4]}, "not_a_number"),
    ({"bbox": [1, 2, float("-inf"), 4]}, "not_a_number"),
    ({"bbox": [1, 2, None, 4]}, "not_a_number"),
    ({"bbox": [1, 2, "3", 4]}, "not_a_number"),
    ({"bbox": [1, 2, True, 4]}, "not_a_number"),
    ({"bbox": [1, 2, 10**400, 4]}, "not_a_number"),
    ({"area": float("nan")}, "not_a_number"),
    ({"area": -1}, "zero_or_negative_size"),
    ({"bbox": [1, 2, 3]}, "bad_structure"),
    ({"bbox": None}, "bad_structure"),
    ({"category_id": "cat"}, "bad_structure"),
    ({"category_id": 1.5}, "bad_structure"),
    ({"id": 1 << 63}, "bad_structure"),
    ({"iscrowd": "yes"}, "bad_structure"),
  ],
)
def test_bad_annotations_are_faults_that_name_them(annotated_set, read, fields, reason):
  annotated_set.write(["a.jpg"])
  annotated_set.annotate(1, **fields)
  annotated_set.save()
  _, sets, _ = read()
  (found,) = sets.values()
  (fault,) = found.faults()
  assert fault.reason == reason
  assert fault.image_id == 1
  assert fault.annotation_id == (None if "id" in fields else 102)
  assert fault.number == 1
  assert "annotations[1]" in fault.detail
  assert len(rows_of(found)) == 1


@pytest.mark.parametrize("key", ["image_id", "category_id", "bbox"])
@pytest.mark.parametrize("null", [True, False])
def test_a_missing_key_is_named(annotated_set, read, key, null):
  annotated_set.write(["a.jpg"])
  annotation = annotated_set.content["annotations"][0]
  del annotation[key]
  if null:
    annotation[key] = None
  annotated_set.content["annotations"].append("no object")
  annotated_set.save()
  _, sets, _ = read()
  first, second = next(iter(sets.values())).faults()
  assert first.reason == second.reason == "bad_structure"
  assert f"without {key}" in first.detail
  assert "not an object" in second.detail


@pytest.mark.parametrize(
  "image",
  [
    {"id": 9},
    {"file_name": "a.jpg"},
    {"id": "9", "file_name": "a.jpg"},
    {"id": 9, "file_name": ""},
    {"id": 9, "file_name": "a\0.jpg"},
    {"id": 9, "file_name": "\ud800.jpg"},
    {"id": 9, "file_name": "a.jpg", "width": "64"},
    {"id": 9, "file_name": "a.jpg", "height": -2},
    7,
  ],
)
def test_bad_images_are_faults(annotated_set, read, image):
  annotated_set.write(["a.jpg"])
  annotated_set.content["images"].append(image)
  annotated_set.json.write_text(json.dumps(annotated_set.content))
  _, sets, _ = read()
  (found,) = sets.values()
  (fault,) = found.image_faults
  assert fault.reason == "bad_structure"
  assert "images[1]" in fault.detail
  assert list(found.images) == [1]


@pytest.mark.parametrize(
  ("change", "message"),
  [
    ({"images": []}, "lists images"),
    ({"categories": []}, "lists categories"),
    ({"categories": [{"name": "cat"}]}, "without id"),
    ({"categories": [{"id": "3", "name": "cat"}]}, "not a whole number: write it wi"),
    ({"categories": [{"id": 3, "name": 3}]}, "name 3 is not a name"),
    ({"images": None}, "lists images, annotations, categories. .* null as images"),
    ({"annotations": {"id": 1}}, "Received: dict as annotations"),
    ({"categories": [{"id": 3, "name": n} for n in "ab"]}, "id 3 is 'a' and 'b'"),
  ],
)
def test_a_file_without_its_tables_is_refused_by_name(
  annotated_set, read, change, message
):
  annotated_set.write(["a.jpg"])
  annotated_set.content.update(change)
  annotated_set.save()
  with pytest.raises(ValueError, match=message) as caught:
    read()
  assert str(annotated_set.json) in str(caught.value)


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
def test_a_list_that_is_missing_is_named(annotated_set, read, name):
  annotated_set.write(["a.jpg"])
  del annotated_set.content[name]
  annotated_set.save()
  with pytest.raises(ValueError, match=f"Received: no {name} in annotations="):
    read()


def test_an_id_that_stands_twice_is_nobodys(annotated_set, read):
  """Which image an annotation of it means cannot be known, so neither is used."""
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
  listed = annotated_set.content["images"]
  listed[2]["id"] = 1.0  # the same number as a's
  listed[3]["id"] = 1
  listed.append({"id": 2, "file_name": ""})  # at fault, and yet it has b's id
  annotated_set.save()
  _, sets, _ = read()
  (found,) = sets.values()
  assert found.images == {}
  faults = [(f.reason, f.image_id, f.file) for f in found.image_faults]
  assert sorted(faults) == [
    ("bad_structure", 2, ""),
    ("duplicate_image_id", 1, "a.jpg"),
    ("duplicate_image_id", 1, "c.jpg"),
    ("duplicate_image_id", 1, "d.jpg"),
    ("duplicate_image_id", 2, "b.jpg"),
  ]
  first = next(fault for fault in found.image_faults if fault.file == "a.jpg")
  assert "c.jpg" in first.detail


def test_an_annotation_needs_no_id(annotated_set, read):
  annotated_set.write(["a.jpg"], boxes=())
  for given in (None, ..., 101):
    annotated_set.annotate(1, id=given)
    if given is ...:
      del annotated_set.content["annotations"][-1]["id"]
  annotated_set.save()
  _, sets, _ = read()
  (found,) = sets.values()
  assert list(found.faults()) == []
  assert rows_of(found)["annotation_id"].tolist() == [-1, -2, 101]


@pytest.mark.parametrize("text", ["", "[]", "\x00", '{"images": [{"id": 1'])
def test_a_file_that_is_no_coco_json_is_refused_by_name(annotated_set, read, text):
  annotated_set.write(["a.jpg"])
  annotated_set.json.write_text(text)
  with pytest.raises(ValueError, match=r"instances\.json"):
    read()
