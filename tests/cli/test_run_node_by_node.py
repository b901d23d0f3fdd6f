"""The page about running node by node: its commands are taken, its order is right."""

import re
import shlex
from pathlib import Path

import pytest

from hardmine.pipelines import running
from hardmine.pipelines.cli.main import main
from hardmine.pipelines.codec import NODES
from hardmine.pipelines.outcome import Outcome
from hardmine.pipelines.runs import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "run_node_by_node.md"


def test_its_commands_run_a_node(monkeypatch, tmp_path):
  asked = []

  def run_one(experiment, site, node, run_id, **options):
    asked.append((experiment.name, node, run_id))
    outcome = Outcome(
      blessed=None, reasons=(), metrics=None, report_path=None, pushed_dir=None
    )
    return Run(run_id=run_id, nodes=()), outcome

  monkeypatch.setattr(running, "run_experiment_node", run_one)
  monkeypatch.chdir(tmp_path)
  commands = re.findall(r"^hardmine .*", PAGE.read_text("utf-8"), re.MULTILINE)
  assert len(commands) == 3
  for command in commands:
    program, *words = shlex.split(command)
    assert program == "hardmine"
    assert main(words) == 0
  assert [node for _, node, _ in asked] == ["PatchGen", "Trainer", "PatchGen"]


def test_its_loop_goes_through_the_nodes_in_an_order_in_which_they_can_run():
  (loop,) = re.findall(r"for node in (.*?); do", PAGE.read_text("utf-8"), re.S)
  assert tuple(loop.replace("\\\n", " ").split()) == NODES


@pytest.mark.parametrize("status", ["0", "1", "2", "3", "128 + n"])
def test_its_table_has_every_exit_status(status):
  assert f"\n| {status} |" in PAGE.read_text("utf-8")
