"""Names of photographs, their splits and their fingerprint."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hardmine.components.jobs.sources import (
  Source,
  assign_splits,
  fingerprint,
  list_sources,
)


def touch(path, content=b"x"):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(content)
  return path


def ids(*globs):
  return [source.id for source in list_sources(tuple(map(str, globs)))[0]]


def test_id_is_the_path_below_the_globs_root(tmp_path):
  touch(tmp_path / "one" / "a.png")
  touch(tmp_path / "two" / "a.png")
  assert ids(tmp_path / "*" / "*.png") == ["one/a.png", "two/a.png"]
  assert ids(tmp_path / "one" / "*.png") == ["a.png"]
  assert ids(tmp_path / "one" / "a.png") == ["a.png"]


def test_equal_paths_below_two_globs_stay_apart(tmp_path):
  for folder in ("x/photos", "y/photos", "y/more"):
    touch(tmp_path / folder / "a.png")
  x, y, more = (tmp_path / f for f in ("x/photos", "y/photos", "y/more"))
  assert ids(y / "*.png", more / "*.png") == ["more/a.png", "photos/a.png"]
  assert ids(x / "*.png", y / "*.png") == ["x/photos/a.png", "y/photos/a.png"]


def test_order_of_globs_changes_nothing(tmp_path):
  for folder in ("p", "p/q", "r"):
    touch(tmp_path / folder / "a.png")
  globs = [str(tmp_path / "p" / "**" / "*.png"), str(tmp_path / "p/q/*.png")]
  globs.append(str(tmp_path / "r" / "*.png"))
  forward, backward = list_sources(tuple(globs)), list_sources(tuple(globs[::-1]))
  assert forward == backward
  assert forward[1] == 1  # q/a.png was matched twice
  assert len(forward[0]) == 3


def test_glob_without_match_is_named(tmp_path):
  touch(tmp_path / "a.png")
  with pytest.raises(ValueError, match=r"at least one image.*none\*\.png"):
    list_sources((str(tmp_path / "*.png"), str(tmp_path / "none*.png")))


def test_unknown_file_system_is_the_callers_mistake():
  with pytest.raises(ValueError, match="Received: images='nosuch://a/b'"):
    list_sources(("nosuch://a/b",))


def test_name_with_brackets_and_name_that_is_not_utf8(tmp_path):
  touch(tmp_path / "a[1].png")
  assert ids(tmp_path / "a[1].png") == ["a[1].png"]
  with open(os.path.join(os.fsencode(tmp_path), b"\xff.jpg"), "wb") as file:
    file.write(b"x")
  assert ids(tmp_path / "*.jpg") == ["\\xff.jpg"]


def test_url_keeps_its_protocol(tmp_path):
  touch(tmp_path / "a.png")
  (source,), _ = list_sources((f"file://{tmp_path}/*.png",))
  assert (source.id, source.path) == ("a.png", f"file://{tmp_path}/a.png")


def test_fingerprint_sees_added_removed_and_rewritten_photographs(tmp_path):
  pattern = (str(tmp_path / "*.png"),)

  def now():
    return fingerprint(list_sources(pattern)[0])

  touch(tmp_path / "a.png")
  first = now()
  assert now() == first
  touch(tmp_path / "b.png")
  second = now()
  touch(tmp_path / "b.png", b"longer")
  third = now()
  os.utime(tmp_path / "b.png", (1, 1))
  fourth = now()
  (tmp_path / "b.png").unlink()
  assert len({first, second, third, fourth}) == 4
  assert now() == first


def sources(names):
  return [
    Source(id=name, path=name, is_directory=False, stamp="") for name in sorted(names)
  ]


names = st.sets(st.text(st.characters(codec="utf-8"), min_size=1), min_size=2)


@given(names, st.floats(0.001, 0.999))
def test_splits_are_disjoint_complete_and_never_empty(names, eval_share):
  splits = assign_splits(sources(names), eval_share)
  train = {source.id for source in splits["train"]}
  evals = {source.id for source in splits["eval"]}
  assert train
  assert evals
  assert not train & evals
  assert train | evals == names


def test_split_has_about_the_wanted_share_and_sides_are_kept_as_photographs_come():
  all_names = [f"{number}.jpg" for number in range(5000)]
  evals = {s.id for s in assign_splits(sources(all_names), 0.1)["eval"]}
  # Binomial: 500 expected, standard deviation sqrt(5000 * 0.1 * 0.9) = 21.
  assert 400 < len(evals) < 600
  fewer = {s.id for s in assign_splits(sources(all_names[:2500]), 0.1)["eval"]}
  assert fewer == evals & set(all_names[:2500])


def test_one_photograph_cannot_be_split():
  with pytest.raises(ValueError, match="at least 2 usable photographs"):
    assign_splits(sources(["a"]), 0.5)
  assert list(assign_splits(sources(["a"]), 0)) == ["train"]
