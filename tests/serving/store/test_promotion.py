"""What may be promoted, what is refused with which numbers, and the way back."""

from __future__ import annotations

import shutil

import pytest

from hardmine.serving.probe.sandbox import Outcome
from hardmine.serving.store.entries import Conflict
from hardmine.serving.store.promotion import Refused, earlier_version, promote, rollback
from tests.serving.store.fake_models import add, by, facts, write_model


def answers(model_dir):
  return Outcome(
    passed=True, reason="answered", last_line="{}", seconds=1, peak_bytes=0
  )


def hangs(model_dir):
  reason = "no answer within 3 s"
  return Outcome(passed=False, reason=reason, last_line="", seconds=3, peak_bytes=0)


def promoted(store, reference, alias="production", **options):
  usual = {"reason": by("ann"), "check": answers}
  return promote(store, reference, alias, **{**usual, **options})


def test_a_better_model_is_promoted_with_its_numbers(store, tmp_path):
  add(store, tmp_path, "a", area=1.5)
  add(store, tmp_path, "b", area=1.6)
  first = promoted(store, 1)
  assert first.moved
  store.move("candidate", 2, reason=by("pipeline"))
  second = promoted(store, "candidate", if_current=1, reason=by("ann", "better"))
  assert second.moved
  assert store.aliases()["production"] == 2
  (difference,) = second.differences
  assert (difference.before, difference.after) == (1.5, 1.6)
  assert str(difference) == (
    "ms_ssim_auc 1.6000, was 1.5000: 0.1000 better, required +0.0000"
  )
  assert {check.name for check in second.checks if check.passed} == {
    "files",
    "verdict",
    "newer",
    "numbers",
    "answers",
  }
  assert store.audit()[-1].details["numbers"] == {"ms_ssim_auc": [1.5, 1.6]}


def test_the_same_promotion_twice_is_already_done(store, tmp_path):
  add(store, tmp_path, "a")
  promoted(store, 1)
  again = promoted(store, 1, if_current=None, check=hangs)
  assert again.already
  assert not again.moved
  assert len(store.audit()) == 2


def test_a_worse_model_is_refused_with_the_numbers(store, tmp_path):
  add(store, tmp_path, "a", area=1.5)
  add(store, tmp_path, "b", area=1.4)
  promoted(store, 1)
  with pytest.raises(Refused, match=r"1\.4000, was 1\.5000: 0\.1000 worse") as caught:
    promoted(store, 2)
  assert "--override REASON" in str(caught.value)
  assert store.aliases()["production"] == 1
  found = promoted(store, 2, dry_run=True)
  assert [check.name for check in found.refusals] == ["numbers"]
  assert store.aliases()["production"] == 1


def test_an_override_is_recorded_with_what_it_passed_over(store, tmp_path):
  add(store, tmp_path, "a", area=1.5)
  add(store, tmp_path, "b", area=1.4)
  promoted(store, 1)
  assert promoted(store, 2, override="half as large").moved
  entry = store.audit()[-1]
  assert entry.override == "half as large"
  assert "1.4000, was 1.5000" in entry.details["refused"]["numbers"]
  with pytest.raises(ValueError, match="a reason to override"):
    promoted(store, 1, override=" ")


def test_an_override_that_was_not_needed_is_not_recorded(store, tmp_path):
  add(store, tmp_path, "a")
  assert promoted(store, 1, override="just in case").moved
  assert store.audit()[-1].override is None


@pytest.mark.parametrize(
  ("gate", "before", "after", "passed"),
  [
    ({"direction": "lower"}, 1.5, 1.4, True),
    ({"direction": "lower"}, 1.5, 1.6, False),
    ({"min_improvement": -0.2}, 1.5, 1.4, True),
    ({"min_improvement": 0.2}, 1.5, 1.6, False),
    ({"min_improvement": None, "bound": 1.0}, 1.5, 1.5, True),
    ({"min_improvement": None, "bound": 1.0}, 1.5, 1.4, False),
    ({"metric": "unmeasured"}, 1.5, 1.6, False),
  ],
)
def test_gates_of_the_experiment_say_what_worse_is(
  store, tmp_path, gate, before, after, passed
):
  gates = [{"metric": "ms_ssim_auc", "direction": "higher", "bound": None, **gate}]
  add(store, tmp_path, "a", area=before)
  add(store, tmp_path, "b", area=after, gates=gates)
  promoted(store, 1)
  assert (promoted(store, 2, dry_run=True).refusals == ()) == passed


@pytest.mark.parametrize(
  ("options", "reason"),
  [
    ({"evaluation_set": "set-2"}, r"another evaluation set .*set-2 and set-1"),
    ({"evaluation_set": None}, "version 2 does not say which evaluation set"),
    ({"kind": "detector"}, "a detector cannot be compared with a codec"),
    ({"gates": []}, "no gate, so no number decides"),
  ],
)
def test_numbers_of_different_sets_are_not_compared(store, tmp_path, options, reason):
  add(store, tmp_path, "a", area=1.5)
  add(store, tmp_path, "b", area=1.9, **options)
  promoted(store, 1)
  with pytest.raises(Refused, match=reason):
    promoted(store, 2)
  assert promoted(store, 2, override="looked at both").moved


