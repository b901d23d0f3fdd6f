"""The light form of codecs says what TensorFlow says, whatever the network is."""

from __future__ import annotations

import concurrent.futures
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hardmine.schemas.codec_config import CodecConfig
from hardmine.schemas.exported_model import has_light_form, read_light_facts
from hardmine.trainers.codec.cells.gru import ConvGRUCell
from hardmine.trainers.codec.cells.lstm import ConvLSTMCell
from hardmine.trainers.codec.cells.residual_gru import ResidualGRUCell
from hardmine.trainers.codec.exports.export import serving_functions
from hardmine.trainers.codec.exports.light_export import write_light_form
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.running.light_network import LightNetwork
from tests.trainers.codec.running.passes import noted

ROOT = Path(__file__).parents[4]
ITERATIONS = 3
RUNTIMES = [
  name for name in ("onnxruntime", "openvino") if importlib.util.find_spec(name)
]
# the last is large enough for a graph of its own
SIZES = ((1, 1), (16, 16), (17, 33), (67, 5), (33, 67), (260, 250))
QUICK = {
  "sent_gain": {
    "cell": ConvGRUCell,
    "sent_gain": True,
    "clock": ITERATIONS - 1,
    "output_activation": "linear",
  },
  "scaled": {"cell": ResidualGRUCell, "reconstruction": "residual_scaling"},
}
# With those above every cell in two frameworks, and every framework with two cells,
# which know nothing of each other.
SLOW = {
  f"{cell.__name__}-{framework}": {"cell": cell, "reconstruction": framework}
  for cell, framework in (
    (ConvLSTMCell, "one_shot"),
    (ConvLSTMCell, "residual_scaling"),
    (ConvGRUCell, "one_shot"),
    (ResidualGRUCell, "additive"),
  )
}
KINDS = {**QUICK, **SLOW, "own_cell": {}}


@pytest.fixture(
  scope="module",
  params=[
    *QUICK,
    *(pytest.param(name, marks=pytest.mark.slow) for name in (*SLOW, "own_cell")),
  ],
)
def written(request, tmp_path_factory):
  """TensorFlow's functions of an untrained codec, and the folder of its light form."""
  settings = {"width": 3 / 32, "use_bias": True, "cell": cell_of_the_page()}
  config = CodecConfig(**{**settings, **KINDS[request.param]})
  codec = build_codec(config, ITERATIONS, seed=2)
  for weight in codec.trainable_weights:
    if "table" in weight.path:
      weight.assign(np.random.default_rng(0).normal(0, 0.3, weight.shape))
  folder = tmp_path_factory.mktemp(request.param)
  write_light_form(codec, folder)
  return serving_functions(codec), folder


def cell_of_the_page():
  """The user's own cell of `docs/your_own_cell.md`."""
  page = (ROOT / "docs" / "your_own_cell.md").read_text("utf-8")
  block = re.search(r"```python\n(.*?)```", page, re.DOTALL)
  assert block
  names: dict = {"__name__": "coupled"}
  exec(block.group(1), names)
  return names["CoupledCell"]


def photograph(height, width, seed=0):
  """Noise on a slope."""
  rng = np.random.default_rng(seed)
  slope = np.add.outer(np.arange(height), np.arange(width))[..., None] % 200
  return (slope + rng.integers(0, 56, (height, width, 3))).astype(np.uint8)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_codes_and_pixels_are_tensorflows(written, runtime):
  serving, folder = written
  network = LightNetwork(folder, runtime)
  for height, width in SIZES:
    image = photograph(height, width)
    answer = serving.encode(image, np.int32(ITERATIONS))
    theirs = answer["codes"].numpy()
    gains = answer["gains"].numpy() if "gains" in answer else np.zeros(ITERATIONS)
    codes, our_gains = network.encode(image, ITERATIONS)
    assert codes.dtype == our_gains.dtype == np.uint8
    assert codes.shape == theirs.shape
    if not np.array_equal(codes, theirs):
      assert_first_difference_is_rounding(network, image, codes, theirs)
    else:
      np.testing.assert_array_equal(our_gains, gains)
    sent = {"gains": gains.astype(np.uint8)} if "gains" in answer else {}
    picture = serving.decode(theirs, np.int32(height), np.int32(width), **sent)
    ours = network.decode(theirs, gains, height, width)
    assert ours.shape == image.shape
    assert ours.dtype == np.uint8
    assert np.abs(ours.astype(int) - picture["image"].numpy()).max() <= 1


