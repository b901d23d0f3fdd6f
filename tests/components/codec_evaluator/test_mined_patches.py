"""The patches that a report shows."""

import numpy as np

from hardmine.components.codec_evaluator.mined_patches import hardest
from hardmine.components.jobs.tfrecords import write_records
from hardmine.schemas.patch_example import Patch, to_example


def test_the_contact_sheet_takes_the_hardest_patches_of_all_shards(tmp_path):
  scores = np.random.default_rng(0).permutation(30)
  for shard in range(3):
    records = [
      to_example(
        Patch(
          pixels=np.full((32, 32, 3), score, np.uint8),
          source="a",
          row_px=0,
          column_px=0,
          score=int(score),
        )
      ).SerializeToString()
      for score in scores[shard::3]
    ]
    write_records(tmp_path / f"data_tfrecord-0000{shard}-of-00003.gz", records)
  best = hardest(tmp_path, 5)
  assert [patch.score for patch in best] == [29, 28, 27, 26, 25]
  assert (best[0].pixels == 29).all()


def test_the_contact_sheet_takes_patches_of_any_side(tmp_path):
  patch = Patch(
    pixels=np.full((64, 64, 3), 7, np.uint8),
    source="a",
    row_px=64,
    column_px=0,
    score=9,
    reduction=2,
  )
  write_records(tmp_path / "patches.gz", [to_example(patch).SerializeToString()])
  (found,) = hardest(tmp_path)
  assert found.pixels.shape == (64, 64, 3)
  assert found.reduction == 2
