"""Pascal VOC as people bring it, alone and beside COCO JSON."""

import numpy as np

from hardmine.components.coco_gen.annotations import ROW


def rows_of(found):
  return np.fromfile(found.rows_path, ROW)


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
