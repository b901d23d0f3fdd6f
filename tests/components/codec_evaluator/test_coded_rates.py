"""The rates of a codec with an entropy model are those of the files that it writes."""

from __future__ import annotations

import numpy as np

from hardmine.components.codec_evaluator.evaluate import measure_codec
from hardmine.trainers.codec.entropy.coding import ContextCoder
from hardmine.trainers.codec.streams import bitstream
from tests.trainers.codec.entropy.small_models import likely_tile, small_model

CODER = ContextCoder(small_model())
SIDE_PX = 176


class CodingCodec:
  """Its pictures do not matter here; its files do."""

  model_id = bytes(range(8))
  padding_px = 16
  sends_gains = True
  code_depth = 32
  entropy_id = CODER.entropy_id

  def reconstructions(self, image, iterations):
    return np.stack([image] * iterations)

  def compress(self, image, *, iterations):
    header = bitstream.Header(
      model_id=self.model_id,
      height_px=image.shape[0],
      width_px=image.shape[1],
      padding_px=16,
      iterations=iterations,
      sends_gains=True,
    )
    return bitstream.pack_tiles(
      header, [likely_tile(iterations, *header.grid)], {}, CODER
    )


def test_rates_are_of_the_files_on_the_disk():
  codec = CodingCodec()
  image = np.random.default_rng(0).integers(0, 256, (SIDE_PX, SIDE_PX, 3), np.uint8)
  measured, _ = measure_codec(codec, [("a.png", image)], 3, "candidate", "it")
  data, num_px = codec.compress(image, iterations=3), SIDE_PX**2
  sizes = [len(bitstream.cut(data, t)) for t in (1, 2, 3)]
  np.testing.assert_allclose(measured.file_bpp[0], np.array(sizes) * 8 / num_px)
  framed = np.array([40 + 8 * t for t in (1, 2, 3)])
  np.testing.assert_allclose(measured.bpp[0], (sizes - framed) * 8 / num_px)
  assert measured.bpp[0][0] < 0.125
  assert CODER.entropy_id.hex() in measured.detail
