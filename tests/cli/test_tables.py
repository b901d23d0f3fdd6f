"""What users wrote, on terminals and in pipes."""

from __future__ import annotations

import json

import pytest

from hardmine.pipelines.cli.main import main
from hardmine.pipelines.cli.tables import print_table, printable


@pytest.mark.parametrize(
  ("text", "shown"),
  [
    (":car: [bold]x[/] \\ é 猫 🐈", ":car: [bold]x[/] \\ é 猫 🐈"),
    ("\x1b[31m", "\\x1b[31m"),
    ("a\nb\rc\td", "a\\nb\\rc\\td"),
    ("\x9b31m", "\\x9b31m"),  # one character that begins a command
    ("a\u202eb\u2028c", "a\\u202eb\\u2028c"),
    ("\udcff.jpg", "\\udcff.jpg"),  # a byte of a name that is no UTF-8
    ("می\u200cخواهم", "می\u200cخواهم"),  # a word as it is written
  ],
)
def test_everything_shows_and_nothing_is_a_command(text, shown):
  assert printable(text) == shown


def test_a_table_in_a_pipe_is_as_wide_as_its_words(capsys):
  print_table(("name", ">count"), [("x" * 300, "1"), ("a\x1bb", "22")])
  assert capsys.readouterr().out.splitlines() == [
    f"name{' ' * 296}  count",
    f"{'x' * 300}      1",
    f"a\\x1bb{' ' * 294}     22",
  ]


def test_a_terminal_shows_the_same_letters(capsys, monkeypatch):
  monkeypatch.setattr("sys.stdout.isatty", lambda: True)
  monkeypatch.setenv("COLUMNS", "40")
  print_table(("name",), [(":car: [bold]x[/bold]",), ("y" * 60,)])
  out = capsys.readouterr().out
  assert ":car: [bold]x[/bold]" in out
  assert out.count("y") == 60  # folded, not cut


def test_errors_are_no_commands_either(capsys):
  assert main(["inspect", "none\x1b[31m.hmc"]) == 1
  assert capsys.readouterr().err.startswith("hardmine: none\\x1b[31m.hmc: No such")


def test_names_in_a_store_are_shown_as_they_are(tmp_path, capsys):
  (tmp_path / "versions").mkdir()
  line = {"at": "2026-01-01T00:00", "who": "a\x1b[2Jb", "action": "gc", "why": ":car:"}
  (tmp_path / "audit.jsonl").write_text(json.dumps(line) + "\n")
  assert main(["models", "history", "--store", str(tmp_path)]) == 0
  out = capsys.readouterr().out
  assert "a\\x1b[2Jb" in out
  assert ":car:" in out