def assert_first_difference_is_rounding(network, image, ours, theirs):
  """Bits of the first iteration that differs come from values next to zero."""
  steps = network._run(image, ITERATIONS, None, seen=True)
  for (values, _, _), our_plane, their_plane in zip(steps, ours, theirs):
    if (our_plane != their_plane).any():
      assert np.abs(values[our_plane != their_plane]).max() < 1e-5
      return


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_prefix_decodes_to_what_the_encoder_saw(written, runtime):
  network = LightNetwork(written[1], runtime)
  image = photograph(67, 50)
  codes, gains = network.encode(image, ITERATIONS)
  pictures = network.reconstruct(image, ITERATIONS)
  assert pictures.shape == (ITERATIONS, *image.shape)
  for t in range(ITERATIONS):
    decoded = network.decode(codes[: t + 1], gains[: t + 1], 67, 50)
    np.testing.assert_array_equal(decoded, pictures[t])


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_where_codes_end_the_picture_stays(written, runtime):
  """And the encoder follows: any beginning decodes to what it saw."""
  network = LightNetwork(written[1], runtime)
  image = photograph(70, 90)
  heights = np.array(
    [[1, 2, 3, 3, 1, 1], [3] * 6, [0, 1, 2, 3, 2, 1], [2] * 6, [3] * 6, [1] * 6],
    np.uint8,
  )
  padding_px = read_light_facts(written[1])["padding_px"]
  rows, columns = (-(-side // padding_px) * padding_px // 16 for side in (70, 90))
  heights = heights[:rows, :columns]
  codes, gains = network.encode(image, ITERATIONS, heights)
  pictures = network.reconstruct(image, ITERATIONS, heights)
  for (plane, gain, picture), t in zip(
    network.steps(image, ITERATIONS, heights), range(ITERATIONS)
  ):
    np.testing.assert_array_equal(plane, codes[t])
    np.testing.assert_array_equal(picture, pictures[t])
    assert gain == gains[t]
    junk = codes[: t + 1].copy()
    junk[heights <= np.arange(t + 1)[:, None, None]] ^= 1
    decoded = network.decode(junk, gains[: t + 1], 70, 90, heights)
    np.testing.assert_array_equal(decoded, picture)
  pixels = heights.repeat(16, axis=0).repeat(16, axis=1)[:70, :90]
  for t in range(1, ITERATIONS):
    changed = (pictures[t] != pictures[t - 1]).any(axis=-1)
    assert not changed[pixels <= t].any()
    assert changed[pixels > t].mean() > 0.1
  full = np.full((rows, columns), ITERATIONS, np.uint8)
  np.testing.assert_array_equal(
    network.encode(image, ITERATIONS, full)[0], network.encode(image, ITERATIONS)[0]
  )


def test_no_pass_runs_that_nobody_asks_for(written, monkeypatch):
  network, image = LightNetwork(written[1], "onnxruntime"), photograph(33, 50)
  both = ["encode", "decode"]
  passes = noted(monkeypatch)
  codes, gains = network.encode(image, ITERATIONS)
  assert passes == (both * ITERATIONS)[:-1]
  passes.clear()
  for t, (plane, gain) in enumerate(network.planes(image, ITERATIONS)):
    assert passes == both * t + ["encode"]
    np.testing.assert_array_equal(plane, codes[t])
    assert gain == gains[t]
  assert passes == (both * ITERATIONS)[:-1]
  passes.clear()
  for t, (plane, gain, _) in enumerate(network.steps(image, ITERATIONS)):
    assert passes == both * (t + 1)
    np.testing.assert_array_equal(plane, codes[t])
    assert gain == gains[t]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_threads_do_not_mix_their_pictures(written, runtime):
  network = LightNetwork(written[1], runtime)
  images = [photograph(32 + 16 * (k % 3), 64, seed=k) for k in range(12)]
  alone = [network.reconstruct(image, 2) for image in images]
  with concurrent.futures.ThreadPoolExecutor(4) as pool:
    together = list(pool.map(lambda image: network.reconstruct(image, 2), images))
  for ours, theirs in zip(together, alone):
    np.testing.assert_array_equal(ours, theirs)


def test_nothing_reaches_further_than_the_facts_say(written):
  _, folder = written
  facts, network = read_light_facts(folder), LightNetwork(folder, "onnxruntime")
  rng = np.random.default_rng(1)
  codes = rng.integers(0, 2, (ITERATIONS, 4, 44, 32), np.uint8)
  gains, changed, place = np.ones(ITERATIONS), codes.copy(), 21
  changed[:, :, place] ^= 1
  for t, reach in enumerate(facts["decode_reach_px"], start=1):
    one, other = (
      network.decode(some[:t], gains[:t], 64, 704) for some in (codes, changed)
    )
    columns = np.flatnonzero((one != other).any(axis=(0, 2)))
    assert columns[0] >= 16 * place - reach
    assert columns[-1] < 16 * (place + 1) + reach
    assert len(columns) > 16


def test_pixels_reach_codes_no_further_than_the_facts_say(written):
  _, folder = written
  facts, network = read_light_facts(folder), LightNetwork(folder, "onnxruntime")
  if "exponents" in facts["encode_step"]["outputs"]:
    return  # there a gain ties all of a picture
  image, place = photograph(64, 704), 21
  changed = image.copy()
  changed[:, 16 * place : 16 * (place + 1)] ^= 255
  one, _ = network.encode(image, ITERATIONS)
  other, _ = network.encode(changed, ITERATIONS)
  for t, reach in enumerate(facts["encode_reach_px"]):
    positions = np.flatnonzero((one[t] != other[t]).any(axis=(0, 2)))
    assert positions[0] >= place - reach // 16
    assert positions[-1] <= place + reach // 16


def test_a_decode_imports_neither_tensorflow_nor_keras(written):
  _, folder = written
  program = f"""
import sys
import numpy as np
from hardmine.trainers.codec.running.light_network import LightNetwork
network = LightNetwork({str(folder)!r}, "onnxruntime")
codes, gains = network.encode(np.zeros((20, 20, 3), np.uint8), 1)
assert network.decode(codes, gains, 20, 20).shape == (20, 20, 3)
print(sorted({{"tensorflow", "keras", "onnx", "tf2onnx"}} & set(sys.modules)))
"""
  found = subprocess.run(
    [sys.executable, "-c", program],
    capture_output=True,
    text=True,
    check=True,
    cwd=ROOT,
  )
  assert found.stdout.strip() == "[]"


class BeginningsByPlace(ConvGRUCell):
  """A cell whose states do not begin alike everywhere."""

  def initial_states(self, batch, height, width):
    from keras import ops

    (zeros,) = super().initial_states(batch, height, width)
    rows = ops.reshape(ops.arange(height, dtype="float32"), (1, height, 1, 1))
    return [zeros + rows]


def test_a_cell_that_no_light_form_could_run_is_refused(tmp_path):
  codec = build_codec(CodecConfig(cell=BeginningsByPlace, width=1 / 16), 1)
  with pytest.raises(RuntimeError, match="begin with one value everywhere"):
    write_light_form(codec, tmp_path)
  assert not has_light_form(tmp_path)


def test_a_graph_that_computes_something_else_is_refused(tmp_path, monkeypatch):
  from hardmine.trainers.codec.exports import light_export

  def wrong(model):
    for node in model.graph.node:
      if node.op_type == "Tanh":
        node.op_type = "Sigmoid"
    return model

  monkeypatch.setattr(light_export, "in_blocks", wrong)
  codec = build_codec(CodecConfig(cell=ConvGRUCell, width=1 / 16), 1)
  with pytest.raises(RuntimeError, match=r"of encode_step\.onnx differs by"):
    write_light_form(codec, tmp_path)
  assert not has_light_form(tmp_path)
