"""A person at the page of a study: moves the line, by mouse, by touch and by keys.

In a real browser, without any network, on the page that a study of toy codecs has made.
"""

from __future__ import annotations

import re

import pytest

from hardmine.pipelines.studies.rate_distortion import page as study_page
from hardmine.pipelines.studies.rate_distortion import results
from hardmine.pipelines.studies.rate_distortion.comparisons import RATES_BPP, Comparing
from hardmine.pipelines.studies.rate_distortion.sweep import Sweep
from hardmine.pipelines.studies.records import RATE_DISTORTION, Records
from tests.e2e import browser
from tests.pipelines.studies.rate_distortion.toy_codecs import Levels, looked_at

DESKTOP, PHONE = (1280, 900), (390, 844)
FACTS = {
  "reference_title": "Conventional",
  "num_images": 2,
  "machine": {"processor": "some"},
  "environment": {"python": "3"},
  "command": "hardmine study rate-distortion",
}
CUT = "document.querySelector('.stage').style.getPropertyValue('--cut')"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
  """Where the page lies."""
  folder = tmp_path_factory.mktemp("study")
  pictures, source = looked_at(folder / "photos", (10, 20))
  records = Records(folder / "out", RATE_DISTORTION)
  codecs = [Levels("model", is_model=True), Levels("conventional", fails_on=(30,))]
  with records.held():
    sweep = Sweep(pictures, source, records)
    sweep.measure(codecs)
    comparing = Comparing(sweep, source, records, print)
    compared = comparing.of(pictures, codecs)
    again = Comparing(sweep, source, records, print).of(pictures, codecs)
  assert comparing.problems == []
  assert again == compared  # from records
  rows = results.flat(sweep.curves, "conventional")
  text = study_page.render(
    sweep.curves, rows, compared, ["something </script> went wrong"], FACTS
  )
  (folder / "index.html").write_text(text, "utf-8")
  return folder / "index.html"


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
  if browser.executable() is None:
    pytest.skip(f"no browser: install one of {', '.join(browser.NAMES)}")
  with browser.open_page(tmp_path_factory.mktemp("profile")) as tab:
    yield tab
    assert tab.complaints == []


@pytest.fixture
def show(tab, made):
  """Opens the page in a window of some size."""

  def opened(size):
    tab.open(made.as_uri(), *size)
    tab.wait_for(
      "document.readyState === 'complete' && document.querySelector('.stage') && "
      "[...document.querySelectorAll('.stage img')].every(i => i.naturalWidth > 0)"
    )
    tab.evaluate("document.querySelector('.stage').scrollIntoView({block: 'center'})")
    return tab

  return opened


def place(tab, share):
  """Where a share of the width of the first picture lies, in the window."""
  return tab.evaluate(
    "(() => { const r = document.querySelector('.stage').getBoundingClientRect();"
    f" return [r.x + {share} * r.width, r.y + r.height / 2]; }})()"
  )


def cut(tab):
  return float(tab.evaluate(CUT).removesuffix("%"))


def test_the_page_holds_all_that_it_shows(made):
  text = made.read_text("utf-8")
  sources = re.findall(r"""(?:\b(?:src|href)=|url\()["']?([^"')\s>]+)""", text)
  assert all(one.startswith(("data:", "#")) for one in sources)
  assert "http://" not in text.replace("http://www.w3.org/2000/svg", "")
  assert "https://" not in text
  assert "<script src" not in text


def test_the_line_follows_the_mouse(show):
  tab = show(DESKTOP)
  assert tab.evaluate(CUT) == "50%"
  for kind, share in (("Pressed", 0.2), ("Moved", 0.75), ("Released", 0.75)):
    x, y = place(tab, share)
    tab.call(
      "Input.dispatchMouseEvent",
      type=f"mouse{kind}",
      x=x,
      y=y,
      button="left",
      buttons=0 if kind == "Released" else 1,
      clickCount=1,
    )
    assert cut(tab) == pytest.approx(100 * share, abs=1)
  x, y = place(tab, 0.1)  # no button is held
  tab.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
  assert cut(tab) == pytest.approx(75, abs=1)


def test_the_line_follows_a_finger(show):
  tab = show(PHONE)
  for kind, share in (("Start", 0.3), ("Move", 0.6), ("Move", 0.9), ("End", None)):
    points = []
    if share is not None:
      x, y = place(tab, share)
      points = [{"x": x, "y": y}]
    tab.call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=points)
  tab.wait_for(f"parseFloat({CUT}) > 85")
  assert cut(tab) == pytest.approx(90, abs=2)


def test_the_line_follows_the_arrow_keys(show):
  tab = show(DESKTOP)
  tab.evaluate("document.querySelector('.stage input').focus()")
  for _ in range(3):
    tab.press("ArrowRight", 39)
  assert cut(tab) == 53
  tab.press("Home", 36)
  assert cut(tab) == 0


def test_what_lies_left_and_right_of_the_line_is_chosen(show):
  tab = show(DESKTOP)
  text = tab.text("p.left")
  assert re.search(
    r"\d bits a sample · [\d,]+.bytes · [\d.]+.bpp · MS-SSIM.0\.\d+", text
  )
  assert tab.evaluate("document.querySelector('img.left').alt") == "10.png, Model"
  assert tab.evaluate("document.querySelector('img.right').alt") == (
    "10.png, Conventional"
  )
  tab.evaluate(
    "(() => { const s = document.querySelector('select.right'); s.value = 'Original';"
    " s.dispatchEvent(new Event('change')); })()"
  )
  assert tab.text("p.right") == "the original, 24 bpp"
  radios = "document.querySelectorAll('.compare')[0].querySelectorAll('[type=radio]')"
  assert tab.evaluate(f"{radios}.length") == len(RATES_BPP)
  for index in (3, 0):
    tab.evaluate(f"{radios}[{index}].click()")
    assert tab.evaluate(f"[...{radios}].findIndex(one => one.checked)") == index
    assert tab.text("p.right") == "the original, 24 bpp"  # stays chosen
    view = tab.evaluate(
      "JSON.parse(document.getElementById('comparisons').textContent)[0]"
      f".rates[{index}].views[0]"
    )
    assert f"{view['num_bytes']:,}" in tab.text("p.left")
    assert tab.evaluate("document.querySelector('img.left').src") == view["uri"]


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=("desktop", "phone"))
def test_nothing_is_wider_than_the_window(show, size):
  tab = show(size)
  assert tab.evaluate("document.documentElement.scrollWidth") <= size[0]
  assert tab.evaluate("document.querySelector('.problem').innerText") == (
    "Something </script> went wrong"
  )


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=("desktop", "phone"))
def test_no_words_lie_on_others(show, size):
  tab = show(size)
  overlaps = tab.evaluate(
    """[...document.querySelectorAll('svg.plot')].flatMap((plot) => {
      const boxes = [...plot.querySelectorAll('text')].map((t) =>
        [t.textContent, t.getBoundingClientRect()]);
      return boxes.flatMap(([a, p], i) => boxes.slice(i + 1)
        .filter(([, q]) => p.left < q.right && q.left < p.right
          && p.top + 2 < q.bottom && q.top + 2 < p.bottom)
        .map(([b]) => [a, b]));
    })"""
  )
  assert overlaps == []
