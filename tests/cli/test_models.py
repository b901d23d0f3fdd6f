"""`hardmine models`: what it prints, and with which status it ends."""

from __future__ import annotations

import json
import time

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.serving.probe.sandbox import Outcome
from hardmine.serving.store import promotion
from hardmine.serving.store.store import ModelStore
from tests.serving.store.fake_models import add, by, facts, write_model
from tests.serving.store.keys import write_keys


@pytest.fixture
def store(tmp_path, monkeypatch):
  """Three versions; 1 is live. No model is really asked."""

  def ask(model_dir):
    return Outcome(
      passed=True, reason="answered", last_line="{}", seconds=1.5, peak_bytes=0
    )

  monkeypatch.setattr(promotion, "ask", ask)
  store = ModelStore(tmp_path / "store")
  for content, area in (("a", 1.5), ("b", 1.6), ("c", 1.4)):
    add(store, tmp_path, content, area=area)
  store.move("production", 1, reason=by("ann", "first"))
  return store


def command(store, *words: str) -> int:
  return main(["models", *words, "--store", store.url])


def test_list_shows_versions_newest_first_and_their_aliases(store, capsys):
  assert command(store, "list") == 0
  lines = capsys.readouterr().out.splitlines()
  assert lines[0].split() == [
    "version",
    "aliases",
    "kind",
    "model",
    "made",
    "MB",
    "verdict",
    "measured",
  ]
  assert [line.split()[0] for line in lines[1:]] == ["3", "2", "1"]
  assert lines[3].split()[1] == "production"
  assert lines[3].endswith("ms_ssim_auc 1.5000")
  assert command(store, "list", "--json") == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["aliases"] == {"production": 1}
  assert [one["number"] for one in answer["versions"]] == [3, 2, 1]


def test_list_goes_on_past_a_damaged_version(store, capsys):
  (store.local_dir(2) / "assets.extra" / "manifest.json").write_text("{")
  assert command(store, "list") == 0
  assert "damaged" in capsys.readouterr().out
  assert command(store, "verify") == 1
  out = capsys.readouterr()
  assert "version 1: as it was added" in out.out
  assert "1 of 3 are damaged" in out.err


def test_show_tells_everything_of_a_version(store, capsys):
  assert command(store, "show", "production") == 0
  out = capsys.readouterr().out
  for text in ("ms_ssim_auc 1.5000", "run-a", "1.5000 must be at least", "production"):
    assert text.split()[0] in out
  assert command(store, "show", "1", "--json") == 0
  answer = json.loads(capsys.readouterr().out)
  assert answer["lineage"] == {"run_id": "run-a"}


def test_promote_prints_checks_and_differences_and_moves(store, capsys):
  words = ("promote", "2", "--to", "production", "--if-current", "1")
  assert command(store, *words, "--dry-run") == 0
  assert "would be done" in capsys.readouterr().out
  assert store.aliases() == {"production": 1}
  assert command(store, *words, "--who", "bob", "--why", "better") == 0
  out = capsys.readouterr().out
  assert "answered in 1.5 s" in out
  assert "production: version 1 -> version 2" in out
  assert ["ms_ssim_auc", "1.5000", "1.6000", "+0.1000", "+0.0000"] in [
    line.split() for line in out.splitlines()
  ]
  assert command(store, *words) == 0
  assert "already version 2" in capsys.readouterr().out
  assert store.audit()[-1].who == "bob"


def test_a_worse_model_is_refused_with_status_3(store, capsys):
  words = ("promote", "3", "--to", "production")
  assert command(store, *words) == 3
  out, err = capsys.readouterr()
  assert "REFUSED" in out
  assert err.count("\n") == 1
  assert "ms_ssim_auc 1.4000, was 1.5000: 0.1000 worse" in err
  assert command(store, *words, "--dry-run", "--json") == 3
  assert json.loads(capsys.readouterr().out)["refused"] == ["numbers"]
  assert command(store, *words, "--override", "it is smaller") == 0
  assert "OVERRIDDEN" in capsys.readouterr().out
  assert command(store, "history", "--alias", "production") == 0
  assert "OVERRIDE: it is smaller; refused: ms_ssim_auc" in capsys.readouterr().out


def test_a_lost_race_is_status_3_and_names_the_winner(store, capsys):
  store.move("production", 2, reason=by("bob"))
  assert command(store, "promote", "3", "--to", "production", "--if-current", "1") == 3
  err = capsys.readouterr().err
  assert "production is version 2, moved by bob" in err
  assert command(store, "promote", "3", "--to", "new", "--if-current", "4") == 3
  assert "new is nothing, and not version 4" in capsys.readouterr().err


