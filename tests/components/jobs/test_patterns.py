"""What a path or a pattern of photographs means."""

import os
import socket

import pytest

from hardmine.components.jobs.patterns import match
from hardmine.components.jobs.sources import find_sources, fingerprint


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  monkeypatch.setenv("HOME", str(tmp_path / "home"))
  for name in (
    *("home/h.png", "t4 [2020]/x.png", "t4 2/y.png", "{a,b}/z.png", "a/a.png"),
    *("b/b.jpg", "mixed/1.jpg", "mixed/2.JPG", "mixed/3.Jpg", "mixed/4.png"),
    *("card/DCIM/100/i.JPG", "card/DCIM/._i.JPG", "card/.thumbs/i.jpg"),
    *("card/notes.txt", "card/Thumbs.db", "card/top.HEIC", "days/1/m.png"),
    *("days/2/n.png", "days/2/n.txt", "mac/._a.png", "mac/a.png", "q?/a.png"),
    *("qq/b.png", "one/a[1].png", "one/a1.png"),
  ):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(name.encode())
  (tmp_path / "empty").mkdir()
  return tmp_path


def ids(*patterns):
  return [source.id for source in find_sources(patterns).sources]


@pytest.mark.parametrize(
  ("pattern", "names"),
  [
    ("~/*.png", ["h.png"]),
    ("~/h.png", ["h.png"]),
    ("t4 [2020]/*.png", ["x.png"]),
    ("./t4 [2020]/*.png", ["x.png"]),
    ("t4 [2020]/x.png", ["x.png"]),
    ("t4 [2020]", ["x.png"]),
    ("t4 [2020]/**/*.png", ["x.png"]),
    ("t4 [0-9]/*.png", ["t4 2/y.png"]),
    ("{a,b}/*.png", ["z.png"]),  # a folder of this very name goes before
    ("?/{a,b}.{png,jpg}", ["a/a.png", "b/b.jpg"]),
    ("mixed/*.{jpg,png}", ["1.jpg", "2.JPG", "3.Jpg", "4.png"]),
    ("mixed/{1,{2,4}}.*", ["1.jpg", "2.JPG", "4.png"]),
    ("mixed/*.jpg", ["1.jpg", "2.JPG", "3.Jpg"]),
    ("mixed/*.[j]pg", ["1.jpg"]),
    ("mixed/2.JPG", ["2.JPG"]),
    ("card", ["DCIM/100/i.JPG", "top.HEIC"]),
    ("card/", ["DCIM/100/i.JPG", "top.HEIC"]),
    ("card/D*", ["DCIM/100/i.JPG"]),
    ("days/*", ["1/m.png", "2/n.png"]),
    ("mac/*.png", ["a.png"]),
    ("mac/._a.png", ["._a.png"]),  # whoever names it means it
    ("q?/*.png", ["a.png"]),
    ("one/a[1].png", ["a[1].png"]),
    ("one/a[[]1].png", ["a[1].png"]),
  ],
)
def test_a_pattern_matches_what_people_mean(pattern, names):
  assert ids(pattern) == names


def test_a_url_follows_the_same_rules(folder):
  base = f"file://{folder}"
  (found,) = find_sources([f"{base}/t4 [2020]/*.{{png,gif}}"]).sources
  assert (found.id, found.path) == ("x.png", f"{base}/t4 [2020]/x.png")
  assert ids(f"{base}/card") == ids("card")


def test_what_is_skipped_is_told_with_its_reason():
  assert find_sources(["mac/*"]).skipped.popitem()[1] == "system_file"
  told = {
    path.partition("/card/")[2]: why
    for path, why in find_sources(["card"]).skipped.items()
  }
  assert told == {
    ".thumbs/i.jpg": "hidden_file",
    "DCIM/._i.JPG": "system_file",
    "Thumbs.db": "system_file",
    "notes.txt": "other_file",
  }
  assert (
    find_sources(["card", "card/notes.txt"])
    .skipped.keys()
    .isdisjoint({os.path.abspath("card/notes.txt")})
  )


def test_folders_beside_files_are_told_apart_by_the_job(folder):
  (folder / "days" / "top.png").write_bytes(b"x")
  found = {
    source.id: source.is_directory for source in find_sources(["days/*"]).sources
  }
  assert found == {"1": True, "2": True, "top.png": False}


