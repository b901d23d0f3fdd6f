"""The Beam job: faults are named, and a set is whole or not there at all."""

import json

import pytest
from PIL import Image

from hardmine.components.jobs import shards
from hardmine.components.jobs.sources import list_sources
from hardmine.components.patch_gen import mine_part
from hardmine.components.patch_gen.patch_job import tfx_layout
from tests.components.patch_gen.mining import config, mine, patches, photograph


@pytest.fixture
def mixed(tmp_path):
  """Two good photographs and one file of each kind that cannot be used."""
  folder = tmp_path / "mixed"
  folder.mkdir()
  for seed in (0, 1):
    Image.fromarray(photograph(seed)).save(folder / f"good{seed}.png")
  Image.fromarray(photograph(2)).save(folder / "renamed.png", "JPEG")
  whole = (folder / "good0.png").read_bytes()
  (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
  (folder / "empty.png").touch()
  (folder / "text.png").write_text("not a photograph")
  (folder / "folder.png").mkdir()
  (folder / "gone.png").symlink_to(folder / "nowhere")
  Image.fromarray(photograph(0)[:20]).save(folder / "low.png")
  return folder


def test_bad_files_are_counted_and_listed(mixed, tmp_path):
  manifest = mine(config(mixed, max_dead_share=0.9), tmp_path / "out")
  assert manifest["counts"]["dead_by_reason"] == {
    "directory": 1,
    "empty": 1,
    "not_an_image": 1,
    "too_small": 1,
    "truncated": 1,
    "unreadable": 1,
  }
  assert manifest["counts"]["used"] == 3
  lines = (tmp_path / "out" / "dead_letters.jsonl").read_text().splitlines()
  letters = [json.loads(line) for line in lines]
  assert [(letter["source"], letter["reason"]) for letter in letters] == [
    ("cut.png", "truncated"),
    ("empty.png", "empty"),
    ("folder.png", "directory"),
    ("gone.png", "unreadable"),
    ("low.png", "too_small"),
    ("text.png", "not_an_image"),
  ]
  assert all(letter["detail"] for letter in letters)
  assert {p.source for p in patches(tmp_path / "out")} == {
    "good0.png",
    "good1.png",
    "renamed.png",
  }


def test_too_many_bad_files_fail_and_leave_only_their_list(mixed, tmp_path):
  output = tmp_path / "out"
  report = tmp_path / "out.dead_letters.jsonl"
  with pytest.raises(RuntimeError, match=f"6 of 9 files.*empty 1.*{report}"):
    mine(config(mixed, max_dead_share=0.5), output)
  assert len(report.read_text().splitlines()) == 6
  assert sorted(p.name for p in tmp_path.iterdir()) == ["mixed", report.name]
  mine(config(mixed, max_dead_share=0.9), output)
  assert not report.exists()


def test_a_split_of_dead_photographs_is_filled_with_living_ones(tmp_path):
  folder = tmp_path / "photographs"
  folder.mkdir()
  for seed in range(4):
    Image.fromarray(photograph(seed)).save(folder / f"{seed}.png")
  settings = config(folder, eval_share=0.01, max_dead_share=0.5)
  layout = tfx_layout(settings)
  (first,) = layout.assign(list_sources(settings.images)[0])["eval"]
  (folder / first.id).write_bytes(b"")
  manifest = mine(settings, tmp_path / "out", layout=layout)
  assert manifest["counts"]["splits"]["eval"] == {"photographs": 1, "patches": 5}
  assert manifest["counts"]["splits"]["train"] == {"photographs": 2, "patches": 10}
  assert manifest["counts"]["dead_by_reason"] == {"empty": 1}


def test_no_image_is_the_callers_mistake(tmp_path):
  with pytest.raises(ValueError, match="at least one image"):
    mine(config(tmp_path / "nowhere"), tmp_path / "out")
  assert not any(tmp_path.iterdir())


def test_only_patches_are_overwritten(photographs, tmp_path):
  output = tmp_path / "out"
  output.mkdir()
  (output / "precious.txt").write_text("mine")
  with pytest.raises(ValueError, match="does not exist or is empty"):
    mine(config(photographs), output)
  assert [p.name for p in output.iterdir()] == ["precious.txt"]
  with pytest.raises(ValueError, match="holds patches made before and nothing else"):
    mine(config(photographs), output, overwrite=True)
  (output / "precious.txt").unlink()
  for _ in range(2):
    mine(config(photographs), output, overwrite=True)
  assert len(patches(output)) == 45
  with pytest.raises(ValueError, match="without any of the files that are read"):
    mine(config(output, images=[f"{output}/*"]), output, overwrite=True)
  assert len(patches(output)) == 45


def test_a_job_that_breaks_leaves_nothing(photographs, tmp_path, monkeypatch):
  def broken(source, settings):
    raise OSError("no space left on device")

  monkeypatch.setattr(mine_part, "_mine", broken)
  with pytest.raises(Exception, match="no space left"):
    mine(config(photographs), tmp_path / "out")
  assert not any(tmp_path.iterdir())


def test_records_lost_by_a_runner_are_noticed(photographs, tmp_path, monkeypatch):
  original = shards.join_shard

  def forgetful(group, **where):
    path, told = group
    return original((path, list(told)[1:]), **where)

  monkeypatch.setattr(shards, "join_shard", forgetful)
  with pytest.raises(RuntimeError, match=r"lost or doubled some: \d parts instead of"):
    mine(config(photographs), tmp_path / "out")
  assert not any(tmp_path.iterdir())