def test_a_verdict_that_failed_is_refused_with_its_reason(store, tmp_path):
  add(store, tmp_path, "a", area=0.9, passed=False)
  with pytest.raises(Refused, match=r"verdict: ms_ssim_auc: 0\.9000 must be at least"):
    promoted(store, 1)


def test_an_older_model_needs_to_be_asked_for(store, tmp_path):
  add(store, tmp_path, "a")
  add(store, tmp_path, "b")
  promoted(store, 2)
  with pytest.raises(Refused, match="1 is older than 2"):
    promoted(store, 1)
  assert promoted(store, 1, allow_older=True).moved


def test_a_model_that_does_not_answer_is_refused_whatever_the_reason(store, tmp_path):
  add(store, tmp_path, "a")
  with pytest.raises(Refused, match="answers: no answer within 3 s") as caught:
    promoted(store, 1, check=hangs, override="never mind")
  assert "--override" not in str(caught.value)
  assert store.aliases() == {}


def test_a_damaged_model_is_not_even_loaded(local_store, tmp_path):
  add(local_store, tmp_path, "a")
  (local_store.local_dir(1) / "saved_model.pb").write_text("graph b")

  def must_not_run(model_dir):
    raise AssertionError

  with pytest.raises(Refused, match=r"files: .*saved_model\.pb differs"):
    promoted(local_store, 1, check=must_not_run, override="never mind")


def test_the_way_out_of_a_damaged_version_stays_open(local_store, tmp_path):
  add(local_store, tmp_path, "a")
  add(local_store, tmp_path, "b")
  promoted(local_store, 1)
  (local_store.local_dir(1) / "assets.extra" / "manifest.json").write_text("{")
  with pytest.raises(Refused, match="what the alias holds is damaged"):
    promoted(local_store, 2)
  assert promoted(local_store, 2, override="the old one is damaged").moved


def test_the_way_out_of_a_version_that_is_gone_stays_open(local_store, tmp_path):
  add(local_store, tmp_path, "a")
  add(local_store, tmp_path, "b")
  promoted(local_store, 1)
  shutil.rmtree(local_store.local_dir(1))
  with pytest.raises(Refused, match="what the alias holds is damaged"):
    promoted(local_store, 2)
  assert promoted(local_store, 2, override="the old one is gone").moved


def test_a_verdict_of_another_shape_is_no_pass(store, tmp_path):
  model = write_model(tmp_path / "model")
  store.add(model, **{**facts(), "verdict": {"passed": False, "results": ["?", 3]}})
  with pytest.raises(Refused, match="verdict: no gate was passed"):
    promoted(store, 1)


def test_a_move_during_the_checks_is_noticed(store, tmp_path):
  for content in "abc":
    add(store, tmp_path, content)
  promoted(store, 1)

  def overtaken(model_dir):
    store.move("production", 2, reason=by("bob"))
    return answers(model_dir)

  with pytest.raises(Conflict, match="production is version 2, moved by bob"):
    promoted(store, 3, check=overtaken)
  assert store.aliases()["production"] == 2
  with pytest.raises(Conflict, match=r"moved by bob at .*, and not version 1"):
    promoted(store, 3, if_current=1)


def test_rollback_goes_back_and_further_back(store, tmp_path):
  for area, content in enumerate("abc"):
    add(store, tmp_path, content, area=1.5 + area)
    promoted(store, area + 1)
  first = rollback(store, "production", reason=by("ann", "it blurs"), check=answers)
  assert (first.from_version, first.to_version) == (3, 2)
  assert rollback(store, "production", reason=by("ann"), check=answers).to_version == 1
  with pytest.raises(ValueError, match="held nothing before version 1"):
    rollback(store, "production", reason=by("ann"), check=answers)
  assert [entry.action for entry in store.audit()[-2:]] == ["rollback", "rollback"]
  assert store.versions() == [1, 2, 3]
  promoted(store, 3)
  assert earlier_version(store, "production") == 1


def test_rollback_skips_what_gc_removed_and_checks_again(store, tmp_path):
  for area, content in enumerate("abc"):
    add(store, tmp_path, content, area=1.5 + area)
    promoted(store, area + 1)
  store.move("old", 1, reason=by("ann"))
  assert store.gc(1) == [2]
  with pytest.raises(Refused, match="no answer"):
    rollback(store, "production", reason=by("ann"), check=hangs)
  assert rollback(store, "production", reason=by("ann"), check=answers).to_version == 1


def test_rollback_to_a_named_version(store, tmp_path):
  for area, content in enumerate("abc"):
    add(store, tmp_path, content, area=1.5 + area)
    promoted(store, area + 1)
  assert rollback(store, "production", to=1, reason=by("ann"), check=answers).moved
  assert rollback(store, "production", to=1, reason=by("ann"), check=answers).already
  with pytest.raises(ValueError, match="an alias among production"):
    rollback(store, "staging", reason=by("ann"), check=answers)
  add(store, tmp_path, "d", passed=False)
  with pytest.raises(ValueError, match="a version that production has held"):
    rollback(store, "production", to=4, reason=by("ann"), check=answers)
