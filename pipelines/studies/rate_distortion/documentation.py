"""Writes what the documentation says of codecs, from a study, so that nobody types it.

    hardmine study rate-distortion --images 'kodak/*.png' --output study
    python -m hardmine.pipelines.studies.rate_distortion.documentation \\
      study docs/compare_codecs.md

writes the section of the page between its two marks, beside what the papers have, and
puts the study's curves of MS-SSIM next to the page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.studies.made_parts import fill
from hardmine.pipelines.studies.rate_distortion import published
from hardmine.pipelines.studies.rate_distortion.results import percent
from hardmine.pipelines.studies.tables import markdown_table, number
from hardmine.schemas.files import write_atomically

BEGIN = (
  "<!-- made by python -m hardmine.pipelines.studies.rate_distortion.documentation -->"
)
_HEADS = (
  "Codec",
  "MS-SSIM area",
  "without headers",
  "in the papers",
  "PSNR-HVS area",
  "PSNR area",
  "bits at equal MS-SSIM",
  "lowest bpp",
)


def main(study: str, page: str) -> None:
  """Rewrites the part of a page, and the picture beside it.

  Raises:
    ValueError: it has no such part.
  """
  folder, path = Path(study), Path(page)
  table = json.loads((folder / "table.json").read_text("utf-8"))
  picture = path.with_name(f"{path.stem}_ms_ssim.svg")
  text = to_markdown(table["rows"], table["reference_title"], picture.name)
  fill(path, BEGIN, text)
  write_atomically(picture, (folder / "ms_ssim.svg").read_text("utf-8"))


def to_markdown(
  rows: Sequence[Mapping[str, Any]], reference_title: str, picture: str
) -> str:
  """A section of what was measured, and how.

  Args:
    rows: of `results.flat`.
    reference_title: of the codec beside which bits are.
    picture: of the curves, a file beside the page.
  """
  papers = {row.title: row.ms_ssim for row in published.OTHERS}
  cells = [
    (
      row["title"],
      number(row["ms_ssim_area"], 1, 4),
      number(row["ms_ssim_area_without_headers"], 1, 4),
      number(papers.get(row["title"]), 1, 4),
      number(row["psnr_hvs_area"], 1, 2),
      number(row["psnr_area"], 1, 2),
      percent(row["ms_ssim_bd_rate"]),
      number(row["lowest_bpp"], 1, 3),
    )
    for row in rows
  ]
  written = "\n".join(f"* {row['title']}: {row['detail']}" for row in rows)
  return (
    "## What comes out on Kodak's photographs\n\n"
    f"![MS-SSIM over bits per pixel]({picture})\n\n"
    f"{markdown_table(_HEADS, cells)}\n"
    f"Means over {rows[0]['num_images']} pictures; bits are beside {reference_title}. "
    "`hardmine study rate-distortion` measured it. Files were written with:\n\n"
    f"{written}\n"
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
