"""What a run amounts to, of codecs and of detectors."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from hardmine.pipelines.outcome import outcome_lines, outcome_of
from hardmine.pipelines.runs import Run

METRICS = {
  "CodecEvaluator": {"ms_ssim_auc": 1.75, "num_images": 3},
  "DetectionEvaluator": {"AP": 0.25, "AP50": 0.5, "AP_small": -1.0, "num_images": 3},
}
SHOWN = {
  "CodecEvaluator": ["ms_ssim_auc   1.7500"],
  "DetectionEvaluator": ["AP            0.2500", "AP50          0.5000"],
}


def run_with(tmp_path, evaluator, passed):
  """A run of which only the evaluator and InfraCheck are left."""
  result = {"metric": "AP", "passed": passed, "reason": "0.25 must be at least 0.3"}
  content = {
    evaluator: {
      "metrics.json": METRICS.get(evaluator, {}),
      "verdict.json": {"passed": passed, "results": [result]},
      "report.html": "",
    },
    "InfraCheck": {"answer.json": {"passed": True, "reason": "answered"}},
  }
  nodes = []
  for node, files in content.items():
    (tmp_path / node).mkdir()
    for name, value in files.items():
      (tmp_path / node / name).write_text(json.dumps(value))
    nodes.append(SimpleNamespace(node=node, outputs={"out": [str(tmp_path / node)]}))
  return Run(run_id="1", nodes=tuple(nodes), log_path="run.log")


@pytest.mark.parametrize("evaluator", METRICS)
def test_a_blessed_run_says_so_with_its_numbers_and_report(tmp_path, evaluator):
  run = run_with(tmp_path, evaluator, True)
  outcome = outcome_of(run)
  assert outcome.blessed is True
  assert outcome.metrics == METRICS[evaluator]
  report = str(tmp_path / evaluator / "report.html")
  assert outcome.report_path == report
  assert outcome_lines(run, outcome) == [
    "blessed",
    *SHOWN[evaluator],
    f"report        {report}",
    "log           run.log",
  ]


@pytest.mark.parametrize("evaluator", METRICS)
def test_a_run_that_is_not_blessed_says_why(tmp_path, evaluator):
  run = run_with(tmp_path, evaluator, False)
  outcome = outcome_of(run)
  assert outcome.blessed is False
  assert outcome_lines(run, outcome)[1] == "  AP: 0.25 must be at least 0.3"


def test_a_run_without_an_evaluator_is_neither(tmp_path):
  outcome = outcome_of(run_with(tmp_path, "SomethingElse", True))
  assert outcome.blessed is None
  assert outcome.report_path is None


def test_a_run_without_a_log_of_its_own_names_none(tmp_path):
  run = Run(run_id="1", nodes=run_with(tmp_path, "CodecEvaluator", True).nodes)
  lines = outcome_lines(run, outcome_of(run))
  assert not [line for line in lines if line.startswith("log")]
