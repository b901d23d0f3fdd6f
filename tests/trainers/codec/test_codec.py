"""The exported codec: the graph agrees with the model, any size, any prefix."""

import concurrent.futures
import dataclasses
import json

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.exported_model import FACTS_PATHS
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.exports.export import export_codec
from hardmine.trainers.codec.network.model import build_codec, model_id
from hardmine.trainers.codec.streams import bitstream, rates
from hardmine.trainers.codec.streams.tiling import Splitting, Tiling

ITERATIONS = 3


KINDS = {
  "additive": {},
  "residual_scaling": {"reconstruction": "residual_scaling"},
  "sent_gain": {
    "sent_gain": True,
    "clock": ITERATIONS + 1,
    "output_activation": "linear",
  },
}


@pytest.fixture(scope="module", params=KINDS)
def exported(request, tmp_path_factory):
  """An untrained Keras codec and the same one exported and loaded."""
  config = CodecConfig(
    cell=ConvGRUCell, width=1 / 16, use_bias=True, **KINDS[request.param]
  )
  codec = build_codec(config, ITERATIONS, seed=4)
  folder = tmp_path_factory.mktemp(request.param) / "model"
  export_codec(codec, folder, steps=7)
  return codec, Codec.load(folder), folder


def photograph(height, width, seed=0):
  return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def test_graph_and_eager_agree(exported):
  keras_codec, codec, _ = exported
  image = photograph(64, 32)
  eager = np.asarray(keras_codec(image[None].astype("float32") / 255 - 0.5))[:, 0]
  pixels = np.clip(np.round((eager + 0.5) * 255), 0, 255)
  graph = codec.reconstructions(image, ITERATIONS).astype(int)
  # rounding may fall either way where the two add up in another order
  assert np.abs(pixels - graph).max() <= 1
  assert np.mean(pixels != graph) < 0.01


