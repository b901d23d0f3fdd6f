"""`hardmine.pipelines.cli.images`: reading, writing and refusing."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import images

PHOTO = np.random.default_rng(0).integers(0, 256, (9, 14, 3), np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".ppm", ".tif", ".WEBP"])
def test_lossless_files_keep_every_pixel(tmp_path, suffix):
  path = tmp_path / f"image{suffix}"
  assert images.is_lossless(path)
  images.write_image(path, PHOTO)
  np.testing.assert_array_equal(images.read_image(path), PHOTO)


def test_jpeg_is_known_to_lose(tmp_path):
  path = tmp_path / "image.jpg"
  assert not images.is_lossless(path)
  images.write_image(path, PHOTO)
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


def test_a_destination_is_a_file_or_nothing(tmp_path):
  source = tmp_path / "source"
  source.write_bytes(b"x")
  os.symlink(source, tmp_path / "link")
  images.check_destination(tmp_path / "new", source)
  (tmp_path / "old").write_bytes(b"y")
  images.check_destination(tmp_path / "old", source)
  for path, message in [
    (tmp_path / "none" / "new", "a folder that exists"),
    (tmp_path, "a file, or nothing"),
    ("/dev/null", "a file, or nothing"),
    (source, "another file"),
    (tmp_path / "link", "another file"),
  ]:
    with pytest.raises(ValueError, match=message):
      images.check_destination(path, source)
