"""Measuring, judging and writing down, with a small codec in the model's place."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from hardmine.components.codec_evaluator import conventional, photographs
from hardmine.components.codec_evaluator.evaluate import (
  evaluate,
  measure_codec,
)
from hardmine.components.codec_evaluator.report import render, write_evaluation
from hardmine.schemas.evaluation_config import CodecEvaluationConfig
from hardmine.schemas.gates import Gate, Verdict
from hardmine.schemas.patch_example import Patch
from hardmine.trainers.metrics.ms_ssim import ms_ssim

BOUND = Gate(metric="ms_ssim_auc", bound=1.0)
BETTER = Gate(metric="ms_ssim_auc", min_improvement=0.0)


class PyramidCodec:
  """Iteration t keeps a thumbnail of t/count of the sides, so more bits help."""

  model_id = bytes(range(8))

  sends_gains = False
  code_depth = 32
  entropy_id = None

  def __init__(self, count=4, padding_px=16):
    self.count = count
    self.padding_px = padding_px

  def reconstructions(self, image, iterations):
    height, width, _ = image.shape
    pictures = []
    for t in range(1, iterations + 1):
      share = min(1.0, t / self.count)
      size = (max(1, round(width * share)), max(1, round(height * share)))
      small = Image.fromarray(image).resize(size, Image.Resampling.BOX)
      pictures.append(np.asarray(small.resize((width, height))))
    return np.stack(pictures)


class BrokenCodec(PyramidCodec):
  def reconstructions(self, image, iterations):
    raise FloatingPointError("the decoder gave NaN")


def photograph(height, width, seed=0):
  rng = np.random.default_rng(seed)
  small = Image.fromarray(rng.integers(0, 256, (8, 9, 3), np.uint8))
  image = np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))
  return np.clip(image + rng.normal(size=image.shape) * 8, 0, 255).astype(np.uint8)


IMAGES = (("a.png", photograph(176, 192)), ("odd/b.png", photograph(162, 161, 1)))


def run(candidate=PyramidCodec, **options):
  return evaluate(candidate, IMAGES, iterations=4, **options)


def test_rates_pay_for_padding_and_divide_by_true_pixels():
  measured, _ = measure_codec(PyramidCodec(), IMAGES, 4, "candidate", "it")
  np.testing.assert_allclose(measured.bpp[0], [0.125, 0.25, 0.375, 0.5])
  # 162x161 pads to 176x176: 11 * 11 blocks of 32 bits.
  np.testing.assert_allclose(measured.bpp[1], np.arange(1, 5) * 121 * 32 / (162 * 161))


def test_scores_are_those_of_the_metric():
  measured, samples = measure_codec(PyramidCodec(), IMAGES, 4, "candidate", "it")
  for row, (_, image) in enumerate(IMAGES):
    for t, picture in enumerate(PyramidCodec().reconstructions(image, 4)):
      assert measured.scores[row, t, 0] == ms_ssim(image, picture)
  assert sorted(samples[0].reconstructions) == [1, 2, 4]


def test_fewer_iterations_hold_the_last_value_up_to_two_bits():
  measured, _ = measure_codec(PyramidCodec(count=1), IMAGES[:1], 4, "candidate", "it")
  assert measured.areas()["ms_ssim_auc"] == pytest.approx(1.875)  # lossless throughout


def test_a_good_model_is_blessed_with_its_numbers():
  evaluation = run(gates=(BOUND, BETTER))
  assert evaluation.verdict.passed
  result = evaluation.verdict.results[0]
  assert result.value == evaluation.metrics()["ms_ssim_auc"]
  assert "no blessed model" in evaluation.verdict.results[1].reason


def test_a_worse_model_than_the_blessed_one_is_not_blessed():
  evaluation = run(
    lambda: PyramidCodec(8), gates=(BETTER,), load_rival=lambda: PyramidCodec(3)
  )
  assert not evaluation.verdict.passed
  result = evaluation.verdict.results[0]
  assert result.baseline == evaluation.rival.areas()["ms_ssim_auc"] > result.value
  assert "worse" in result.reason


@pytest.mark.parametrize("fault", ["load", "run"])
def test_a_model_that_fails_is_not_blessed_and_the_verdict_says_why(fault, tmp_path):
  def load():
    if fault == "load":
      raise ValueError("Expected a folder with saved_model.pb")
    return BrokenCodec()

  evaluation = run(load, gates=(BOUND,))
  assert not evaluation.verdict.passed
  why = "saved_model.pb" if fault == "load" else "FloatingPointError: the decoder"
  assert why in evaluation.verdict.results[0].reason
  write_evaluation(tmp_path, evaluation)
  assert why in (tmp_path / "verdict.json").read_text()
  assert why.split(":")[0] in (tmp_path / "report.html").read_text()
  assert "ms_ssim_auc" not in json.loads((tmp_path / "metrics.json").read_text())


def test_a_comparison_does_not_pass_because_the_blessed_model_fails():
  with pytest.raises(RuntimeError, match="last blessed model could not be measured"):
    run(gates=(BETTER,), load_rival=BrokenCodec)
  # An absolute bound asks nothing of the blessed model.
  assert run(gates=(BOUND,), load_rival=BrokenCodec).verdict.passed


def test_what_cannot_be_compared_is_left_out_of_all_curves_and_named(tmp_path):
  lines = []
  odd = (
    *(("dot.png", photograph(1, 1)), ("small.png", photograph(500, 160))),
    *(("wide.png", np.zeros((161, 16_384, 3), np.uint8)), ("line", photograph(1, 300))),
  )
  images = (odd[0], IMAGES[0], *odd[1:], IMAGES[1])
  mixed = evaluate(PyramidCodec, images, iterations=4, report=lines.append)
  alone = evaluate(PyramidCodec, IMAGES, iterations=4)
  assert mixed.candidate.areas() == alone.candidate.areas()
  for one, right in zip(mixed.conventional, alone.conventional, strict=True):
    assert one.areas() == right.areas()
  assert mixed.evaluation_set == alone.evaluation_set
  reasons = {one.image: one.reason for one in mixed.left_out}
  small = dict.fromkeys(("dot.png", "small.png", "line"), "too_small")
  assert reasons == {**small, "wide.png": "too_long"}
  assert any(": dot.png (too_small)" in line and "161" in line for line in lines[:4])
  write_evaluation(tmp_path, mixed)
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert [one["reason"] for one in metrics["left_out"]].count("too_long") == 1
  page = Page((tmp_path / "report.html").read_text())
  assert "Left out of all curves: wide.png (too_long)" in page.text


def test_an_image_that_an_encoder_fails_on_ends_nothing(monkeypatch):
  original = conventional.encode

  def failing(image, family, variant, quality):
    if family.format == "WEBP" and image.shape == IMAGES[0][1].shape:
      raise OSError("encoding error 6")
    return original(image, family, variant, quality)

  monkeypatch.setattr(conventional, "encode", failing)
  evaluation = run()
  (one,) = evaluation.left_out
  assert (one.image, one.reason) == ("a.png", "not_encoded")
  assert "encoding error 6" in one.detail
  for measured in (evaluation.candidate, *evaluation.conventional):
    assert measured.images == ("odd/b.png",)


def test_no_image_that_can_be_measured_is_the_callers_mistake():
  with pytest.raises(ValueError, match=r"161 pixels.*1x1.*left_out=\['dot.png'\]"):
    evaluate(None, [("dot.png", photograph(1, 1))])
  with pytest.raises(ValueError, match="there is none"):
    evaluate(None, [])


def test_a_codec_without_a_rate_up_to_two_bits_has_no_area(tmp_path):
  flat = np.full((200, 200, 3), 90, np.uint8)
  evaluation = evaluate(PyramidCodec, [("flat", flat)], iterations=2, gates=(BOUND,))
  areas = {one.key: one.areas()["ms_ssim_auc"] for one in evaluation.conventional}
  assert areas["webp"] is None  # never as much as an eighth of a bit
  assert evaluation.candidate.areas()["ms_ssim_auc"] == pytest.approx(1.875)
  write_evaluation(tmp_path, evaluation)
  metrics = json.loads((tmp_path / "metrics.json").read_text())
  assert metrics["baselines"]["webp"]["ms_ssim_auc"] is None
  assert "none" in Page((tmp_path / "report.html").read_text()).text


def test_no_gate_blesses_nothing():
  assert not run(gates=()).verdict.passed


def test_a_metric_that_does_not_exist_fails_its_gate():
  evaluation = run(gates=(Gate(metric="speed", bound=1.0),))
  assert "was not measured" in evaluation.verdict.results[0].reason


def test_a_codec_of_the_wrong_shape_is_refused():
  class Cropping(PyramidCodec):
    def reconstructions(self, image, iterations):
      return super().reconstructions(image, iterations)[:, 1:]

  evaluation = run(Cropping, gates=(BOUND,))
  assert "Received: shape" in evaluation.problems[0]


class Page(HTMLParser):
  """Collects what a page would fetch, its text, and whether tags nest."""

  VOID = frozenset({"meta", "img", "br", "use", "path", "link", "rect"})

  def __init__(self, text):
    super().__init__()
    self.fetched, self.open, self.words = [], [], []
    self.num_images = self.num_scripts = 0
    self.feed(text)
    assert not self.open, f"left open: {self.open}"

  def handle_starttag(self, tag, attributes):
    if tag not in self.VOID:
      self.open.append(tag)
    self.num_images += tag == "img"
    self.num_scripts += tag == "script"
    for name, value in attributes:
      local = ("data:", "#")
      if name in ("src", "href", "xlink:href") and not value.startswith(local):
        self.fetched.append(value)

  def handle_startendtag(self, tag, attributes):
    pass

  def handle_endtag(self, tag):
    if tag not in self.VOID:
      assert self.open.pop() == tag

  def handle_data(self, data):
    self.words.append(data)

  @property
  def text(self):
    return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
  folder = tmp_path_factory.mktemp("evaluation")
  evaluation = run(gates=(BOUND, BETTER), load_rival=lambda: PyramidCodec(6))
  patch = Patch(
    pixels=photograph(32, 32), source="<b>x</b>.png", row_px=0, column_px=32, score=2345
  )
  config = CodecEvaluationConfig(images=("photos/*.png",), iterations=4, gates=(BOUND,))
  write_evaluation(
    folder, evaluation, config=config, patches=[patch], lineage={"model": "runs/7"}
  )
  return folder, evaluation


def test_the_report_is_one_file_that_fetches_and_runs_nothing(written):
  text = (written[0] / "report.html").read_text("utf-8")
  page = Page(text)
  assert page.fetched == []
  assert page.num_scripts == 0
  assert not re.search(r"@import|url\((?!#)", text)
  assert "{{" not in text


def test_the_report_shows_what_a_person_asks_for(written):
  folder, evaluation = written
  page = Page((folder / "report.html").read_text("utf-8"))
  for expected in (
    "Blessed",
    "All 2 gates passed",
    f"{evaluation.candidate.areas()['ms_ssim_auc']:.4f}",
    "last blessed model",
    "JPEG 4:2:0, optimised Huffman tables",
    "Pillow",
    "4 iterations",
    "odd/b.png",
    "2,345 B",
    "runs/7",
    "photos/*.png",
  ):
    assert expected in page.text, expected
  # Per image: the original, and three iterations beside JPEG. And one patch.
  assert page.num_images == 2 * (1 + 3 * 2) + 1


def test_the_report_says_how_large_the_patches_are_and_where_they_lay(written):
  folder, evaluation = written
  assert "32 × 32 pixels each" in (folder / "report.html").read_text("utf-8")
  patch = Patch(
    pixels=photograph(64, 64), source="a", row_px=1, column_px=2, score=9, reduction=4
  )
  text = render(evaluation, patches=[patch])
  assert "64 × 64 pixels each" in Page(text).text
  assert 'title="a at 1/4, row 1, column 2"' in text


def test_the_report_says_where_a_curve_ends(written):
  class Of2015(PyramidCodec):
    code_depth = 16

  held = "as this model does above 0.5"  # a little more of the one that is padded
  assert held in " ".join(
    Page((written[0] / "report.html").read_text("utf-8")).text.split()
  )
  for iterations, told in ((16, "this model does above 1."), (32, "up to it; one")):
    evaluation = evaluate(Of2015, IMAGES, iterations=iterations)
    assert told in " ".join(Page(render(evaluation)).text.split())


def test_names_from_files_cannot_inject_markup(written):
  assert "<b>x</b>" not in (written[0] / "report.html").read_text("utf-8")


def test_ids_in_the_report_are_unique(written):
  """Three figures share the page; equal ids would borrow each other's glyphs."""
  ids = re.findall(r'\bid="([^"]+)"', (written[0] / "report.html").read_text("utf-8"))
  assert len(ids) == len(set(ids)) > 0


