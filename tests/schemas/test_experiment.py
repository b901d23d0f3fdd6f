"""What an experiment needs before anything is converted or trained."""

from __future__ import annotations

import json

import pytest

from hardmine.pipelines.experiments import find


def sources(*splits: str) -> str:
  """The setting of one source a split."""
  plain = [{"images": "i", "annotations": f"{s}.json", "split": s} for s in splits]
  return f"conversion.sources={json.dumps(plain)}"


def experiment(*splits: str, measured: str = "eval"):
  settings = [sources(*splits), f"evaluation.split={measured}"]
  return find("ssd_small_set").override(settings)


@pytest.mark.parametrize(
  ("splits", "measured", "missing"),
  [
    (("train",), "eval", "eval"),
    (("eval",), "eval", "train"),
    (("train", "test"), "test", "eval"),  # the Trainer's own
    (("train", "eval"), "test", "test"),
  ],
)
def test_a_detector_without_a_split_that_it_needs_is_refused(splits, measured, missing):
  with pytest.raises(ValueError, match=f"a source of the split {missing}: "):
    experiment(*splits, measured=measured)


def test_a_stored_experiment_is_held_to_the_same():
  whole = experiment("train", "eval", "test", measured="test")
  plain = json.loads(whole.to_json())
  assert type(whole).from_json(json.dumps(plain)) == whole
  del plain["conversion"]["sources"][1]
  with pytest.raises(ValueError, match=r"eval_share.*splits=\['test', 'train'\]"):
    type(whole).from_json(json.dumps(plain))
