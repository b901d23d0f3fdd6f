"""The one rule by which evaluators and the model store judge numbers."""

import numpy as np
import pytest

from hardmine.components.codec_evaluator.measurement import Measurement
from hardmine.schemas.evaluation_config import (
  CODEC_METRICS,
  DETECTION_METRICS,
  CodecEvaluationConfig,
  DetectionEvaluationConfig,
)
from hardmine.schemas.gates import Gate, judge
from hardmine.serving.pages.conventions import METRICS, SUMMARY
from hardmine.serving.store.comparison import differences
from hardmine.serving.store.entries import Version

EDGES = [  # value, blessed value, required: passes
  (0.12, 0.11, 0.01, True),  # as floats 0.00999999999999999 apart
  (0.11, 0.12, -0.01, True),
  (0.1199, 0.11, 0.01, False),
  (0.3, 0.1 + 0.2, 0.0, True),
  (0.5, 0.5 + 1e-6, 0.0, False),
]


def version(number, value, required, direction):
  gate = {"metric": "AP", "direction": direction, "min_improvement": required}
  return Version(
    number=number,
    kind="detector",
    model_id="",
    digest="",
    created_at="",
    num_bytes=0,
    passed=True,
    numbers={"AP": value},
    read_document=lambda _: {"evaluation": {"gates": [gate]}},
  )


@pytest.mark.parametrize(("value", "blessed", "required", "passes"), EDGES)
def test_evaluator_and_store_agree_at_the_edge(value, blessed, required, passes):
  for sign, direction in ((1, "higher"), (-1, "lower")):
    gate = Gate(metric="AP", direction=direction, min_improvement=required)
    verdict = judge((gate,), {"AP": sign * value}, {"AP": sign * blessed})
    (difference,) = differences(
      version(2, sign * value, required, direction),
      version(1, sign * blessed, required, direction),
    )
    assert (verdict.passed, difference.passed) == (passes, passes)


def test_a_bound_is_reached_up_to_rounding():
  gate = Gate(metric="AP", bound=0.3)
  assert judge((gate,), {"AP": 0.1 + 0.2}, None).passed
  assert judge((gate,), {"AP": 0.3 - 1e-12}, None).passed
  assert not judge((gate,), {"AP": 0.2999}, None).passed


@pytest.mark.parametrize(
  ("make", "metrics"),
  [
    (lambda gate: CodecEvaluationConfig(images=("x",), gates=(gate,)), CODEC_METRICS),
    (lambda gate: DetectionEvaluationConfig(gates=(gate,)), DETECTION_METRICS),
  ],
)
def test_a_gate_on_what_is_never_measured_is_refused_with_what_is(make, metrics):
  for metric in metrics:
    make(Gate(metric=metric, bound=0.0))
  with pytest.raises(ValueError, match=f"{metrics[0]}.*Received: metric='ms_ssim_acu'"):
    make(Gate(metric="ms_ssim_acu", bound=0.0))


def test_the_listed_metrics_are_those_that_evaluators_measure():
  measured = Measurement(
    key="x",
    title="x",
    detail="x",
    points=(1,),
    images=("x",),
    bpp=np.ones((1, 1)),
    file_bpp=np.ones((1, 1)),
    scores=np.ones((1, 1, len(METRICS))),
  ).areas()
  assert set(CODEC_METRICS) == set(measured)
  assert set(DETECTION_METRICS) == {*SUMMARY, "latency_seconds"}
