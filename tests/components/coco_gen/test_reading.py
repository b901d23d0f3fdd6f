"""COCO JSON, Pascal VOC and lists of images, as people bring them."""

import json

import numpy as np
import pytest

from hardmine.components.coco_gen import row_sorting
from hardmine.components.coco_gen.annotations import ROW, AnnotationSet
from hardmine.components.coco_gen.reading import input_files, read_annotations
from hardmine.components.coco_gen.row_sorting import (
  NOT_TAKEN,
  Destinations,
  SortedSet,
  read_rows,
  repeated_ids,
  sort_rows,
)
from hardmine.components.coco_gen.selection import read_only, select
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig


@pytest.fixture
def read(annotated_set, tmp_path):
  """Reads sources of the set's images; keyword arguments as `AnnotatedFolder`'s."""

  def read(*sources):
    config = ConversionConfig(
      sources=tuple(
        AnnotatedFolder(
          **{
            "images": str(annotated_set.images),
            "annotations": str(annotated_set.json),
            **{name: str(value) for name, value in source.items()},
          }
        )
        for source in sources or [{}]
      )
    )
    folder = tmp_path / f"read{len(list(tmp_path.iterdir()))}"
    sets, categories = read_annotations(config, input_files(config), folder)
    return config, sets, categories

  return read


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
    ({"area": None}, "not_a_number"),
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


@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "bbox"])
def test_a_missing_key_is_named(annotated_set, read, key):
  annotated_set.write(["a.jpg"])
  del annotated_set.content["annotations"][0][key]
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
    {"id": 9, "file_name": "a.jpg", "height": 0},
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
    ({"categories": [{"id": 3}]}, "without name"),
    ({"categories": [{"id": "3", "name": "cat"}]}, "not a whole number"),
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


@pytest.mark.parametrize("text", ["", "[]", "\x00", '{"images": [{"id": 1'])
def test_a_file_that_is_no_coco_json_is_refused_by_name(annotated_set, read, text):
  annotated_set.write(["a.jpg"])
  annotated_set.json.write_text(text)
  with pytest.raises(ValueError, match=r"instances\.json"):
    read()


@pytest.mark.parametrize(
  "categories",
  [
    [{"id": 3, "name": "dog"}, {"id": 7, "name": "cat"}],
    [{"id": 4, "name": "cat"}],
  ],
)
def test_sources_that_disagree_are_refused(annotated_set, read, tmp_path, categories):
  annotated_set.write(["a.jpg"])
  other = tmp_path / "other.json"
  content = {**annotated_set.content, "categories": categories}
  other.write_text(json.dumps(content))
  with pytest.raises(
    ValueError, match=r"sources that agree about category.*other\.json"
  ):
    read({}, {"annotations": other, "split": "eval"})


