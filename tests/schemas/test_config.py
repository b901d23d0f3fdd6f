"""Settings as people type them: dotted paths, places in lists, one for a list."""

from __future__ import annotations

import dataclasses

import pytest

from hardmine.schemas.config import Config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source(Config):
  images: str
  only: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job(Config):
  sources: tuple[Source, ...] = (Source(images="a"), Source(images="b"))
  globs: tuple[str, ...] = ("a/*",)
  factors: tuple[int, ...] = (1,)
  others: tuple[Source, ...] = ()
  steps: int = 5


def test_a_member_of_a_list_is_named_by_its_place():
  changed = Job().override(["sources.1.images=c", "sources.0.only=list.txt"])
  assert changed.sources == (
    Source(images="a", only="list.txt"),
    Source(images="c"),
  )
  assert Job().override(["globs.0=b/*"]).globs == ("b/*",)


@pytest.mark.parametrize(
  ("assignment", "globs"),
  [
    ("globs=photos/*.png", ("photos/*.png",)),
    ('globs="photos/*.png"', ("photos/*.png",)),
    ('globs=["a", "b"]', ("a", "b")),
    ("globs=[]", ()),
  ],
)
def test_one_pattern_stands_for_a_list_of_it(assignment, globs):
  assert Job().override([assignment]).globs == globs


def test_one_number_stands_for_a_list_of_it():
  assert Job().override(["factors=2"]).factors == (2,)


@pytest.mark.parametrize(
  ("assignment", "line"),
  [
    ("sources.2.images=c", "in a list of 2, and not '2'"),
    ("sources.-1.images=c", "in a list of 2, and not '-1'"),
    ("sources.x=c", "in a list of 2, and not 'x'"),
    ("others.0.images=c", "in a list of 0, and not '0'"),
    ("sources.0.image=c", "a field among images, only"),
    ("sources=c", r"sources\.0\.FIELD"),
    ("globs=[a, b]", r'globs=\["a", "b"\]'),
    ("steps.x=1", "has fields before 'x'"),
    ("steps", "FIELD=VALUE, as steps=5"),
    ("step=6", "a field among factors, globs"),
    ("factors=x", "factors as int"),
  ],
)
def test_what_cannot_be_set_is_refused_with_what_can(assignment, line):
  with pytest.raises(ValueError, match=line):
    Job().override([assignment])
