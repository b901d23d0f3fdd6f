"""Measurements on the way: which is best, when it ends, and what a kill changes."""

from __future__ import annotations

import numpy as np
import pytest

from hardmine.trainers.checkpoints import Checkpoints
from hardmine.trainers.evaluations import FILE_NAME, Evaluate, Evaluations

APS = {100: 0.3, 200: 0.5, 300: 0.5, 400: 0.4, 500: 0.6, 600: 0.1}


class Model:
  """Only as much of one as is asked for: its step is all that it has."""

  def __init__(self, step=0):
    self.step, self.stop_training = step, False
    self.optimizer = self
    self.use_ema = False


def evaluations(folder, aps=APS, patience=None, lines=None, **changed):
  return Evaluations(
    lambda model: {"AP": aps[model.step], "AP50": 0.9},
    "AP",
    **{
      "every": 100,
      "steps": 600,
      "patience": patience,
      "checkpoints": Checkpoints(folder),
      "report": (lines if lines is not None else []).append,
      **changed,
    },
  )


def trained(known, first=0):
  """The steps of the windows that a training sees from a step on."""
  model, seen = Model(first), []
  callback = Evaluate(known, 50, measures=True)
  callback.set_model(model)
  for epoch in range(first // 50, known.steps // 50):
    model.step = 50 * (epoch + 1)
    logs = {"loss": 1.0}
    callback.on_epoch_end(epoch, logs)
    seen.append((model.step, logs.get("held_out_AP")))
    if model.stop_training:
      break
  return seen


def test_every_so_many_steps_are_measured_and_the_last_one(tmp_path):
  known = evaluations(tmp_path, {**APS, 550: 0.2}, every=150, steps=550)
  known.measure = lambda model: {"AP": model.step / 1000}
  measured = [step for step, ap in trained(known) if ap is not None]
  assert measured == [150, 300, 450, 550]
  assert known.best_step == 550


def test_the_first_of_equals_is_best_and_patience_counts_from_there(tmp_path):
  lines = []
  known = evaluations(tmp_path, patience=2, lines=lines)
  assert trained(known)[-1][0] == 400
  assert known.best_step == 200
  assert "AP 0.5000  AP50 0.9000  the best" in lines[1]
  assert "AP 0.4000" in lines[3]
  assert "best 0.5000 at step 200" in lines[3]
  assert lines[-1].startswith("training ends at step 400 of 600: 2 measurements")
  patient = evaluations(tmp_path / "other", patience=3)
  assert trained(patient)[-1][0] == 600
  assert patient.best_step == 500


@pytest.mark.parametrize("killed_at", range(0, 650, 50))
@pytest.mark.parametrize("noted", [True, False])
def test_a_killed_training_ends_where_the_undisturbed_one_does(
  tmp_path, killed_at, noted
):
  """Killed between a step's checkpoint and its measurement, or behind that."""
  whole = evaluations(tmp_path / "whole", patience=2)
  steps = [step for step, _ in trained(whole)]
  first = evaluations(tmp_path / "killed", patience=2)
  for step in range(100, killed_at + noted, 100):
    if not first.is_over:
      first.add(Model(step), step)
  killed_at = min(killed_at, steps[-1])

  again = evaluations(tmp_path / "killed", patience=2)
  ended = again.resume(Model(killed_at), killed_at)
  assert ended == (killed_at == steps[-1])
  if not ended:
    assert [step for step, _ in trained(again, killed_at)] == [
      step for step in steps if step > killed_at
    ]
  assert again.found == whole.found
  assert again.checkpoints.pinned == {200}


def test_what_was_measured_behind_the_checkpoint_is_forgotten(tmp_path):
  """The newest one was damaged, and an earlier one is gone on from."""
  known = evaluations(tmp_path)
  trained(known)
  again = evaluations(tmp_path)
  again.resume(Model(400), 400)
  assert sorted(again.found) == [100, 200, 300, 400]
  assert again.checkpoints.pinned == {200}
  assert (tmp_path / FILE_NAME).exists()


def test_others_hear_the_end_from_the_one_that_measures(tmp_path):
  sent = []

  class Team:
    def from_chief(self, arrays):
      sent.append(arrays)
      return [np.asarray(True)]

  known = evaluations(tmp_path)
  known.team = Team()
  callback, model = Evaluate(known, 50, measures=False), Model(100)
  callback.set_model(model)
  callback.on_epoch_end(0, {})
  assert not sent  # nobody asks at a step that is not measured
  callback.on_epoch_end(1, {})
  assert model.stop_training
  assert known.found == {}
