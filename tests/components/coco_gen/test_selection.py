"""Which images a job takes, and that none is taken for another."""

import json
import os
import shutil

import pytest

from hardmine.components.coco_gen.image_lists import read_image_names
from hardmine.components.coco_gen.reading import input_files
from hardmine.components.coco_gen.selection import select


@pytest.fixture
def chosen(read):
  """The selection of sources, as `read` takes them."""

  def chosen(*sources, **fields):
    config, sets, _ = read(*sources, **fields)
    return select(config, sets, input_files(config))

  return chosen


def taken(selection, split):
  return [image.path for image in selection.splits[split]]


def faults(selection):
  return sorted((f.reason, f.image_id, f.file) for _, f in selection.faults)


def test_only_takes_names_and_stems(annotated_set, chosen, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg", "sub/c.jpg", "d.png"])
  annotated_set.content["images"].append({"id": 9, "file_name": "e.jpg", "width": -2})
  annotated_set.save()
  only = tmp_path / "only.txt"
  only.write_text("sub/c.jpg\n\na\r\na.jpg\nnowhere.jpg\ne.jpg\n")
  selection = chosen({"only": only})
  assert taken(selection, "train") == ["a.jpg", "sub/c.jpg"]
  assert [(f.reason, f.file) for _, f in selection.faults] == [
    ("not_annotated", "nowhere.jpg"),
    ("bad_structure", "e.jpg"),
  ]


def test_only_knows_the_names_of_files_too(annotated_set, chosen, tmp_path):
  annotated_set.write(["sub/a.jpg", "sub/b.jpg", "sub/c.jpg", "sub/c.png"])
  for image in annotated_set.content["images"]:
    image["file_name"] = "C:\\" + image["file_name"].replace("/", "\\")
  annotated_set.save()
  only = tmp_path / "only.txt"
  only.write_text("sub/a.jpg\nsub\\b\nsub/c\n")
  selection = chosen({"only": only})
  assert taken(selection, "train") == ["sub/a.jpg", "sub/b.jpg"]
  assert faults(selection) == [("ambiguous_name", None, "sub/c")]


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


def test_paths_that_leave_the_folder_are_not_taken(annotated_set, chosen):
  annotated_set.write(["c.jpg"])
  (annotated_set.images / "b.jpg").write_bytes(b"")
  names = ["../a.jpg", "x/../../a.jpg", "/etc/passwd", "x/../b.jpg"]
  for number, name in enumerate(names, 10):
    annotated_set.content["images"].append({"id": number, "file_name": name})
  annotated_set.save()
  selection = chosen()
  assert taken(selection, "train") == ["c.jpg", "b.jpg"]
  assert faults(selection) == [
    ("path_outside_folder", number, name) for number, name in enumerate(names[:3], 10)
  ]


SPELLINGS = ["images", "./images", "images/", "images/../images", "link", "{absolute}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_image_in_two_splits_is_refused_however_its_folder_is_spelled(
  annotated_set, chosen, monkeypatch, spelling
):
  annotated_set.write(["a.jpg", "b.jpg"])
  monkeypatch.chdir(annotated_set.folder)
  (annotated_set.folder / "link").symlink_to("images")
  folder = spelling.format(absolute=annotated_set.images)
  with pytest.raises(
    ValueError, match=r"splits that share no image.* 2 files .* first as .*a\.jpg in ev"
  ):
    chosen({"images": "images"}, {"images": folder, "split": "eval"})


def test_one_file_in_two_splits_by_two_sets_is_refused(annotated_set, chosen, tmp_path):
  annotated_set.write(["sub/a.jpg"])
  other = tmp_path / "other.json"
  images = [{"id": 77, "file_name": "a.jpg"}]
  other.write_text(json.dumps({**annotated_set.content, "images": images}))
  below = {"images": annotated_set.images / "sub", "annotations": other}
  with pytest.raises(ValueError, match=r"share no image.*1 files"):
    chosen({}, {**below, "split": "eval"})


def test_ids_belong_to_their_source(annotated_set, chosen, tmp_path):
  """Two sets that both count from 1, in one split."""
  annotated_set.write(["a.jpg", "b.jpg"])
  other = tmp_path / "other"
  shutil.copytree(annotated_set.images, other)
  same = tmp_path / "same.json"
  same.write_text(json.dumps(annotated_set.content))
  selection = chosen({}, {"images": other, "annotations": same})
  assert [(t.source, t.image.id) for t in selection.splits["train"]] == [
    (0, 1),
    (0, 2),
    (1, 1),
    (1, 2),
  ]
  assert selection.faults == []


def test_entries_of_one_file_are_neither_used(annotated_set, chosen, tmp_path):
  """Each has a part of the objects, whose rest would be background."""
  annotated_set.write(["a.jpg", "b.jpg", "sub/c.jpg"])
  listed = annotated_set.content["images"]
  listed += [{"id": 8, "file_name": "a.jpg"}, {"id": 9, "file_name": "sub\\c.jpg"}]
  annotated_set.save()
  selection = chosen()
  assert taken(selection, "train") == ["b.jpg"]
  assert faults(selection) == [
    ("duplicate_image", 1, "a.jpg"),
    ("duplicate_image", 3, "sub/c.jpg"),
    ("duplicate_image", 8, "a.jpg"),
    ("duplicate_image", 9, "sub\\c.jpg"),
  ]
  assert "image 1 of" in selection.faults[0][1].detail
  assert "image 8 of" in selection.faults[0][1].detail


def test_a_file_of_an_entry_at_fault_is_not_used_by_another(annotated_set, chosen):
  """The objects of the entry at fault are lost: they would be background."""
  annotated_set.write(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
  a, b, c, d = annotated_set.content["images"]
  b["id"] = a["id"]
  c["file_name"] = "b.jpg"
  d["file_name"] = "/other/a.jpg"  # not even by a guess
  annotated_set.save()
  selection = chosen()
  assert taken(selection, "train") == []
  assert ("duplicate_image", 3, "b.jpg") in faults(selection)
  assert ("path_outside_folder", 4, "/other/a.jpg") in faults(selection)


def test_an_image_of_two_annotation_files_is_not_used(annotated_set, chosen, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg"])
  other = tmp_path / "other.json"
  images = [{"id": 5, "file_name": "b.jpg"}]
  other.write_text(json.dumps({**annotated_set.content, "images": images}))
  selection = chosen({}, {"annotations": other})
  assert taken(selection, "train") == ["a.jpg"]
  assert [path for path, _ in selection.faults] == [str(annotated_set.json), str(other)]


def test_an_entry_that_two_sources_name_is_one(annotated_set, chosen, tmp_path):
  annotated_set.write(["a.jpg", "b.jpg"])
  only = tmp_path / "only.txt"
  only.write_text("a.jpg")
  selection = chosen({}, {"only": only})
  assert taken(selection, "train") == ["a.jpg", "b.jpg"]
  assert selection.faults == []
  assert selection.notes == {"listed_again": 1}


def test_one_annotation_file_by_two_paths_is_one(
  annotated_set, chosen, monkeypatch, tmp_path
):
  annotated_set.write(["a.jpg"])
  monkeypatch.chdir(tmp_path)
  (tmp_path / "link.json").symlink_to(annotated_set.json)
  selection = chosen({}, {"annotations": "link.json"}, {"annotations": "./link.json"})
  assert taken(selection, "train") == ["a.jpg"]
  assert selection.notes == {"listed_again": 2}


def test_an_annotation_is_of_one_file(annotated_set, chosen, tmp_path):
  annotated_set.write(["a.jpg"])
  shutil.copytree(annotated_set.images, tmp_path / "other")
  for split in ("train", "eval"):
    with pytest.raises(ValueError, match=r"one folder with the images of .*image=1"):
      chosen({}, {"images": tmp_path / "other", "split": split})


def test_a_share_is_held_back_by_name(annotated_set, chosen):
  names = [f"{number}.jpg" for number in range(40)]
  annotated_set.write(names)
  splits = chosen(eval_share=0.25).splits
  assert 4 <= len(splits["eval"]) <= 16
  together = [image.path for images in splits.values() for image in images]
  assert sorted(together) == sorted(names)
  evals = taken(chosen(eval_share=0.25), "eval")
  annotated_set.content["images"] = annotated_set.content["images"][5:][::-1]
  for number, image in enumerate(annotated_set.content["images"], 100):
    image["id"] = number
  annotated_set.save()
  fewer = set(taken(chosen(eval_share=0.25), "eval"))
  assert fewer == set(evals) - set(names[:5])  # who is held back depends on no other


def test_a_link_is_the_file_that_it_names(annotated_set, chosen):
  annotated_set.write(["a.jpg"])
  os.symlink("a.jpg", annotated_set.images / "b.jpg")
  annotated_set.content["images"].append({"id": 2, "file_name": "b.jpg"})
  annotated_set.save()
  assert taken(chosen(), "train") == ["a.jpg", "b.jpg"]
