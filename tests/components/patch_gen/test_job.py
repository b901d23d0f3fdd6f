"""The Beam job: the same set from any runner and order."""

import itertools
import random

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hardmine.components.jobs.sources import list_sources
from hardmine.components.patch_gen.hardest import hardest
from hardmine.components.patch_gen.patch_job import FLAT, plan_parts, tfx_layout
from hardmine.schemas.manifest import read_manifest
from hardmine.schemas.patch_example import (
  Patch,
  from_example,
  parse_pixels,
  serialize,
  source_of,
  to_example,
)
from tests.components.patch_gen.mining import (
  PER_IMAGE,
  config,
  content,
  key,
  mine,
  patches,
  photograph,
)


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
    "duplicates": 0,
    "notes": {},
    "matched_again": 0,
    "skipped": {},
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


def test_two_processes_write_the_same_bytes(photographs, mined, tmp_path, monkeypatch):
  """And run no code of the current folder, whatever its modules are called."""
  for name in ("random", "components"):
    (tmp_path / f"{name}.py").write_text("raise SystemExit('no code of ours')")
  monkeypatch.chdir(tmp_path)
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
  assert source_of(expected) == patch.source


@pytest.mark.parametrize("num_sources", [1, 9, 64, 1000])
def test_plan_holds_every_photograph_once_and_every_shard(photographs, num_sources):
  (source, *_), _ = list_sources((f"{photographs}/**/*.png",))
  parts = list(plan_parts({"all": [source] * num_sources}, FLAT.shard_path, 4))
  assert sum(len(part.sources) for part in parts) == num_sources
  assert len({part.shard_path for part in parts}) == 4
  assert len({part.name for part in parts}) == len(parts)
  assert max(len(part.sources) for part in parts) <= 8