@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "link"])
def test_reading_never_waits_for_a_pipe(folder, kind):
  path = folder / "mac" / f"{kind}.png"
  if kind == "fifo":
    os.mkfifo(path)
  elif kind == "socket":
    with socket.socket(socket.AF_UNIX) as made:
      made.bind(f"mac/{kind}.png")
  elif kind == "device":
    path.symlink_to("/dev/zero")
  else:
    os.mkfifo(folder / "pipe")
    path.symlink_to(folder / "pipe")
  for pattern in ("mac/*.png", "mac"):
    listing = find_sources([pattern])
    assert [source.id for source in listing.sources] == ["a.png"]
    assert listing.skipped[str(path)] == "special_file"
  with pytest.raises(ValueError, match="no pipe, socket or device"):
    find_sources([str(path)])


@pytest.mark.parametrize(
  ("pattern", "told"),
  [
    ("", "Expected a path or pattern"),
    ("https://example.org/a.png", "fetch them first"),
    ("HTTP://example.org/*.png", "fetch them first"),
    ("mixde/*.jpg", "such as 'mixed'"),
    ("mixed/*.tif", "mixed' holds 4 other names, such as"),
    ("mixed/1.jpeg", "such as '1.jpg'"),
    ("none/at/all/*.png", "' holds"),
    ("t5 [2020]/*.png", "[[] for a bracket"),
    ("empty", "empty' holds nothing"),
    ("empty/*", "empty' holds nothing"),
    ("mac/._*", "1 skipped, such as the system_file"),
    ("~nobody/*.png", "images='~nobody/*.png'"),
  ],
)
def test_a_pattern_that_matches_nothing_says_what_lies_nearest(pattern, told):
  with pytest.raises(ValueError, match="Received: images=") as caught:
    list(match(pattern))
  assert told in str(caught.value)
  assert "\n" not in str(caught.value)


def test_a_folder_without_pictures_says_what_was_skipped(folder):
  (folder / "empty" / "a.txt").write_bytes(b"x")
  with pytest.raises(ValueError, match="1 skipped, such as the other_file"):
    list(match("empty"))
  found = find_sources(["empty"], endings={".txt"}, what="text")
  assert [source.id for source in found.sources] == ["a.txt"]


def test_a_list_names_paths_wherever_they_lie(folder, monkeypatch):
  """Ids do not depend on the other lines of a list, nor on where one stands."""
  tree = folder / "card"
  listed = tree / "list.txt"
  lines = ["a.jpg", "sub/b.jpg", "", "a.jpg", f"{tree}/c.jpg", "gs://bucket/deep/d.jpg"]
  listed.write_text("\r\n".join(lines))
  monkeypatch.chdir(folder / "home")
  listing = find_sources([f"@{listed}"])
  assert {source.path: source.id for source in listing.sources} == {
    f"{tree}/a.jpg": f"{tree.name}/a.jpg",
    f"{tree}/sub/b.jpg": f"{tree.name}/sub/b.jpg",
    f"{tree}/c.jpg": f"{tree.name}/c.jpg",
    "gs://bucket/deep/d.jpg": "bucket/deep/d.jpg",
  }
  assert listing.num_repeated == 1
  listed.write_text("sub/b.jpg\na.jpg")
  first = find_sources([f"@{listed}"])
  assert [source.id for source in first.sources] == ["a.jpg", "sub/b.jpg"]
  listed.write_text("sub/b.jpg\na.jpg\n\n")
  second = find_sources([f"@{listed}"])
  assert fingerprint(first.sources) != fingerprint(second.sources)


def test_a_list_that_is_missing_or_empty_is_one_line(tmp_path):
  """And a file whose name begins like that is meant where it is there."""
  with pytest.raises(ValueError, match=r"list of images that is there.*@.*none\.txt"):
    find_sources([f"@{tmp_path}/none.txt"])
  (tmp_path / "empty.txt").write_text("\n\n")
  with pytest.raises(ValueError, match="list of at least one image"):
    find_sources([f"@{tmp_path}/empty.txt"])
  (tmp_path / "@a.jpg").write_bytes(b"")
  assert ids("@a.jpg") == ["@a.jpg"]
