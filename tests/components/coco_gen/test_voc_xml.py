"""Pascal VOC as people bring it, alone and beside COCO JSON."""

import numpy as np
import pytest

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
  assert {k: image.file for k, image in second.images.items()} == {1: "c.jpg"}
  rows = rows_of(first)
  assert rows["annotation_id"].tolist() == [1, 2, 3]
  assert rows["image_id"].tolist() == [1, 1, 2]
  assert rows["category_id"].tolist() == [1, 3, 3]
  assert rows["width_px"].tolist() == [2.5, 9, 10]
  assert rows["height_px"].tolist() == [2, 9, 20]
  assert rows["is_crowd"].tolist() == [0, 0, 0]
  assert rows_of(second)["annotation_id"].tolist() == [1]


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


def test_an_unknown_name_is_told_the_nearest(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  folder = write_voc(tmp_path / "voc", b=[OBJECT.format(1, 1, 2, 2, kind="Dog")])
  _, sets, _ = read({}, {"annotations": folder})
  (fault,) = sets[str(folder)].faults()
  assert fault.detail == "b.xml: 'Dog' is no category; the nearest is 'dog'"


def test_names_that_two_ids_share_name_nothing(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  annotated_set.content["categories"].append({"id": 9, "name": "dog"})
  annotated_set.save()
  read()  # COCO's own annotations go by number
  folder = write_voc(tmp_path / "voc", b=[OBJECT.format(1, 1, 2, 2, kind="dog")])
  with pytest.raises(ValueError, match=r"differ in name.*name='dog', ids=\(7, 9\)"):
    read({}, {"annotations": folder})


@pytest.mark.parametrize(
  ("size", "expected"),
  [
    ("<width>0</width><height>0</height>", (None, None)),
    ("<width>-1</width><height/>", (None, None)),
    ("<width>64.0</width><height>48</height>", (64, 48)),
    ("", (None, None)),
  ],
)
def test_a_size_that_exporters_make_up_is_not_given(
  annotated_set, read, tmp_path, size, expected
):
  annotated_set.write(["a.jpg"])
  folder = write_voc(tmp_path / "voc", a=[OBJECT.format(1, 1, 2, 2, kind="ant")])
  text = (folder / "a.xml").read_text()
  begin, end = text.index("<width>"), text.index("<depth>")
  (folder / "a.xml").write_text(text[:begin] + size + text[end:])
  _, sets, _ = read({"annotations": folder})
  (found,) = sets.values()
  (image,) = found.images.values()
  assert (image.width_px, image.height_px) == expected
  assert image.own_stem == "a"


def test_namespaces_and_mac_shadows_are_passed_over(annotated_set, read, tmp_path):
  annotated_set.write(["a.jpg"])
  folder = write_voc(tmp_path / "voc", a=[OBJECT.format(1, 1, 2, 2, kind="ant")])
  text = (folder / "a.xml").read_text()
  (folder / "a.xml").write_text(
    text.replace("<annotation>", '<annotation xmlns="http://example.org/voc">')
  )
  (folder / "._a.xml").write_bytes(b"\x00\x05\x16\x07")
  (folder / "deeper").mkdir()
  (folder / "deeper" / "b.XML").write_text(text)
  _, sets, categories = read({"annotations": folder})
  (found,) = sets.values()
  assert [image.file for image in found.images.values()] == ["a.jpg"]
  assert found.image_faults == []
  assert categories.names == ("ant",)
  assert found.notes["xml_in_subfolder"] == 1


BOMB = """<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>
<annotation><filename>&b;</filename></annotation>"""


@pytest.mark.parametrize(
  ("content", "told"),
  [
    (
      "<annotation>\n<filename>é</filename></annotation>".encode("latin-1"),
      r"a\.xml: no XML \(not well-formed .*: line 2, .*not UTF-8: save it as UTF-8",
    ),
    (b"<annotation>\n</wrong>", r"a\.xml: no XML \(mismatched tag: line 2, column 2\)"),
    (b"", r"a\.xml: no XML \(no element found: line 1"),
    (BOMB.encode(), r"a\.xml: no XML \(it defines an entity: line 1\)"),
  ],
)
def test_what_is_no_xml_is_told_and_not_called_an_absence(
  annotated_set, read, tmp_path, content, told
):
  annotated_set.write(["a.jpg"])
  (tmp_path / "voc").mkdir()
  (tmp_path / "voc" / "a.xml").write_bytes(content)
  with pytest.raises(ValueError, match=f"at least one category.*1 files.*{told}"):
    read({"annotations": tmp_path / "voc"})


def test_other_encodings_are_read_where_they_are_declared(
  annotated_set, read, tmp_path
):
  annotated_set.write(["a.jpg"])
  (tmp_path / "voc").mkdir()
  text = '<?xml version="1.0" encoding="iso-8859-1"?>' + VOC.format(
    name="é.jpg", objects=OBJECT.format(1, 1, 2, 2, kind="chat")
  )
  (tmp_path / "voc" / "a.xml").write_bytes(text.encode("latin-1"))
  _, sets, _ = read({"annotations": tmp_path / "voc"})
  (found,) = sets.values()
  assert found.images[1].file == "é.jpg"


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
  (folder / "other.xml").write_text("<settings/>")
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
    "other.xml",
  ]