def test_rollback_and_history(store, capsys):
  assert command(store, "promote", "2", "--to", "production") == 0
  assert command(store, "rollback", "production", "--why", "it blurs") == 0
  assert "production: version 2 -> version 1" in capsys.readouterr().out
  assert command(store, "history", "--json") == 0
  actions = [line["action"] for line in json.loads(capsys.readouterr().out)]
  assert actions == ["add", "add", "add", "promote", "promote", "rollback"]
  assert command(store, "rollback", "production") == 2
  assert "earlier version to go back to" in capsys.readouterr().err


def test_gc_and_export(store, tmp_path, capsys):
  assert command(store, "gc", "--keep", "1", "--dry-run") == 0
  assert capsys.readouterr().out == "would remove 2\n"
  assert command(store, "gc", "--keep", "1") == 0
  assert store.versions() == [1, 3]
  out = str(tmp_path / "out")
  assert command(store, "export", "production", out) == 0
  assert (tmp_path / "out" / "saved_model.pb").is_file()
  assert command(store, "export", "production", out) == 2


def test_promoting_from_another_store_copies_first(store, tmp_path, capsys):
  other = ModelStore(tmp_path / "other")
  assert command(other, "promote", f"{store.url}:2", "--to", "production") == 0
  assert other.aliases() == {"production": 1}
  assert other.version(1).digest == store.version(2).digest
  assert other.audit()[0].why == f"copied from {store.url}:2"
  assert command(other, "promote", f"{store.url}:2", "--to", "production") == 0
  assert "already version 1" in capsys.readouterr().out


def test_signing_and_promoting_what_is_signed(store, tmp_path, capsys, monkeypatch):
  keys = write_keys(tmp_path, "ann", password="sesame")
  monkeypatch.setenv("HARDMINE_PRIVATE_KEY", str(keys.private))
  monkeypatch.setenv("HARDMINE_PRIVATE_KEY_PASSWORD", "sesame")
  trusted = ("--public-key", str(keys.public))
  promote = ("promote", "2", "--to", "production", *trusted)
  assert command(store, *promote, "--override", "never mind") == 3
  out, err = capsys.readouterr()
  assert "REFUSED" in out
  assert "version 2 is signed by nobody" in err
  assert command(store, "sign", "2", "--who", "ann", "--why", "seen") == 0
  assert capsys.readouterr().out.startswith("version 2: signed by key ")
  assert command(store, *promote) == 0
  assert "signature" in capsys.readouterr().out
  assert command(store, "show", "2") == 0
  assert "not checked" in capsys.readouterr().out
  assert command(store, "verify", "2", *trusted) == 0
  assert "as it was added, signed by key" in capsys.readouterr().out
  monkeypatch.setenv("HARDMINE_PUBLIC_KEY", f"{tmp_path / 'absent'}:{keys.public}")
  assert command(store, "verify", "2") == 2
  assert "a public key" in capsys.readouterr().err
  monkeypatch.setenv("HARDMINE_PUBLIC_KEY", str(keys.public))
  assert command(store, "verify", "--json") == 1
  rows = json.loads(capsys.readouterr().out)["versions"]
  assert [row["fault"] is None for row in rows] == [False, True, False]
  assert rows[1]["signed_by"] == next(iter(store.signatures(2)))
  assert command(store, "rollback", "production") == 3
  # The signature goes along into another store, and is asked for there.
  other = ModelStore(tmp_path / "other")
  assert command(other, "promote", f"{store.url}:2", "--to", "production") == 0
  assert other.signatures(1) == store.signatures(2)
  assert command(other, "promote", f"{store.url}:3", "--to", "new") == 3


def test_what_is_refused_is_not_copied(store, tmp_path, capsys):
  other = ModelStore(tmp_path / "other")
  assert command(other, "promote", f"{store.url}:2", "--to", "production") == 0
  worse = ("promote", f"{store.url}:3", "--to", "production")
  for words in (worse, (*worse, "--dry-run"), (*worse, "--if-current", "7")):
    assert command(other, *words) == 3
    assert other.versions() == [1]
  assert "0.2000 worse" in capsys.readouterr().err
  words = (*worse, "--override", "smaller", "--dry-run")
  assert command(other, *words) == 0
  assert "version 1 -> version 2 would be done" in capsys.readouterr().out
  assert other.versions() == [1]
  assert command(other, *worse, "--override", "smaller") == 0
  assert other.aliases() == {"production": 2}
  assert [entry.action for entry in other.audit()] == ["add", "promote"] * 2


def test_a_version_that_changes_while_it_is_copied_is_not_promoted(
  store, tmp_path, monkeypatch, capsys
):
  def ask(model_dir):
    (store.local_dir(2) / "saved_model.pb").write_text("evil")
    return Outcome(passed=True, reason="", last_line="", seconds=1, peak_bytes=0)

  monkeypatch.setattr(promotion, "ask", ask)
  other = ModelStore(tmp_path / "other")
  assert command(other, "promote", f"{store.url}:2", "--to", "production") == 1
  assert "was changed while it was copied" in capsys.readouterr().err
  assert other.aliases() == {}


