"""A codec with height maps as a study asks it, and what the maps look like."""

from __future__ import annotations

import itertools

import numpy as np

from hardmine.pipelines.studies.rate_distortion.adaptive_codec import AdaptiveCodec
from hardmine.pipelines.studies.rate_distortion.height_picture import (
  colour_of,
  drawn,
  legend,
)
from hardmine.pipelines.studies.rate_distortion.model_codec import ModelCodec
from tests.trainers.codec.running.bit_planes import codec, picture


def studied():
  model, _ = codec()
  plain = ModelCodec(model, key="bits", title="bits", runtime="onnxruntime")
  return model, AdaptiveCodec(model, plain)


def half_plain():
  image = picture(12, 16)
  image[:, :128] = 128
  return image


def test_points_are_those_of_files():
  _, adaptive = studied()
  image = half_plain()
  found = dict(adaptive.points(image, adaptive.settings))
  assert list(found) == list(adaptive.settings)
  sizes = [points[0].num_bytes for points in found.values()]
  assert sizes == sorted(sizes)
  assert sum(points[0].encode_seconds is not None for points in found.values()) == 1
  (point,) = found[20]
  assert point.header_bytes is not None
  assert point.header_bytes < point.num_bytes
  assert adaptive.curves[0].key == "bits_adaptive"


def test_the_nearest_file_is_no_larger():
  model, adaptive = studied()
  image = half_plain()
  for num_bytes in (1500, 2500):
    file = adaptive.nearest(image, num_bytes)
    assert file.num_bytes <= num_bytes
    assert file.stream is not None
    assert file.stream.heights is not None
    np.testing.assert_array_equal(file.pixels, model.decode_stream(file.stream))
  coarsest = adaptive.nearest(image, 1)
  assert coarsest.setting == 0
  assert coarsest.num_bytes == len(model.compress(image, iterations=1))


def test_maps_show_where_the_bits_are():
  _, adaptive = studied()
  image = half_plain()
  stream = adaptive.nearest(image, 2500).stream
  assert stream is not None
  shown = drawn(image, stream, 8).astype(int)
  assert shown.shape == image.shape
  few, many = shown[:, :96].mean(axis=(0, 1)), shown[:, 160:].mean(axis=(0, 1))
  assert many[1] > few[1] + 20  # greener
  large = np.tile(image, (1, 4, 1))
  assert drawn(large, adaptive.nearest(large, 9000).stream, 8).shape[1] == 480


def test_the_legend_has_the_colours_of_the_map():
  for most in (1, 2, 5, 16, 255):
    entries = legend(most)
    assert len(entries) <= 6
    assert entries[-1][0] == most
    for number, colour in entries:
      assert bytes.fromhex(colour[1:]) == bytes(colour_of(number, most).tolist())
  brightness = [sum(bytes.fromhex(colour[1:])) for _, colour in legend(16)]
  assert all(b > a for a, b in itertools.pairwise(brightness))
