"""No two outcomes have one name, and none leaves its folder."""

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from hardmine.components.inference.detection_job import image_ids
from hardmine.components.inference.outcome_names import is_below, outcome_names

STEPS = st.lists(st.sampled_from(["a", "b", "a.jpg", "a.png", "x.hmc"]), min_size=1)
PATHS = st.builds(
  lambda steps, ending: "/".join(steps[:3]) + ending,
  STEPS,
  st.sampled_from(["", ".jpg", ".png", ".jpg.png", ".hmc"]),
)


def names(*ids):
  return outcome_names(ids, lambda _: ".hmc")


@settings(deadline=None)
@given(st.sets(PATHS, max_size=8))
def test_no_two_alike(ids):
  found = names(*sorted(ids))
  assert len(set(found)) == len(found) == len(ids)
  assert all(name.endswith(".hmc") for name in found)


@settings(deadline=None)
@given(st.sets(st.text(string.ascii_letters, min_size=1), max_size=5))
def test_what_is_unique_has_its_own_name(stems):
  stems = sorted(stems)
  assert names(*(f"{stem}.jpg" for stem in stems)) == [f"{stem}.hmc" for stem in stems]


def test_two_that_would_meet_keep_their_endings():
  found = names("a.jpg", "a.png", "a.jpg.png", "b/a.jpg")
  assert found == ["a.jpg.hmc", "a.png.hmc", "a.jpg.png.hmc", "b/a.hmc"]


def test_a_name_that_would_leave_the_folder_is_told_from_others():
  ids = ["../a.jpg", "a/../../b.jpg", "a//b.jpg", "/a.jpg", "a/./b.jpg", "a\0b"]
  assert not any(map(is_below, ids))
  assert all(map(is_below, ["a.jpg", "a/b.jpg", "a/..b.jpg"]))


def test_ids_are_those_of_coco_where_all_names_are_numbers():
  names = ["000000000139.jpg", "val/COCO_val2014_000000000042.jpg"]
  assert list(image_ids(names).values()) == [139, 42]
  assert list(image_ids([*names, "IMG_7.jpg"]).values()) == [1, 2, 3]
  assert list(image_ids(["a/7.jpg", "b/7.jpg"]).values()) == [1, 2]
