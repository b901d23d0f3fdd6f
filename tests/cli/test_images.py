"""`hardmine.pipelines.cli.images`: reading, writing and refusing."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import images

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".WEBP"])
def test_lossless_files_keep_every_pixel(tmp_path, suffix):
  path = tmp_path / f"image{suffix}"
  assert images.is_lossless(path)
  path.write_bytes(images.encode_image(path, PHOTO))
  np.testing.assert_array_equal(images.read_image(path), PHOTO)


def test_jpeg_is_known_to_lose(tmp_path):
  path = tmp_path / "image.jpg"
  assert not images.is_lossless(path)
  path.write_bytes(images.encode_image(path, PHOTO))
  assert images.read_image(path).shape == PHOTO.shape


def test_an_unusable_photograph_is_named(tmp_path):
  path = tmp_path / "deep.png"
  Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(path)
  with pytest.raises(ValueError, match=r"deep\.png: Expected 8 bits"):
    images.read_image(path)


@pytest.mark.parametrize("name", ["image", "image.xyz", "image.gif"])
def test_a_name_without_a_known_format_is_refused(name):
  with pytest.raises(ValueError, match=r"\.png, .*Received: path="):
    images.check_image_name(name)


@pytest.mark.parametrize("name", ["photo.PNG", "photo.jpeg", "photo.heic"])
def test_a_stream_is_not_written_under_an_images_name(name):
  with pytest.raises(ValueError, match="a name that no picture has"):
    images.check_no_image_name(name)
  images.check_no_image_name("photo.hmc")


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".webp", ".jpg"])
def test_what_is_written_is_known_as_an_image(tmp_path, suffix):
  path = tmp_path / f"image{suffix}"
  path.write_bytes(images.encode_image(path, PHOTO))
  assert images.IMAGE.holds(path)
  path.write_bytes(b"the only copy of a thesis")
  assert not images.IMAGE.holds(path)
