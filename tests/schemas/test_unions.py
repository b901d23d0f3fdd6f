"""Unions of configs: every member finds itself again, the first as it always was."""

from __future__ import annotations

import dataclasses
import json

import pytest

from hardmine.pipelines.experiments import find
from hardmine.schemas.config import Config
from hardmine.schemas.detector_config import detector_from_json


@dataclasses.dataclass(frozen=True, kw_only=True)
class Circle(Config):
  radius: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Square(Config):
  KIND = "square"

  side: float = 1.0
  inner: Circle = Circle()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Before(Config):
  """As it was when circles were all there was."""

  shape: Circle


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drawing(Config):
  shape: Circle | Square
  others: tuple[Circle | Square, ...] = ()
  frame: Circle | Square | None = None


@pytest.mark.parametrize(
  "drawing",
  [
    Drawing(shape=Circle(radius=2.0)),
    Drawing(shape=Square(side=3.0, inner=Circle(radius=0.5))),
    Drawing(shape=Circle(), others=(Square(), Circle()), frame=Square(side=9.0)),
  ],
)
def test_members_survive_a_trip_through_json(drawing):
  assert Drawing.from_json(drawing.to_json()) == drawing


def test_the_first_member_is_written_as_before_the_union():
  shape = Circle(radius=2.0)
  written = json.loads(Drawing(shape=shape).to_json())["shape"]
  assert written == json.loads(Before(shape=shape).to_json())["shape"]
  assert "kind" not in written
  text = Before(shape=shape).to_json()
  assert Drawing.from_json(text) == Drawing(shape=shape)


def test_other_members_say_which_they_are():
  plain = json.loads(Drawing(shape=Square()).to_json())
  assert plain["shape"]["kind"] == "square"
  assert Square.from_json(Square(side=2.0).to_json()) == Square(side=2.0)


def test_a_kind_that_there_is_not_is_refused_by_name():
  with pytest.raises(ValueError, match=r"among None, square\. Received: kind='star'"):
    Drawing.from_json('{"shape": {"kind": "star"}}')


def test_a_config_alone_refuses_another_kind():
  with pytest.raises(ValueError, match="kind='square'"):
    Before.from_json('{"shape": {"kind": "square"}}')


def test_fields_of_another_member_are_refused():
  with pytest.raises(ValueError, match="unknown=\\['side'\\]"):
    Drawing.from_json('{"shape": {"side": 1.0}}')


def test_overrides_reach_through_a_union():
  changed = Drawing(shape=Square()).override(["shape.side=4", "shape.inner.radius=5"])
  assert changed.shape == Square(side=4.0, inner=Circle(radius=5.0))


def test_an_override_puts_one_member_in_the_place_of_another():
  changed = Drawing(shape=Circle()).override(['shape={"kind": "square", "side": 2}'])
  assert changed.shape == Square(side=2.0)
  with pytest.raises(ValueError, match="side"):
    Drawing(shape=Circle()).override(["shape.side=4"])


def test_a_detector_is_read_as_its_experiment_holds_it():
  detector = find("ssd_small_set").detector
  assert detector_from_json(detector.to_json()) == detector


@pytest.mark.parametrize(
  ("text", "said"),
  [
    ('{"kind": "star"}', "kind='star'"),
    ("not JSON", "Detector as JSON"),
    ("null", "detector as an object"),
    ('{"depth": 3}', "depth"),
  ],
)
def test_what_is_no_detector_is_refused(text, said):
  with pytest.raises(ValueError, match=said):
    detector_from_json(text)
