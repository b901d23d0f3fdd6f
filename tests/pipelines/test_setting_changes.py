"""How changed settings are put into words."""

import json

from hardmine.pipelines.setting_changes import setting_changes


def test_equal_settings_have_no_changes():
  settings = {"training": json.dumps({"steps": 5}), "rate": 0.1}
  assert setting_changes(settings, dict(settings)) == []


def test_change_inside_json_is_named_by_its_dotted_path():
  old = {"custom_config": json.dumps({"training": json.dumps({"steps": 500})})}
  new = {"custom_config": json.dumps({"training": json.dumps({"steps": 800})})}
  assert setting_changes(old, new) == ["training.steps changed 500 -> 800"]


def test_change_inside_a_list_of_objects_is_named_by_its_place():
  old = {"config": json.dumps({"gates": [{"bound": 1.0}, {"bound": 2.0}]})}
  new = {"config": json.dumps({"gates": [{"bound": 1.0}, {"bound": 3.0}]})}
  assert setting_changes(old, new) == ["evaluation.gates.1.bound changed 2.0 -> 3.0"]


def test_added_and_removed_settings_are_told_apart():
  assert setting_changes({"a": 1}, {"b": 2}) == ["a is no longer set", "b is new: 2"]


def test_fingerprints_are_spoken_of_as_what_they_stand_for():
  old, new = {"input_fingerprint": "abc"}, {"input_fingerprint": "abd"}
  assert setting_changes(old, new) == ["the input files changed"]


def test_long_values_are_cut():
  (phrase,) = setting_changes({"a": "x" * 1000}, {"a": "y" * 1000})
  assert len(phrase) < 120
