"""Which splits a conversion has, said before anything is read."""

import json

import pytest

from hardmine.pipelines.experiments import find
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig

TRAIN = AnnotatedFolder(images="a", annotations="a.json")
EVAL = AnnotatedFolder(images="b", annotations="b.json", split="eval")


@pytest.mark.parametrize(
  ("sources", "share"),
  [
    ((TRAIN, EVAL), 0.1),  # there is one already
    ((EVAL,), 0.1),  # of what?
    ((TRAIN,), 1.0),
    ((TRAIN,), -0.1),
  ],
)
def test_shares_that_make_no_split_are_refused(sources, share):
  with pytest.raises(ValueError, match=r"eval_share.*Received: .*eval_share="):
    ConversionConfig(sources=sources, eval_share=share)


def test_the_share_joins_the_json_where_there_is_one():
  plain = json.loads(ConversionConfig(sources=(TRAIN,)).to_json())
  assert "eval_share" not in plain
  config = ConversionConfig(sources=(TRAIN,), eval_share=0.2)
  assert ConversionConfig.from_json(config.to_json()) == config


def test_an_experiment_needs_both_splits_or_a_share():
  source = '{"images": "a", "annotations": "a.json"}'
  experiment = find("ssd_small_set")
  with pytest.raises(ValueError, match=r"split eval.*conversion\.eval_share"):
    experiment.override([f"conversion.sources=[{source}]"])
  ready = experiment.override(
    [f"conversion.sources=[{source}]", "conversion.eval_share=0.1"]
  )
  assert ready.conversion.eval_share == 0.1
  one = source.replace("}", ', "split": "eval"}')
  with pytest.raises(ValueError, match="split train"):
    experiment.override([f"conversion.sources=[{one}]"])
