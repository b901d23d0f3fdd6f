"""The Beam job: the same set from any runner and order, whole or not at all."""

import hashlib
import itertools
import json
import random

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image

from hardmine.components.jobs import shards
from hardmine.components.jobs.sources import list_sources
from hardmine.components.jobs.tfrecords import read_records
from hardmine.components.patch_gen import mine_part
from hardmine.components.patch_gen.hardest import hardest
from hardmine.components.patch_gen.job import FLAT, plan, run_job, tfx_layout
from hardmine.pipelines.beam_runners import direct
from hardmine.schemas.manifest import read_manifest
from hardmine.schemas.mining_config import MiningConfig
from hardmine.schemas.patch_example import (
  Patch,
  from_example,
  parse_pixels,
  serialize,
  to_example,
)

PER_IMAGE = 5


def photograph(seed):
  generator = np.random.default_rng(seed)
  height, width = generator.integers(96, 160, 2)
  noise = generator.standard_normal((height, width, 3))
  strength = np.linspace(0, 60, width)[None, :, None]
  return np.clip(128 + strength * noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
  folder = tmp_path_factory.mktemp("photographs")
  for seed in range(9):
    path = folder / f"{'ab'[seed % 2]}" / f"{seed}.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(photograph(seed)).save(path)
  return folder


def config(folder, **changes):
  base = MiningConfig(
    images=(f"{folder}/**/*.png",), per_image=PER_IMAGE, num_shards=2, eval_share=0.3
  )
  return base.override([f"{name}={json.dumps(v)}" for name, v in changes.items()])


def mine(settings, output, *, workers=1, **options):
  beam_args = direct(workers)
  return run_job(
    settings,
    output,
    make_pipeline=lambda: beam.Pipeline(options=PipelineOptions(beam_args)),
    **options,
  )


def patches(output):
  paths = sorted(output.rglob("*.gz"))
  return [from_example(r) for path in paths for r in read_records(path)]


def key(patch):
  digest = hashlib.sha256(patch.pixels.tobytes()).hexdigest()
  place = (patch.source, patch.reduction, patch.row_px, patch.column_px)
  return (*place, patch.score, digest)


def content(folder):
  return {
    str(path.relative_to(folder)): path.read_bytes()
    for path in folder.rglob("*")
    if path.is_file()
  }


@pytest.fixture(scope="module")
def mined(photographs, tmp_path_factory):
  output = tmp_path_factory.mktemp("mined") / "patches"
  mine(config(photographs), output)
  return output


def test_every_photograph_gives_its_hardest_patches(photographs, mined):
  found = patches(mined)
  assert len(found) == 9 * PER_IMAGE
  for source, group in itertools.groupby(found, key=lambda patch: patch.source):
    members = list(group)
    image = np.asarray(Image.open(photographs / source))
    positions, scores = hardest(image, PER_IMAGE)
    assert [[p.row_px, p.column_px] for p in members] == positions.tolist()
    assert [p.score for p in members] == scores.tolist()
    for patch in members:
      crop = image[patch.row_px :, patch.column_px :][:32, :32]
      np.testing.assert_array_equal(patch.pixels, crop)


def test_manifest_counts_are_the_contents(mined):
  manifest = read_manifest(mined)
  assert manifest["counts"] == {
    "photographs": 9,
    "used": 9,
    "dead": 0,
    "dead_by_reason": {},
    "notes": {},
    "matched_again": 0,
    "patches": 45,
    "splits": {"all": {"photographs": 9, "patches": 45}},
  }
  assert "zlib-ng 2.3.3, level 7" in manifest["score"]["deflate"]
  assert set(manifest["files"]) == {
    "patches-00000-of-00002.tfrecord.gz",
    "patches-00001-of-00002.tfrecord.gz",
    "dead_letters.jsonl",
  }
  assert sorted(p.name for p in mined.parent.iterdir()) == ["patches"]


def test_tensorflow_reads_the_shards(mined):
  paths = sorted(map(str, mined.glob("*.gz")))
  records = tf.data.TFRecordDataset(paths, compression_type="GZIP")
  pixels = next(iter(records.batch(100).map(parse_pixels))).numpy()
  np.testing.assert_array_equal(pixels, [patch.pixels for patch in patches(mined)])


def test_patches_of_another_side_are_not_cut_or_shared_out(tmp_path):
  patch = Patch(
    pixels=photograph(0)[:64, :64], source="a", row_px=0, column_px=0, score=9
  )
  assert parse_pixels([serialize(patch)] * 2, 64).shape == (2, 64, 64, 3)
  for wrong in (32, 128):
    with pytest.raises(tf.errors.InvalidArgumentError):
      parse_pixels([serialize(patch)] * 4, wrong)


def test_two_processes_write_the_same_bytes(photographs, mined, tmp_path):
  mine(config(photographs), tmp_path / "two", workers=2)
  assert content(tmp_path / "two") == content(mined)


def test_larger_patches_of_reductions_are_the_same_from_two_processes(
  photographs, tmp_path
):
  settings = config(photographs, patch_px=64, reductions=[1, 2])
  manifests = [
    mine(settings, tmp_path / str(workers), workers=workers) for workers in (1, 2)
  ]
  assert content(tmp_path / "1") == content(tmp_path / "2")
  found = patches(tmp_path / "1")
  assert {patch.pixels.shape for patch in found} == {(64, 64, 3)}
  shrunk = [patch for patch in found if patch.reduction == 2]
  large = [seed for seed in range(9) if min(photograph(seed).shape[:2]) >= 127]
  assert {patch.source[2:] for patch in shrunk} == {f"{seed}.png" for seed in large}
  counts = manifests[0]["counts"]
  assert counts["notes"] == {"too_small_at_2": 9 - len(large)}
  assert counts["patches_by_reduction"] == {
    "1": len(found) - len(shrunk),
    "2": len(shrunk),
  }
  assert manifests[0]["score"]["png"].startswith("64x64, ")


def test_all_reductions_of_a_photograph_are_in_one_split(photographs, tmp_path):
  settings = config(photographs, reductions=[1, 2, 3])
  mine(settings, tmp_path / "out", layout=tfx_layout(settings))
  train, evals = (
    {(p.source, p.reduction) for p in patches(tmp_path / "out" / f"Split-{split}")}
    for split in ("train", "eval")
  )
  assert not {source for source, _ in train} & {source for source, _ in evals}
  assert {reduction for _, reduction in evals} == {1, 2, 3}


def test_order_of_files_changes_no_byte(photographs, mined, tmp_path, monkeypatch):
  import fsspec.implementations.local as local

  original = local.LocalFileSystem.glob

  def shuffled(self, path, **options):
    items = list(original(self, path, **options).items())
    random.Random(3).shuffle(items)
    return dict(items)

  monkeypatch.setattr(local.LocalFileSystem, "glob", shuffled)
  mine(config(photographs), tmp_path / "shuffled")
  assert content(tmp_path / "shuffled") == content(mined)


def test_number_of_shards_does_not_change_the_set(photographs, mined, tmp_path):
  mine(config(photographs, num_shards=12), tmp_path / "many")
  assert len(list((tmp_path / "many").glob("*.gz"))) == 12
  many = sorted(map(key, patches(tmp_path / "many")))
  assert many == sorted(map(key, patches(mined)))


def test_splits_share_no_photograph(photographs, mined, tmp_path):
  settings = config(photographs)
  output = tmp_path / "artifact"
  output.mkdir()  # TFX makes it beforehand
  manifest = mine(settings, output, layout=tfx_layout(settings))
  split = {name: patches(output / f"Split-{name}") for name in ("train", "eval")}
  train, evals = ({p.source for p in split[name]} for name in ("train", "eval"))
  assert train
  assert evals
  assert not train & evals
  both = sorted(map(key, split["train"] + split["eval"]))
  assert both == sorted(map(key, patches(mined)))
  assert manifest["counts"]["splits"]["eval"]["photographs"] == len(evals)
  assert sorted(p.name for p in (output / "Split-eval").iterdir()) == [
    "data_tfrecord-00000-of-00002.gz",
    "data_tfrecord-00001-of-00002.gz",
  ]


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


def test_output_with_content_is_refused_unless_overwritten(photographs, tmp_path):
  output = tmp_path / "out"
  output.mkdir()
  (output / "precious.txt").write_text("mine")
  with pytest.raises(ValueError, match="does not exist or is empty"):
    mine(config(photographs), output)
  assert [p.name for p in output.iterdir()] == ["precious.txt"]
  mine(config(photographs), output, overwrite=True)
  assert not (output / "precious.txt").exists()
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

  def forgetful(shard, staging_dir, compressed):
    path, names = shard
    return original((path, sorted(names)[1:]), staging_dir, compressed)

  monkeypatch.setattr(shards, "join_shard", forgetful)
  with pytest.raises(RuntimeError, match="patches instead of"):
    mine(config(photographs), tmp_path / "out")
  assert not any(tmp_path.iterdir())


def test_progress_ends_with_everything_done(photographs, tmp_path):
  seen = []
  mine(config(photographs), tmp_path / "out", on_progress=lambda *n: seen.append(n))
  assert seen[-1] == (9, 9)
  assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("side", [16, 32, 64])
@pytest.mark.parametrize("reduction", [1, 4])
@pytest.mark.parametrize("number", [0, 1, 127, 128, 300, 99_999, 2**40])
def test_serialized_patch_is_what_protobuf_writes(number, reduction, side):
  patch = Patch(
    pixels=photograph(0)[:side, :side],
    source="ä/" * (1 + number % 200),
    row_px=number,
    column_px=number // 2,
    score=number,
    reduction=reduction,
  )
  expected = to_example(patch).SerializeToString(deterministic=True)
  assert serialize(patch) == expected
  assert key(from_example(serialize(patch))) == key(patch)


@pytest.mark.parametrize("num_sources", [1, 9, 64, 1000])
def test_plan_holds_every_photograph_once_and_every_shard(photographs, num_sources):
  (source, *_), _ = list_sources((f"{photographs}/**/*.png",))
  parts = plan({"all": [source] * num_sources}, FLAT, 4)
  assert sum(len(part.sources) for part in parts) == num_sources
  assert len({part.shard_path for part in parts}) == 4
  assert len({part.name for part in parts}) == len(parts)
  assert max(len(part.sources) for part in parts) <= 8
