"""What a study writes into the documentation."""

import json
from pathlib import Path

import pytest

from hardmine.pipelines.studies.made_parts import END
from hardmine.pipelines.studies.rate_distortion import documentation

PAGE = Path(__file__).resolve().parents[4] / "docs" / "compare_codecs.md"


def row(title, **areas):
  numbers = (
    *("ms_ssim_area", "ms_ssim_area_without_headers", "psnr_hvs_area", "psnr_area"),
    *("ms_ssim_bd_rate", "lowest_bpp"),
  )
  known = {"title": title, "detail": f"{title} 1.0", "num_images": 24}
  return {**known, **dict.fromkeys(numbers), **areas}


@pytest.fixture
def study(tmp_path):
  rows = [
    row("JPEG 4:2:0", ms_ssim_area=1.79531, lowest_bpp=0.2),
    row("AVIF", ms_ssim_area=1.85, ms_ssim_bd_rate=-40.0),
  ]
  table = {"rows": rows, "reference_title": "JPEG 4:2:0"}
  (tmp_path / "table.json").write_text(json.dumps(table), "utf-8")
  (tmp_path / "ms_ssim.svg").write_text("<svg/>", "utf-8")
  return tmp_path


def test_a_section_has_each_codec_beside_the_papers_figure(study):
  page = study / "page.md"
  page.write_text(PAGE.read_text("utf-8"), "utf-8")
  for _ in range(2):  # again and again, in the same place
    documentation.main(str(study), str(page))
  text = page.read_text("utf-8")
  before, _, rest = text.partition(documentation.BEGIN)
  made, _, after = rest.partition(END)
  assert "| JPEG 4:2:0 | 1.7953 |  | 1.7998 |  |  |  | 0.200 |" in made
  assert "| AVIF | 1.8500 |  |  |  |  | −40.0 % |  |" in made
  assert "Means over 24 pictures" in made
  assert PAGE.read_text("utf-8").startswith(before)
  assert PAGE.read_text("utf-8").endswith(after)
  assert (study / "page_ms_ssim.svg").read_text("utf-8") == "<svg/>"


def test_a_page_without_marks_is_refused(study):
  page = study / "page.md"
  page.write_text("# Nothing\n", "utf-8")
  with pytest.raises(ValueError, match="Expected a page with"):
    documentation.main(str(study), str(page))
  assert not (study / "page_ms_ssim.svg").exists()
