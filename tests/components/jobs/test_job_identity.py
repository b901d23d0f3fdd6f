"""Names and labels by which a job is found again."""

import pytest

from hardmine.components.jobs.job_identity import (
  RUNNER,
  check_labels,
  identified,
  mark,
  place_of,
  run_id,
)


def test_a_run_is_known_by_its_facts_and_where_they_end():
  assert run_id("a", "b") == run_id("a", "b")
  assert len({run_id("a", "b"), run_id("ab"), run_id("ab", ""), run_id("b", "a")}) == 4


def test_a_job_on_dataflow_has_a_name_and_labels():
  before = [f"--runner={RUNNER}", "--project=p-1", "--labels=team=x"]
  found = identified(before, job="mine", run="0123456789ab")
  assert found[:3] == before
  assert "--job_name=hardmine-mine-0123456789ab" in found
  assert "--labels=hardmine-job=mine" in found
  assert "--labels=hardmine-run=0123456789ab" in found
  assert identified(found, job="mine", run="0123456789ab").count(found[3]) == 1


def test_a_name_that_was_given_stays():
  before = [f"--runner={RUNNER}", "--job_name=ours"]
  found = identified(before, job="coco", run="0123456789ab")
  assert [word for word in found if "job_name" in word] == ["--job_name=ours"]


def test_other_runners_are_told_nothing():
  assert identified(["--runner=other"], job="mine", run="1") == ["--runner=other"]


@pytest.mark.parametrize(
  "labels",
  [{"team": "x"}, {"ärzte": "日本-1_2"}, {"a" * 63: "1" * 63}, {"k": ""}],
)
def test_labels_that_google_takes(labels):
  check_labels(labels)


@pytest.mark.parametrize(
  ("labels", "named"),
  [
    ({"Team": "x"}, "label='Team'"),
    ({"1st": "x"}, "label='1st'"),
    ({"": "x"}, "label=''"),
    ({"a" * 64: "x"}, "label='aaa"),
    ({"a.b": "x"}, "label='a.b'"),
    ({"team": "X"}, "team='X'"),
    ({"team": "a b"}, "team='a b'"),
    ({"team": "日" * 43}, "team='日"),  # 129 bytes
    ({f"k{i}": "" for i in range(65)}, "number=65"),
  ],
)
def test_labels_that_google_refuses_are_named(labels, named):
  with pytest.raises(ValueError, match="label") as caught:
    check_labels(labels)
  assert named in str(caught.value)


def test_ours_are_not_for_others():
  with pytest.raises(ValueError, match="other than ours"):
    check_labels({"hardmine-run": "1"}, given=["hardmine-run"])


class Pipeline:
  """One whose runner has no labels."""

  runner = object()
  options = None


def test_runners_without_labels_wrote_where_they_were_told():
  mark(Pipeline(), "made-1")
  assert place_of(object(), "made-1") == "made-1"
