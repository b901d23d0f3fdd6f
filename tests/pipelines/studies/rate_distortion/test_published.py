"""The papers' tables, as they are printed, and what is odd about them."""

from pathlib import Path

import pytest

from hardmine.pipelines.studies.made_parts import END
from hardmine.pipelines.studies.rate_distortion import published

PAGE = Path(__file__).resolve().parents[4] / "docs" / "compare_codecs.md"
NETWORKS = (published.TRAINED_ON_32X32, published.TRAINED_ON_HIGH_ENTROPY)


@pytest.mark.parametrize("rows", NETWORKS, ids=("32x32", "high_entropy"))
@pytest.mark.parametrize("metric", ["ms_ssim", "psnr_hvs"])
def test_ranks_fit_values_but_for_the_one_that_is_marked(rows, metric):
  column = ["ms_ssim", "psnr_hvs"].index(metric)
  ranked = [row for row in rows if row.ranks is not None]
  assert sorted(row.ranks[column] for row in ranked) == list(range(1, 9))
  odd = [row for row in ranked if 1 in row.marks and metric == "ms_ssim"]
  sound = sorted(
    (row for row in ranked if row not in odd), key=lambda row: row.ranks[column]
  )
  values = [getattr(row, metric) for row in sound]
  assert values == sorted(values, reverse=True)
  for row in odd:  # it stands last, and would be fifth
    assert row.ranks[column] == 8
    assert sum(value > row.ms_ssim for value in values) == 4


def test_every_mark_is_told():
  used = {
    mark for rows in published.TABLES.values() for row in rows for mark in row.marks
  }
  assert used == set(published.ODDITIES)


def test_the_documentation_has_the_tables():
  text = PAGE.read_text("utf-8")
  made = text.partition(published.BEGIN)[2].partition(END)[0]
  again = (
    "python -m hardmine.pipelines.studies.rate_distortion.published "
    "docs/compare_codecs.md"
  )
  assert made.strip() == published.to_markdown().strip(), again