def test_metrics_hold_the_curves_behind_the_areas(written):
  folder, evaluation = written
  metrics = json.loads((folder / "metrics.json").read_text())
  assert metrics["ms_ssim_auc"] == evaluation.candidate.areas()["ms_ssim_auc"]
  candidate = metrics["candidate"]
  assert candidate["points"] == [1, 2, 3, 4]
  for point in range(4):
    mean = np.mean([one["psnr"][point] for one in candidate["images"].values()])
    assert candidate["psnr"][point] == pytest.approx(mean)
  assert metrics["baselines"]["webp"]["ms_ssim_auc"] > 0
  assert "numpy" in metrics["environment"]


def test_the_verdict_reads_back(written):
  folder, evaluation = written
  assert Verdict.from_json((folder / "verdict.json").read_text()) == evaluation.verdict


def test_photographs_come_in_order_of_name_and_as_many_as_asked(tmp_path):
  for name in ("c", "a", "b"):
    Image.fromarray(photograph(20, 20)).save(tmp_path / f"{name}.png")
  found = photographs.find([str(tmp_path / "*.png")], max_images=2)
  assert [name for name, _ in photographs.load(found)] == ["a.png", "b.png"]


def test_the_fingerprint_follows_the_files(tmp_path):
  globs = [str(tmp_path / "*.png")]
  Image.fromarray(photograph(20, 20)).save(tmp_path / "a.png")
  before = photographs.fingerprint(globs)
  assert before == photographs.fingerprint(globs) != ""
  Image.fromarray(photograph(20, 21)).save(tmp_path / "b.png")
  assert photographs.fingerprint(globs) != before
  assert photographs.fingerprint([str(tmp_path / "none/*.png")]) == ""


def test_an_unusable_test_image_is_named_and_not_left_out(tmp_path):
  (tmp_path / "bad.png").write_bytes(b"no image")
  with pytest.raises(ValueError, match=r"bad\.png"):
    photographs.load(photographs.find([str(tmp_path / "*.png")]))