@pytest.mark.parametrize(
  ("height", "width"), [(1, 1), (16, 16), (17, 33), (67, 5), (32, 64)]
)
def test_every_prefix_decodes_to_what_the_encoder_saw(exported, height, width):
  _, codec, _ = exported
  image = photograph(height, width)
  codes, gains = codec.encode_codes(image, ITERATIONS)
  assert gains.any() == codec.sends_gains
  grid = [
    -(-side // codec.padding_px) * codec.padding_px // 16 for side in (height, width)
  ]
  assert codes.shape == (ITERATIONS, *grid, 32)
  assert set(np.unique(codes)) <= {0, 1}
  pictures = codec.reconstructions(image, ITERATIONS)
  for t in range(ITERATIONS):
    decoded = codec.decode_codes(codes[: t + 1], gains[: t + 1], height, width)
    assert decoded.shape == image.shape
    np.testing.assert_array_equal(decoded, pictures[t])


def test_padding_repeats_the_edge(exported):
  _, codec, _ = exported
  image = photograph(20, 30)
  padded = np.pad(image, ((0, 64 - 20), (0, 32 - 30), (0, 0)), mode="edge")
  height = -(-20 // codec.padding_px) * codec.padding_px
  for ours, theirs in zip(
    codec.encode_codes(image, 1), codec.encode_codes(padded[:height, :32], 1)
  ):
    np.testing.assert_array_equal(ours, theirs)


def test_streams_name_the_model_and_refuse_another(exported):
  keras_codec, codec, _ = exported
  assert codec.model_id == model_id(keras_codec)
  data = codec.compress(photograph(20, 20), iterations=2)
  other = Codec(codec._network, {**codec.facts, "model_id": "00" * 8})
  with pytest.raises(ValueError, match=codec.model_id.hex()):
    other.decompress(data)


def test_bpp_is_a_bound_on_the_whole_file(exported):
  _, codec, _ = exported
  image = photograph(64, 64)
  data = codec.compress(image, bpp=0.5)
  more = codec.compress(image, iterations=data[6] + 1)
  assert 8 * len(data) / 64**2 <= 0.5 < 8 * len(more) / 64**2


def test_a_rate_never_goes_beyond_the_iterations_that_help(exported):
  _, codec, _ = exported
  image = photograph(64, 64)
  stopping = Codec(codec._network, {**codec.facts, "iterations": 2})
  assert stopping.compress(image, bpp=50)[6] == 2
  assert stopping.compress(image)[6] == 2


def test_a_codec_with_a_clock_ends_where_its_clock_ends(exported):
  _, codec, _ = exported
  image = photograph(16, 16)
  if "clock" not in codec.facts["config"]:
    assert codec.compress(image, iterations=20)[6] == 20
    return
  assert codec.compress(image, iterations=ITERATIONS + 1)[6] == ITERATIONS + 1
  with pytest.raises(ValueError, match=r"1 to 4 iterations, as many as"):
    codec.compress(image, iterations=ITERATIONS + 2)


def test_a_stream_that_the_model_cannot_have_written_is_refused(exported):
  _, codec, _ = exported
  data = codec.compress(photograph(32, 32), iterations=2)
  stream = bitstream.unpack(data)
  for field, value in (
    ("sends_gains", not codec.sends_gains),
    ("padding_px", 48 - codec.padding_px),
  ):
    header = dataclasses.replace(stream.header, **{field: value})
    forged = dataclasses.replace(stream, header=header)
    with pytest.raises(bitstream.BitstreamError, match="as this model writes"):
      codec.decode_stream(forged)


def test_facts_lie_beside_the_graph(exported):
  keras_codec, _, folder = exported
  facts = json.loads((folder / FACTS_PATHS["codec"]).read_text())
  assert facts["steps"] == 7
  config = CodecConfig.from_json(json.dumps(facts["config"]))
  assert config == keras_codec.config


def test_a_folder_that_is_no_codec_is_refused(tmp_path):
  with pytest.raises(ValueError, match=r"saved_model\.pb"):
    Codec.load(tmp_path)


@pytest.mark.parametrize(
  "image",
  [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)],
)
def test_what_is_no_image_is_refused(exported, image):
  _, codec, _ = exported
  with pytest.raises(ValueError, match="uint8"):
    codec.compress(image, iterations=1)


TINY = Splitting(max_whole_px=96 * 96, tiling=Tiling(tile_px=96, overlap_px=16))


def splitting(codec, how=TINY, **changes):
  return Codec(
    codec._network,
    codec.facts,
    dataclasses.replace(codec.needs, splitting=how, **changes),
  )


def smooth(height, width):
  """A picture whose neighbouring pixels are alike, as a sky's."""
  rows, columns = np.mgrid[:height, :width]
  waves = [np.sin(rows / 37 + k) + np.cos(columns / 53 - k) for k in range(3)]
  return np.uint8(127 + 60 * np.stack(waves, axis=-1))


@pytest.mark.parametrize(
  ("height", "width", "num_tiles"),
  [(96, 96, 1), (96, 97, 2), (97, 128, 4), (1, 300, 4), (211, 177, 9)],
)
def test_pictures_around_the_threshold_come_back(exported, height, width, num_tiles):
  _, codec, _ = exported
  tiled, image = splitting(codec), photograph(height, width)
  data = tiled.compress(image, iterations=ITERATIONS)
  header = bitstream.read_header(data)
  assert header.tiles.num_tiles == num_tiles
  assert header.version == (3 if num_tiles > 1 else 1 + codec.sends_gains)
  assert len(data) == rates.size_bytes(
    height, width, codec.padding_px, ITERATIONS, codec.sends_gains, TINY
  )
  pictures = tiled.reconstructions(image, ITERATIONS)
  for t in range(ITERATIONS):
    chunk = 8 + header.payload_bytes
    cut = data[: len(data) - (ITERATIONS - 1 - t) * chunk]
    decoded = tiled.decompress(cut)
    np.testing.assert_array_equal(decoded, pictures[t])
  # how it is split is the stream's to say, whatever this side would have done
  np.testing.assert_array_equal(codec.decompress(data), pictures[-1])


def test_one_tile_is_coded_as_the_picture_is(exported):
  _, codec, _ = exported
  image = photograph(80, 96)
  assert splitting(codec).compress(image, iterations=2) == codec.compress(
    image, iterations=2
  )


def test_every_tile_is_coded_as_if_it_were_a_picture(exported):
  _, codec, _ = exported
  image = photograph(150, 100)
  stream = bitstream.unpack(splitting(codec).compress(image, iterations=2))
  boxes = list(stream.header.tiles)
  for (rows, columns), (codes, gains) in zip(boxes, stream.tiles(), strict=True):
    expected = codec.encode_codes(image[rows, columns], 2)
    np.testing.assert_array_equal(codes, expected[0])
    np.testing.assert_array_equal(gains, expected[1])


def test_a_large_picture_of_before_decodes_in_windows_as_it_does_whole(exported):
  _, codec, _ = exported
  image = smooth(150, 330)
  how = Splitting(max_whole_px=1, tiling=Tiling(tile_px=192, overlap_px=16))
  data = codec.compress(image, iterations=ITERATIONS)
  assert bitstream.read_header(data).version < 3
  reach = codec.needs.decode_reach_px
  assert reach == tuple(sorted(reach))
  seen = []
  windows = splitting(codec, how)
  whole = codec.decompress(data).astype(int)
  network, windows._network = windows._network, _Watched(windows._network, seen)
  in_windows = windows.decompress(data).astype(int)
  assert np.abs(in_windows - whole).max() <= 1
  if reach:
    assert len(seen) > 1
  # and a reach that is too short is noticed by this very comparison
  short = splitting(codec, how, decode_reach_px=(0, 0, 0))
  assert np.abs(short.decompress(data).astype(int) - whole).max() > 1
  unknown = splitting(codec, how, decode_reach_px=())
  unknown._network = _Watched(network, calls := [])
  np.testing.assert_array_equal(unknown.decompress(data), whole)
  assert len(calls) == 1


class _Watched:
  def __init__(self, network, seen):
    self._network, self._seen = network, seen

  def decode(self, codes, *others):
    self._seen.append(codes.shape)
    return self._network.decode(codes, *others)


def test_two_threads_give_what_one_gives(exported):
  _, codec, _ = exported
  tiled = splitting(codec)
  pictures = [photograph(130, 140, seed) for seed in range(4)]
  alone = [tiled.compress(image, iterations=2) for image in pictures]
  with concurrent.futures.ThreadPoolExecutor(2) as pool:
    together = list(pool.map(lambda one: tiled.compress(one, iterations=2), pictures))
    decoded = list(pool.map(tiled.decompress, alone))
  assert together == alone
  for data, image in zip(alone, decoded):
    np.testing.assert_array_equal(tiled.decompress(data), image)
