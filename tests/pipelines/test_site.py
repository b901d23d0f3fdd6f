"""Where things lie below a root, and what a graph's Beam nodes are told."""

import dataclasses
import os

import pytest

from hardmine.pipelines import beam_environment
from hardmine.pipelines.site import Site


def test_everything_lies_below_the_root():
  site = Site(root="/runs/one")
  assert site.metadata_path == "/runs/one/metadata.sqlite"
  assert site.artifacts_dir == "/runs/one/artifacts"
  assert site.checkpoint_dir("tiny") == "/runs/one/checkpoints/tiny"
  assert site.store_url == "/runs/one/store"
  assert site.logs_dir == "/runs/one/logs"
  assert site.lock_path == "/runs/one/lock"


def test_a_store_may_lie_elsewhere():
  assert Site(root="/runs/one", store="s3://models").store_url == "s3://models"


def test_beam_runs_in_this_process_unless_told():
  (argument,) = Site(root="/runs/one").beam_arguments
  assert argument.endswith("FnApiRunner")


def test_slots_are_filled_and_given_back(monkeypatch):
  name = "HARDMINE_BEAM_ARGUMENT_{}".format
  first, last = name(0), name(beam_environment.NUM_SLOTS - 1)
  monkeypatch.setenv(first, "before")
  monkeypatch.delenv(last, raising=False)
  with beam_environment.filled(["--runner=a", "--direct_num_workers=2"]):
    assert os.environ[first] == os.environ[last] == "--runner=a"
    assert os.environ["HARDMINE_BEAM_ARGUMENT_1"] == "--direct_num_workers=2"
  assert os.environ[first] == "before"
  assert last not in os.environ


@pytest.mark.parametrize("num", [0, beam_environment.NUM_SLOTS + 1])
def test_as_many_arguments_as_slots_at_most_and_one_at_least(num):
  with (
    pytest.raises(ValueError, match="Expected 1 to 64 Beam arguments"),
    beam_environment.filled(["--flag"] * num),
  ):
    pass


@pytest.mark.parametrize("root", ["runs/one", "./runs/one", "runs/../runs/one/"])
def test_a_root_is_one_however_it_is_written(root, tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  assert Site(root=root).root == str(tmp_path / "runs" / "one")


def test_a_root_may_lie_in_the_home_folder_and_bear_any_letters(monkeypatch):
  monkeypatch.setenv("HOME", "/home/ann")
  assert Site(root="~/my runs é 写真").root == "/home/ann/my runs é 写真"
  assert Site(root="a", store="~/models").store_url == "/home/ann/models"
  assert Site(root="gs://bucket/runs").root == "gs://bucket/runs"


@pytest.mark.parametrize("letter", [*"*?[]{}\\", "\n", "\x00", "\udc80"])
@pytest.mark.parametrize("name", ["root", "store"])
def test_a_letter_of_patterns_is_refused_with_what_to_do(name, letter):
  with pytest.raises(ValueError, match=f"(?s)rename the folder.*Received: {name}="):
    dataclasses.replace(Site(root="/runs"), **{name: f"/runs/one {letter}"})


def test_the_folder_around_a_root_counts_too(tmp_path, monkeypatch):
  (tmp_path / "[1]").mkdir()
  monkeypatch.chdir(tmp_path / "[1]")
  with pytest.raises(ValueError, match=r"without '\['"):
    Site(root="runs/one")
