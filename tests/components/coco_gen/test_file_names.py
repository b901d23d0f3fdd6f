"""Names as other systems write them."""

import pytest

from hardmine.components.coco_gen.annotations import Fault, ListedImage
from hardmine.components.coco_gen.file_names import FileNames


def listed(file, number=1, own_stem=None):
  return ListedImage(
    id=number, file=file, width_px=None, height_px=None, own_stem=own_stem
  )


def find(names, file, folder="/data/images", *, own_stem=None, others=()):
  names = FileNames(str(folder), names, [file, *others])
  return names.find(listed(file, own_stem=own_stem))


@pytest.mark.parametrize(
  ("file", "path", "way"),
  [
    ("a.jpg", "a.jpg", "as_written"),
    ("./sub/../a.jpg", "a.jpg", "as_written"),
    ("/data/images/sub/b.jpg", "sub/b.jpg", "as_written"),
    ("../images/sub/b.jpg", "sub/b.jpg", "as_written"),
    ("sub\\b.jpg", "sub/b.jpg", "slashes_turned"),
    ("my%20photo.jpg", "my photo.jpg", "unquoted"),
    ("sub\\c%20d.jpg", "sub/c d.jpg", "unquoted"),
    ("C:\\users\\me\\a.jpg", "a.jpg", "shortened"),
    ("D:\\x\\sub\\b.jpg", "sub/b.jpg", "shortened"),
    ("/home/other/b.jpg", "sub/b.jpg", "shortened"),
    ("images/sub/b.jpg", "sub/b.jpg", "shortened"),
    ("https://example.org/x/c%20d.jpg", "sub/c d.jpg", "shortened"),
    ("b.jpg", "sub/b.jpg", "shortened"),
    ("a", "a.jpg", "completed"),
    ("sub\\e", "sub/e.PNG", "completed"),
    ("A.JPG", "a.jpg", "other_case"),
    ("Sub/B.jpeg.JPG", None, None),
    ("u\u0308.jpg", "ü.jpg", "other_case"),
  ],
)
def test_the_ways_to_read_a_name(file, path, way):
  names = ["a.jpg", "a.xml", "sub/b.jpg", "my photo.jpg", "sub/c d.jpg", "sub/e.PNG"]
  found = find([*names, "ü.jpg"], file)
  assert found == (path, way) if path else found.reason == "missing_image"


def test_a_name_as_it_is_written_comes_first():
  assert find(["a%20b.jpg", "a b.jpg"], "a%20b.jpg") == ("a%20b.jpg", "as_written")
  assert find(["x\\a.jpg", "x/a.jpg"], "x\\a.jpg") == ("x\\a.jpg", "as_written")
  assert find(["A.jpg", "a.jpg"], "a.jpg") == ("a.jpg", "as_written")


def test_the_stem_of_the_xml_is_the_last_but_one_resort():
  assert find(["v0.jpg", "v1.jpg"], "photo.jpg", own_stem="v1") == (
    "v1.jpg",
    "of_the_xml",
  )
  assert find(["v0.jpg", "v1.jpg"], "v0.jpg", own_stem="v1")[0] == "v0.jpg"


@pytest.mark.parametrize(
  ("names", "file"),
  [
    (["x/a.jpg", "y/a.jpg"], "C:\\z\\a.jpg"),
    (["a.jpg", "a.png"], "a"),
    (["A.jpg", "a.JPG"], "a.jpg"),
  ],
)
def test_what_could_be_two_files_is_refused(names, file):
  fault = find(names, file)
  assert isinstance(fault, Fault)
  assert fault.reason == "ambiguous_name"
  assert all(name in fault.detail for name in names)


def test_no_guess_takes_a_file_that_another_entry_names():
  names = ["a.jpg"]
  assert find(names, "x/a.jpg") == ("a.jpg", "shortened")
  assert find(names, "x/a.jpg", others=["a.jpg"]).reason == "missing_image"
  # Of another folder of this system, and of no other folder but that.
  assert find(["y/a.jpg"], "x/a.jpg").reason == "missing_image"
  # The same path in other letters is no guess: it is the same file again.
  found = find(["x/a.jpg"], "x\\a.jpg", others=["x/a.jpg"])
  assert found == ("x/a.jpg", "slashes_turned")


def test_the_nearest_name_is_told_for_the_first_few():
  names = FileNames("/data/images", ["photo-1.jpg"], [])
  faults = [names.find(listed(f"foto-{number}.jpg")) for number in range(5)]
  hints = [fault.detail for fault in faults if "nearest" in fault.detail]
  assert hints == ["no such file in /data/images; the nearest name is photo-1.jpg"] * 3
  assert find(["a.jpg"], "zzz").detail == "no such file in /data/images"


def test_a_path_into_the_folder_by_a_link_lies_inside(tmp_path):
  (tmp_path / "real" / "sub").mkdir(parents=True)
  (tmp_path / "link").symlink_to("real")
  for folder, file in (("link", "real"), ("real", "link"), ("link", "link")):
    written = str(tmp_path / file / "sub" / "a.jpg")
    found = find(["sub/a.jpg"], written, tmp_path / folder)
    assert found == ("sub/a.jpg", "as_written")
  fault = find(["b.jpg"], str(tmp_path / "other" / "a.jpg"), tmp_path / "real")
  assert fault.reason == "path_outside_folder"