def test_signatures_of_a_twin_from_another_run_stay_behind(store, tmp_path, capsys):
  keys, other = write_keys(tmp_path, "ann"), ModelStore(tmp_path / "other")
  assert command(store, "sign", "2", "--private-key", str(keys.private)) == 0
  model = write_model(tmp_path / "twin", "b")
  other.add(model, **{**facts("b", area=1.6), "lineage": {"run_id": "another"}})
  words = ("promote", f"{store.url}:2", "--to", "production")
  assert command(other, *words, "--public-key", str(keys.public)) == 3
  err = capsys.readouterr().err
  assert "it is the model of 2, and came here from another run" in err
  assert "version 1 is signed by nobody" in err
  assert [entry.action for entry in other.audit()] == ["add"]


def test_an_empty_key_is_no_way_around_signatures(store, capsys, monkeypatch):
  words = ("promote", "2", "--to", "production")
  assert command(store, *words, "--public-key", "") == 2
  monkeypatch.setenv("HARDMINE_PUBLIC_KEY", "")
  assert command(store, *words) == 2
  assert "with files or not at all" in capsys.readouterr().err
  assert store.aliases() == {"production": 1}


def test_a_user_without_a_name_is_a_number(store, monkeypatch):
  def unknown():
    raise KeyError("getpwuid(): uid not found: 54321")

  monkeypatch.setattr("getpass.getuser", unknown)
  assert command(store, "promote", "2", "--to", "production") == 0
  assert store.audit()[-1].who.partition("@")[0].isdecimal()


@pytest.mark.parametrize(
  ("words", "line"),
  [
    (("promote", "9", "--to", "production"), "or a version (1, 2, 3)"),
    (("promote", "2", "--to", "Production"), "an alias of a-z"),
    (("promote", "2", "--to", "x", "--override", ""), "a reason to override"),
    (("promote", "2", "--to", "x", "--if-current", "y"), "a version or none"),
    (("show", "x"), "Received: 'x'"),
    (("rollback", "x"), "an alias among production"),
    (("gc", "--keep", "0"), "keep >= 1"),
    (("sign", "2"), "--private-key FILE, or HARDMINE_PRIVATE_KEY"),
    (("sign", "2", "--private-key", "absent"), "Received: 'absent'"),
    (("promote", "2", "--to", "x", "--public-key", "absent"), "Received: 'absent'"),
  ],
)
def test_mistakes_are_one_line_and_status_2(store, capsys, words, line):
  assert command(store, *words) == 2
  err = capsys.readouterr().err
  assert line in err
  assert err.count("\n") == 1


def test_no_store_is_named_or_there_is_none(tmp_path, capsys, monkeypatch):
  monkeypatch.delenv("HARDMINE_STORE", raising=False)
  assert main(["models", "list"]) == 2
  assert "--store URL, or HARDMINE_STORE" in capsys.readouterr().err
  assert main(["models", "list", "--store", str(tmp_path / "none")]) == 2
  assert "Expected a model store" in capsys.readouterr().err
  assert not (tmp_path / "none").exists()
  monkeypatch.setenv("HARDMINE_STORE", str(tmp_path / "none"))
  assert main(["models", "list"]) == 2


def test_a_thousand_versions_are_listed_in_a_second(store, tmp_path, capsys):
  manifest = (store.local_dir(1) / "assets.extra" / "manifest.json").read_bytes()
  for number in range(4, 1001):
    path = store.local_dir(1).with_name(str(number)) / "assets.extra"
    path.mkdir(parents=True)
    (path / "manifest.json").write_bytes(manifest)
  seconds = []
  for _ in range(3):
    started = time.perf_counter()
    assert command(store, "list") == 0
    seconds.append(time.perf_counter() - started)
  assert len(capsys.readouterr().out.splitlines()) == 3003
  assert min(seconds) < 1


@pytest.mark.parametrize(
  ("reason", "status"),
  [
    ("answers wrongly", 3),
    ("ImportError: cannot import name 'SystemRandom' from 'random'", 1),
    ("OSError: [Errno 28] No space left on device", 1),
    ("died of SIGKILL", 1),
  ],
)
def test_a_machine_that_cannot_ask_is_told_from_a_model_that_answers_wrongly(
  store, monkeypatch, reason, status
):
  def ask(model_dir):
    return Outcome(passed=False, reason=reason, last_line="", seconds=1, peak_bytes=0)

  monkeypatch.setattr(promotion, "ask", ask)
  assert command(store, "promote", "2", "--to", "production") == status
