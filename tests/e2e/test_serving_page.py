"""A person at the page: drops a photograph, reads the answer, moves the sliders.

In a real browser, against a real server of models that know what they will say.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.serving.server.app import create_app
from tests.e2e import browser
from tests.serving.server.fakes import FakeStore, Shelf
from tests.serving.server.loopback import running

DETECTOR, CODEC = 70, 107
DESKTOP, PHONE = (1280, 800), (390, 844)
ORANGE = (250, 120, 10)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  if browser.executable() is None:
    pytest.skip(
      f"no browser: install one of {', '.join(browser.NAMES)} (Debian: chromium) or "
      "name it in HARDMINE_CHROMIUM"
    )
  with browser.open_page(tmp_path_factory.mktemp("profile")) as page:
    yield page
    assert page.complaints == []


@pytest.fixture
def photograph(tmp_path) -> Path:
  path = tmp_path / "orange.png"
  Image.new("RGB", (60, 40), ORANGE).save(path)
  return path


@pytest.fixture
def store():
  return FakeStore()


@pytest.fixture
def client(store):
  shelf = Shelf()
  app = create_app(store, "production", poll_seconds=0.05, load=shelf.load)
  with running(app) as client:
    yield client


def show(page, client, store, number, size=DESKTOP):
  """Opens the page when a version answers."""
  store.moving["production"] = number
  client.until(number)
  page.open(f"http://127.0.0.1:{client.port}/", *size)
  page.wait_for("document.querySelector('#file')?.disabled === false")


def fits(page) -> bool:
  """Nothing is wider than the window."""
  return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def shown_pixel(page) -> list[int]:
  """The pixel in the middle of the compressed picture."""
  return page.evaluate(
    "(() => { const image = document.querySelector('#compressed');"
    "const canvas = document.createElement('canvas');"
    "const context = canvas.getContext('2d');"
    "context.drawImage(image, -image.naturalWidth / 2, -image.naturalHeight / 2);"
    "return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3); })()"
  )


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_boxes_lie_on_a_dropped_photograph(page, client, store, photograph, size):
  show(page, client, store, DETECTOR, size)
  assert page.text("h1") == "Find objects in a photograph"
  assert page.text("#lead") == "It looks for red and blue."
  assert "production: detector, version 70" in page.text("#model")
  page.evaluate("document.querySelector('#score').value = 0.05")
  page.drop(photograph, "#drop")
  page.wait_for("document.querySelector('.box')")
  assert page.text("#count") == "1 object"
  assert page.text(".box span") == "blue 0.07"
  assert "60×40 pixels, answered by version 70" in page.text("#detection-facts")
  # The box, in pixels of the photograph: x 2, y 1, up to x 60 (it says 70) and y 11.
  place = page.evaluate(
    "(() => { const of = (s) => document.querySelector(s).getBoundingClientRect();"
    "const [box, all] = [of('.box'), of('#picture')]; const scale = 60 / all.width;"
    "return [box.x - all.x, box.y - all.y, box.height].map((v) => v * scale); })()"
  )
  np.testing.assert_allclose(place, [2, 1, 10], atol=0.3)
  assert fits(page)
  page.evaluate("document.querySelector('#score').focus()")
  for _ in range(3):  # from 0.05 to above 0.07, as a keyboard does it
    page.press("ArrowRight", 39)
  page.wait_for("document.querySelector('#score').value === '0.08'")
  assert page.text("#count") == "Nothing scores 0.08 or more; the best has 0.07."
  assert not page.evaluate("document.querySelector('.box')")


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_chosen_photograph_is_compressed(page, client, store, photograph, size):
  show(page, client, store, CODEC, size)
  page.choose(photograph, "#file")
  page.wait_for("document.querySelector('#compressed').dataset.shown")
  assert page.text("h1") == "Compress a photograph"
  assert page.text("#iterations-value") == "4 of 4"
  # 60x40 is padded to 64x48: 12 positions of 4 bytes, 8 around them, 28 before all.
  assert page.text("#bytes") == str(28 + 4 * (8 + 48))
  assert page.text("#bpp") == f"{8 * 252 / 2400:.3f}"
  share = 100 * 252 / photograph.stat().st_size
  assert float(page.text("#share").removesuffix(" %")) == pytest.approx(share, rel=0.05)
  assert shown_pixel(page) == list(ORANGE)
  assert fits(page)
  page.evaluate("document.querySelector('#iterations').focus()")
  page.press("ArrowLeft", 37)
  page.wait_for(
    "document.querySelector('#compressed-facts').innerText.includes('After 3')"
  )
  assert page.text("#bytes") == str(28 + 3 * (8 + 48))


def test_the_page_follows_the_alias(page, client, store, photograph):
  show(page, client, store, CODEC)
  page.choose(photograph, "#file")
  page.wait_for("document.querySelector('#compressed').dataset.shown")
  store.moving["production"] = CODEC + 1  # which cannot read the stream it has
  client.until(CODEC + 1)
  page.evaluate("document.querySelector('#iterations').focus()")
  page.press("ArrowLeft", 37)
  page.wait_for(
    "document.querySelector('#compressed-facts').innerText.includes("
    f"'After 3 iterations, decoded from 196 bytes by version {CODEC + 1}')"
  )
  assert f"codec, version {CODEC + 1}" in page.text("#model")
  page.complaints.clear()  # of the stream that was refused
  store.moving["production"] = DETECTOR
  client.until(DETECTOR)
  page.drop(photograph, "#drop")
  page.wait_for("!document.querySelector('#detection').hidden")
  assert page.text("h1") == "Find objects in a photograph"
  assert page.evaluate("document.querySelector('#compression').hidden")
  page.complaints.clear()


def test_large_photographs_are_shrunk_before_they_are_sent(
  page, client, store, tmp_path
):
  show(page, client, store, CODEC)
  path = tmp_path / "large.jpg"
  Image.new("RGB", (2000, 1000), ORANGE).save(path, quality=95)
  page.drop(path, "#drop")
  page.wait_for("document.querySelector('#compressed').dataset.shown")
  note = page.text("#original-facts")
  assert note == "Original, shrunk here from 2000×1000 to 1024×512 pixels"
  assert page.evaluate("document.querySelector('#compressed').naturalWidth") == 1024


@pytest.mark.parametrize("number", [DETECTOR, CODEC])
def test_what_is_no_photograph_is_said_to_be_none(
  page, client, store, tmp_path, photograph, number
):
  show(page, client, store, number)
  path = tmp_path / "text.png"
  path.write_text("no picture at all")
  page.drop(path, "#drop")
  page.wait_for("!document.querySelector('#problem').hidden")
  assert page.text("#problem").startswith("Expected an image (")
  assert page.evaluate("document.querySelector('#busy').hidden")
  page.drop(photograph, "#drop")  # and all is well again
  page.wait_for(
    "document.querySelector('#problem').hidden &&"
    "document.querySelector('#drop').classList.contains('small')"
  )
  page.complaints.clear()  # the 422 that was asked for


def test_no_model_is_said_and_waited_for(page, client, store):
  page.open(f"http://127.0.0.1:{client.port}/", *DESKTOP)
  page.wait_for("document.querySelector('#model')?.innerText.includes('no alias')")
  assert page.evaluate("document.querySelector('#file').disabled")
  store.moving["production"] = DETECTOR
  page.wait_for("!document.querySelector('#file').disabled")
  page.complaints.clear()  # the 503 before


def test_a_picture_that_the_browser_cannot_show(page, client, store, tmp_path):
  show(page, client, store, DETECTOR)
  buffer = io.BytesIO()
  Image.new("RGB", (50, 30), ORANGE).save(buffer, "TIFF")
  path = tmp_path / "scan.tiff"
  path.write_bytes(buffer.getvalue())
  page.evaluate("document.querySelector('#score').value = 0")
  page.drop(path, "#drop")
  page.wait_for("document.querySelector('.box')")
  size = "[document.querySelector('#picture').naturalWidth,"
  assert page.evaluate(f"{size} document.querySelector('#picture').naturalHeight]") == [
    50,
    30,
  ]
  page.complaints.clear()
