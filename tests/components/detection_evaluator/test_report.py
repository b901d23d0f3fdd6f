"""The page: every section for every kind of data set, and nothing to fetch."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest

from hardmine.components.detection_evaluator import figures, tables
from hardmine.components.detection_evaluator.evaluate import evaluate
from hardmine.components.detection_evaluator.report import render
from hardmine.schemas.evaluation_config import DetectionEvaluationConfig
from hardmine.schemas.gates import Gate

SECTIONS = (
  "Gates",
  "Precision and recall",
  "Categories",
  "What is taken for what",
  "What it looks like",
  "Where it comes from",
)
CONFIG = DetectionEvaluationConfig(gates=(Gate(metric="AP", bound=0.3),), num_shown=2)


class Page(HTMLParser):
  """Collects what a page would fetch, its text and headings; tags must nest."""

  VOID = frozenset({"meta", "img", "br", "use", "path", "link", "rect"})

  def __init__(self, text):
    super().__init__()
    self.fetched, self.open, self.words, self.headings = [], [], [], []
    self.num_images = 0
    self.feed(text)
    assert not self.open, f"left open: {self.open}"

  def handle_starttag(self, tag, attributes):
    assert tag != "script"
    if tag not in self.VOID:
      self.open.append(tag)
    self.num_images += tag == "img"
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
    if self.open and self.open[-1] == "h2":
      self.headings.append(data)

  @property
  def text(self):
    return " ".join(" ".join(self.words).split())


@pytest.fixture(scope="module")
def run(fakes):
  def run(num_categories=1, num_images=6, objects=2, rival=None, name=None, **faults):
    categories = fakes.categories(num_categories)
    images = [
      fakes.image(index, categories, num=objects, crowds=index == 0, name=name)
      for index in range(num_images)
    ]
    return evaluate(
      lambda: fakes.Detector(images, categories, **faults),
      images,
      categories,
      gates=CONFIG.gates,
      load_rival=rival and (lambda: fakes.Detector(images, categories, **rival)),
      num_shown=CONFIG.num_shown,
    )

  return run


CASES = {
  "one category": {"share": 0.8, "false": 1},
  "few categories": {
    "num_categories": 5,
    "share": 0.8,
    "mistaken": 0.4,
    "rival": {"share": 0.9},
  },
  "80 categories": {"num_categories": 80, "num_images": 45, "mistaken": 0.5},
  "no detections": {"share": 0.0},
  "no objects": {"objects": 0, "false": 2, "rival": {"share": 1.0}},
  "neither": {"objects": 0},
  "one image": {"num_images": 1, "objects": 1},
}


@pytest.mark.parametrize("case", CASES)
def test_every_section_is_there_and_nothing_is_fetched(run, case):
  evaluation = run(**CASES[case])
  text = render(evaluation, config=CONFIG, lineage={"model": "runs/7"})
  page = Page(text)
  assert page.headings == list(SECTIONS)
  assert page.fetched == []
  assert "{{" not in text
  assert not re.search(r"@import|url\((?!#)", text)
  ids = re.findall(r'\bid="([^"]+)"', text)
  assert len(ids) == len(set(ids))
  measured = evaluation.candidate.coco.summary["AP"] >= 0
  assert ("mean-curves" in ids, "sizes" in ids) == (measured, measured)
  assert "nan" not in page.text.lower().split()


def test_it_shows_what_a_person_asks_for(run):
  evaluation = run(**CASES["few categories"])
  page = Page(render(evaluation, config=CONFIG, lineage={"model": "runs/7"}))
  metrics = evaluation.metrics()
  for expected in (
    f"{metrics['AP']:.4f}",
    f"{metrics['baseline_model']['AP75']:.4f}",
    f"{metrics['AP'] - metrics['baseline_model']['AP']:+.4f}",
    "Measured on 6 images with 11 objects",
    "kind 5",
    "found as another category",
    "pictures/3.png",
    "runs/7",
    "hotcoco",
    '"shown_min_score": 0.3',
  ):
    assert expected in page.text, expected
  assert page.num_images == 2 * (2 + 2)  # truth and detections of best and worst


def test_a_model_that_failed_has_verdict_problem_and_lineage(fakes):
  categories = fakes.categories(1)

  def load():
    raise ValueError("Expected a folder with saved_model.pb")

  evaluation = evaluate(
    load, [fakes.image(0, categories, num=1)], categories, gates=CONFIG.gates
  )
  page = Page(render(evaluation, config=CONFIG))
  assert page.headings == ["Gates", "Where it comes from"]
  assert "The model could not be measured" in page.text


def test_names_from_files_cannot_inject_markup(run):
  text = render(run(num_images=1, name="<b>x</b>.png"))
  assert "<b>x</b>" not in text
  assert "&lt;b&gt;x&lt;/b&gt;.png" in text


def test_categories_are_sorted_with_those_that_lack_objects_last(run):
  evaluation = run(num_categories=9, num_images=3, share=0.6)
  rows = tables.category_rows(evaluation)
  assert len(rows) == 9
  measured = [float(row["AP"]) for row in rows if row["AP"] != "–"]
  assert measured == sorted(measured, reverse=True)
  assert all(row["AP"] == "–" for row in rows[len(measured) :])
  assert rows[-1]["AP"] == "–"
  assert rows[-1]["num_objects"] == 0


def test_few_categories_are_a_heat_map_and_many_are_pairs(run):
  few = tables.confused(run(num_categories=3, num_images=9, mistaken=0.5))
  assert few.heat.columns == ("kind 1", "kind 2", "kind 3", "not found")
  counts = np.array([[count for count, _ in cells] for _, cells in few.heat.rows])
  assert counts[:3, :3].sum() == few.right + few.mistaken
  assert counts[:, -1].sum() == few.missed
  many = tables.confused(run(num_categories=80, num_images=45, mistaken=0.5))
  assert many.heat is None
  assert sum(times for _, _, times, _ in many.pairs) <= many.mistaken
  for there, found_as, _, share in many.pairs:
    assert there != found_as
    assert 0 < share <= 1


def test_curves_are_of_the_best_and_worst_of_many_categories(run):
  few = run(num_categories=3)
  assert figures.curves_shown(few.candidate, few.data) == (
    figures.by_precision(few.candidate, few.data),
    "",
  )
  many = run(num_categories=80, num_images=45, mistaken=0.5)
  shown, words = figures.curves_shown(many.candidate, many.data)
  ranked = figures.by_precision(many.candidate, many.data)
  assert shown == [*ranked[:4], *ranked[-4:]]
  assert words == "the best and the worst categories"  # none has 10 objects
