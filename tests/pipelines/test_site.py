"""Where things lie below a root, and what a graph's Beam nodes are told."""

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
  first, last = "HARDMINE_BEAM_ARGUMENT_0", "HARDMINE_BEAM_ARGUMENT_7"
  monkeypatch.setenv(first, "before")
  monkeypatch.delenv(last, raising=False)
  with beam_environment.filled(["--runner=a", "--direct_num_workers=2"]):
    assert os.environ[first] == os.environ[last] == "--runner=a"
    assert os.environ["HARDMINE_BEAM_ARGUMENT_1"] == "--direct_num_workers=2"
  assert os.environ[first] == "before"
  assert last not in os.environ


@pytest.mark.parametrize("num", [0, 9])
def test_as_many_arguments_as_slots_at_most_and_one_at_least(num):
  with (
    pytest.raises(ValueError, match="Expected 1 to 8 Beam arguments"),
    beam_environment.filled(["--flag"] * num),
  ):
    pass
