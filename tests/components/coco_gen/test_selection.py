"""Which images a job takes."""

import pytest

from hardmine.components.coco_gen.selection import read_image_names, select


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
  assert read_image_names(str(path)) == ["ä.jpg", "b.jpg"]
  path.write_text("file\na.jpg\n")
  with pytest.raises(ValueError, match=r"column `filename`.*labels\.csv"):
    read_image_names(str(path))
  path.write_text("filename\n")
  with pytest.raises(ValueError, match="at least one image"):
    read_image_names(str(path))
  path.write_bytes(b"\xff\xfe")
  with pytest.raises(ValueError, match="UTF-8"):
    read_image_names(str(path))


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
