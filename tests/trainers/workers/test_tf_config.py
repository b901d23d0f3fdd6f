"""Which task a process is, as Vertex AI and Kubeflow tell it."""

import json

import pytest

from hardmine.trainers.workers.tf_config import place_of

CHIEF = {"chief": ["a:2222"], "worker": ["b:2222", "c:2222"]}


def place(cluster, kind, index):
  config = {"cluster": cluster, "task": {"type": kind, "index": index}}
  return place_of({"TF_CONFIG": json.dumps({**config, "environment": "cloud"})})


def test_the_chief_is_first_and_the_workers_follow():
  found = [place(CHIEF, *task) for task in (("chief", 0), ("worker", 0), ("worker", 1))]
  assert [one.rank for one in found] == [0, 1, 2]
  assert [one.is_chief for one in found] == [True, False, False]
  assert found[2].name == "worker 1 (c:2222)"
  assert found[0].names == ("chief (a:2222)", "worker 0 (b:2222)", "worker 1 (c:2222)")
  assert len({one.addresses for one in found}) == 1


def test_a_master_is_a_chief_and_an_index_may_be_a_text():
  found = place({"master": ["a:1"], "worker": ["[::1]:2"]}, "worker", "0")
  assert found.addresses == ("a:1", "[::1]:2")
  assert found.rank == 1


def test_without_a_chief_the_first_worker_is_one():
  assert place({"worker": ["a:1", "b:1"]}, "worker", 0).is_chief
  assert place({"worker": ["a:1", "b:1"]}, "worker", 1).rank == 1


@pytest.mark.parametrize("kind", ["evaluator", "ps"])
def test_tasks_that_do_not_train_have_no_rank(kind):
  found = place({**CHIEF, kind: ["d:2222"]}, kind, 0)
  assert found.rank is None
  assert found.size == 3


@pytest.mark.parametrize("text", [None, "", "  ", "{}", '{"cluster": {}}'])
def test_nobody_says_that_there_are_several(text):
  assert place_of({} if text is None else {"TF_CONFIG": text}) is None


@pytest.mark.parametrize(
  "config",
  [
    "{",
    "[]",
    {"cluster": CHIEF},
    {"cluster": CHIEF, "task": {"type": "worker", "index": 2}},
    {"cluster": CHIEF, "task": {"type": "worker", "index": -1}},
    {"cluster": CHIEF, "task": {"type": "worker"}},
    {"cluster": CHIEF, "task": {"type": "boss", "index": 0}},
    {"cluster": CHIEF, "task": {"type": "master", "index": 0}},
    {"cluster": CHIEF, "task": ["worker", 0]},
    {"cluster": {"chief": ["a"]}, "task": {"type": "chief", "index": 0}},
    {"cluster": {"chief": ["a:0"]}, "task": {"type": "chief", "index": 0}},
    {"cluster": {"chief": "a:1"}, "task": {"type": "chief", "index": 0}},
    {"cluster": {"chief": ["a:1", "b:1"]}, "task": {"type": "chief", "index": 0}},
    {"cluster": {"worker": ["a:1", "a:1"]}, "task": {"type": "worker", "index": 0}},
    {"cluster": {"ps": ["a:1"]}, "task": {"type": "ps", "index": 0}},
  ],
  ids=str,
)
def test_what_cannot_be_meant_is_refused(config):
  text = config if isinstance(config, str) else json.dumps(config)
  with pytest.raises(ValueError, match="TF_CONFIG"):
    place_of({"TF_CONFIG": text})