def test_sources_add_their_categories(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  other = tmp_path / "other.json"
  categories = [{"id": 90, "name": "gnu"}, {"id": 3, "name": "cat"}]
  other.write_text(json.dumps({**annotated_set.content, "categories": categories}))
  _, _, united = read({}, {"annotations": other})
  assert dict(zip(united.ids, united.names)) == {3: "cat", 7: "dog", 90: "gnu"}


VOC = """<annotation><filename>{name}</filename>
<size><width>64</width><height>48</height><depth>3</depth></size>{objects}</annotation>"""
OBJECT = """<object><name>{kind}</name><difficult>1</difficult><bndbox><xmin>{0}</xmin>
<ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax></bndbox></object>"""


def write_voc(folder, **files):
  folder.mkdir()
  for stem, objects in files.items():
    text = VOC.format(name=f"{stem}.jpg", objects="".join(objects))
    (folder / f"{stem}.xml").write_text(text)
  return folder


def test_voc_numbers_what_has_no_numbers(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg"])
  one = write_voc(
    tmp_path / "one",
    b=[OBJECT.format(1, 2, 11, 22, kind="zebra")],
    a=[
      OBJECT.format(3, 4, 5.5, 6, kind="ant"),
      OBJECT.format(0, 0, 9, 9, kind="zebra"),
    ],
  )
  two = write_voc(tmp_path / "two", c=[OBJECT.format(1, 1, 2, 2, kind="bee")])
  _, sets, categories = read(
    {"annotations": one}, {"annotations": one, "split": "eval"}, {"annotations": two}
  )
  assert dict(zip(categories.ids, categories.names)) == {1: "ant", 2: "bee", 3: "zebra"}
  first, second = sets.values()
  assert {k: image.file for k, image in first.images.items()} == {
    1: "a.jpg",
    2: "b.jpg",
  }
  assert {k: image.file for k, image in second.images.items()} == {3: "c.jpg"}
  rows = rows_of(first)
  assert rows["annotation_id"].tolist() == [1, 2, 3]
  assert rows["image_id"].tolist() == [1, 1, 2]
  assert rows["category_id"].tolist() == [1, 3, 3]
  assert rows["width_px"].tolist() == [2.5, 9, 10]
  assert rows["height_px"].tolist() == [2, 9, 20]
  assert rows["is_crowd"].tolist() == [0, 0, 0]
  assert rows_of(second)["annotation_id"].tolist() == [4]


def test_voc_beside_coco_takes_cocos_numbers(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  objects = [OBJECT.format(1, 1, 2, 2, kind=kind) for kind in ("dog", "gnu")]
  folder = write_voc(tmp_path / "voc", b=objects)
  _, sets, categories = read({}, {"annotations": folder})
  assert categories.names == ("cat", "dog")
  found = sets[str(folder)]
  assert rows_of(found)["category_id"].tolist() == [7]
  (fault,) = found.faults()
  assert (fault.reason, fault.file) == ("unknown_category", "b.jpg")


def test_bad_xml_is_named(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  objects = [
    OBJECT.format(1, 1, "x", 2, kind="cat"),
    OBJECT.format(1, 1, "nan", 2, kind="cat"),
    "<object><name>cat</name></object>",
    OBJECT.format(1, 1, 2, 2, kind=""),
    OBJECT.format(1, 1, 2, 2, kind="cat"),
  ]
  folder = write_voc(tmp_path / "voc", a=objects)
  (folder / "broken.xml").write_text("<annotation>")
  (folder / "nameless.xml").write_text("<annotation/>")
  _, sets, _ = read({"annotations": folder})
  (found,) = sets.values()
  faults = list(found.faults())
  assert [f.reason for f in faults] == ["not_a_number"] * 2 + ["bad_structure"] * 2
  assert [f.annotation_id for f in faults] == [1, 2, 3, 4]
  assert {fault.file for fault in faults} == {"a.jpg"}
  assert all("a.xml" in fault.detail for fault in faults)
  assert rows_of(found)["annotation_id"].tolist() == [5]
  assert [f.image_id for f in found.image_faults] == [2, 3]
  assert [f.detail.split(":")[0] for f in found.image_faults] == [
    "broken.xml",
    "nameless.xml",
  ]


@pytest.mark.parametrize("kind", ["images", "annotations", "only"])
def test_a_path_with_nothing_is_the_callers_mistake(
  annotated_set, read, tmp_path, kind
):
  annotated_set.write(["a.jpg"])
  with pytest.raises(ValueError, match=rf"path with files \({kind}\).*nowhere"):
    read({kind: tmp_path / "nowhere"})


def test_a_folder_without_xml_is_no_annotations(annotated_set, read):
  annotated_set.write(["a.jpg", "b.jpg"])
  with pytest.raises(ValueError, match="folder of Pascal VOC XML"):
    read({"annotations": annotated_set.images})


def taken(selection, split):
  return [image.image.file for image in selection.splits[split]]


def test_only_takes_names_and_stems(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "sub/c.jpg", "d.png"])
  annotated_set.content["images"].append({"id": 9, "file_name": "e.jpg", "width": -1})
  annotated_set.save()
  only = tmp_path / "only.txt"
  only.write_text("sub/c.jpg\n\na\r\na.jpg\nnowhere.jpg\ne.jpg\n")
  config, sets, _ = read({"only": only})
  selection = select(config, sets)
  assert taken(selection, "train") == ["a.jpg", "sub/c.jpg"]
  assert [(f.reason, f.file) for _, f in selection.faults] == [
    ("not_annotated", "nowhere.jpg"),
    ("bad_structure", "e.jpg"),
  ]


def test_lists_may_be_csv(tmp_path):
  path = tmp_path / "labels.csv"
  path.write_text("width,filename\n1,ä.jpg\n2,ä.jpg\n3,b.jpg\n", "utf-8")
  assert read_only(str(path)) == ["ä.jpg", "b.jpg"]
  path.write_text("file\na.jpg\n")
  with pytest.raises(ValueError, match=r"column `filename`.*labels\.csv"):
    read_only(str(path))
  path.write_text("filename\n")
  with pytest.raises(ValueError, match="at least one image"):
    read_only(str(path))
  path.write_bytes(b"\xff\xfe")
  with pytest.raises(ValueError, match="UTF-8"):
    read_only(str(path))


def test_paths_that_leave_the_folder_are_not_taken(annotated_set, read):
  names = ["../a.jpg", "x/../../a.jpg", "/etc/passwd", "x/../b.jpg"]
  annotated_set.write(["c.jpg"])
  for number, name in enumerate(names, 10):
    annotated_set.content["images"].append({"id": number, "file_name": name})
  annotated_set.save()
  config, sets, _ = read()
  selection = select(config, sets)
  assert taken(selection, "train") == ["c.jpg", "x/../b.jpg"]
  assert [(f.reason, f.image_id, f.file) for _, f in selection.faults] == [
    ("path_outside_folder", number, name) for number, name in enumerate(names[:3], 10)
  ]


def test_an_image_in_two_splits_is_refused(annotated_set, read):
  annotated_set.write(["a.jpg"])
  config, sets, _ = read({}, {"split": "eval"})
  with pytest.raises(ValueError, match=r"splits that share no image.*a\.jpg"):
    select(config, sets)


def test_an_id_twice_in_a_split_counts_once(annotated_set, read):
  annotated_set.write(["a.jpg", "b.jpg"])
  annotated_set.content["images"].append({"id": 1, "file_name": "c.jpg"})
  annotated_set.save()
  config, sets, _ = read({}, {})
  selection = select(config, sets)
  assert taken(selection, "train") == ["a.jpg", "b.jpg"]
  assert {fault.reason for _, fault in selection.faults} == {"duplicate_image_id"}


def random_set(folder, num, seed):
  generator = np.random.default_rng(seed)
  found = AnnotationSet("set", folder)
  with found:
    for number in range(num):
      ids = (int(generator.integers(0, num)), int(generator.integers(-5, 40)))
      found.add_row((number, *ids, 1, 2.5, 3, 4, 5, 6, 0))
  return found


def test_rows_come_to_their_parts_in_order(tmp_path, monkeypatch):
  monkeypatch.setattr(row_sorting, "_BLOCK", 64)
  monkeypatch.setattr(row_sorting, "_IDS_AT_ONCE", 100)
  found = random_set(tmp_path, 1000, 3)
  rows = rows_of(found)
  seen, again = set(), []
  for place, number in enumerate(rows["annotation_id"].tolist()):
    if number in seen:
      again.append(place)
    seen.add(number)
  repeated = repeated_ids(found)
  assert repeated.tolist() == again

  image_ids = np.arange(30)
  parts = np.where(image_ids % 5 == 4, NOT_TAKEN, image_ids % 5)
  goes = Destinations(image_ids=image_ids, parts=parts)
  once = SortedSet(found=found, destinations=goes, repeated=repeated)
  bounds = sort_rows([once], 4, tmp_path / "sorted")
  first = np.ones(1000, bool)
  first[again] = False
  for part in range(4):
    known = first & (rows["image_id"] >= 0) & (rows["image_id"] < 30)
    expected = rows[known & (rows["image_id"] % 5 == part)]
    mine = read_rows(tmp_path / "sorted", *bounds[part : part + 2].tolist())
    np.testing.assert_array_equal(mine, expected)
