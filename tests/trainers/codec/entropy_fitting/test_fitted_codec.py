"""`hardmine entropy`, and what its outcome encodes and decodes."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli.main import main
from hardmine.schemas.exported_model import FACTS_PATHS
from hardmine.trainers.codec.streams import bitstream
from tests.trainers.codec.entropy.small_models import likely_tile, small_model

QUICK = ("steps=8", "hidden=4", "batch_size=64", "stages=[1]", "held_out_share=0.5")


def written(folder, seed, nudge=0.0, model_id=None):
  """A tiny codec's export; with nudged weights under the same id."""
  from hardmine.schemas.codec_config import CodecConfig
  from hardmine.trainers.codec.cells.gru import ConvGRUCell
  from hardmine.trainers.codec.exports.export import export_codec
  from hardmine.trainers.codec.network.model import build_codec

  config = CodecConfig(
    cell=ConvGRUCell, width=1 / 16, sent_gain=True, output_activation="linear", clock=3
  )
  codec = build_codec(config, 3, seed)
  rng = np.random.default_rng(5)
  for weight in codec.trainable_variables:
    weight.assign(weight + nudge * rng.standard_normal(weight.shape))
  export_codec(codec, folder, iterations=3)
  if model_id is not None:
    path = folder / FACTS_PATHS["codec"]
    facts = json.loads(path.read_text("utf-8"))
    assert facts["model_id"] != model_id
    path.write_text(json.dumps({**facts, "model_id": model_id}), "utf-8")
  return folder


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
  """The folder of a codec, of one with an entropy model, and a photograph."""
  folder = tmp_path_factory.mktemp("fitted")
  rng = np.random.default_rng(0)
  for number in range(4):
    pixels = np.linspace(0, 255, 96)[None, :, None] + 9 * rng.standard_normal(
      (96, 1, 3)
    )
    image = np.clip(np.roll(pixels, 20 * number, 1), 0, 255).astype(np.uint8)
    Image.fromarray(image).save(folder / f"{number}.png")
  (folder / "broken.png").write_bytes(b"no picture")
  model = written(folder / "model", seed=4)
  before = {path: path.stat().st_mtime_ns for path in model.rglob("*")}
  settings = [word for one in QUICK for word in ("--set", one)]
  command = ["entropy", str(model), "--images", str(folder / "*.png"), *settings]
  assert main([*command, "--output", str(folder / "smaller")]) == 0
  assert {path: path.stat().st_mtime_ns for path in model.rglob("*")} == before
  assert main([*command, "--output", str(folder / "smaller")]) == 2  # it is there
  return model, folder / "smaller", np.asarray(Image.open(folder / "3.png"))


@pytest.mark.slow
def test_coding_many_photographs_tells_how_far_it_is(fitted):
  from hardmine.schemas.entropy_config import EntropyConfig
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.codec.entropy_fitting.photographs import code_sets

  model = fitted[0]
  paths = [str(model.parent / name) for name in ("0.png", "broken.png")]
  said = []
  config = EntropyConfig(held_out_share=0.0)
  code_sets(Codec.load(model), [*(paths[:1] * 60), paths[1]], config, said.append)
  assert said[:2] == [f"{done} of 61 photographs are coded" for done in (25, 50)]
  assert "broken.png is left out" in said[2]
  assert said[3:] == ["codes of 60 photographs, and of 0 to judge by"]


@pytest.mark.slow
def test_files_become_smaller_and_pictures_stay(fitted):
  from hardmine.trainers.codec.codec import Codec

  model, smaller, image = fitted
  raw, coded = Codec.load(model), Codec.load(smaller)
  assert (raw.entropy_id, raw.model_id) == (None, coded.model_id)
  data = coded.compress(image)
  assert (
    len(data) < len(raw.compress(image)) == len(coded.compress(image, entropy=False))
  )
  stream = bitstream.unpack(data)
  assert stream.header.entropy_id == coded.entropy_id
  pictures = raw.reconstructions(image, 3)
  for iterations in (1, 2, 3):
    found = coded.decompress(data, iterations=iterations)
    np.testing.assert_array_equal(found, pictures[iterations - 1])
    part = bitstream.cut(data, iterations)
    np.testing.assert_array_equal(coded.decompress(part), found)
  np.testing.assert_array_equal(coded.decompress(raw.compress(image)), pictures[2])
  with pytest.raises(bitstream.BitstreamError, match=coded.entropy_id.hex()):
    raw.decompress(data)


@pytest.mark.slow
def test_bits_do_not_depend_on_the_weights_nor_on_what_runs_them(fitted, tmp_path):
  from hardmine.trainers.codec.codec import Codec

  _, smaller, image = fitted
  codec = Codec.load(smaller)
  data = codec.compress(image)
  other = written(tmp_path / "nudged", 4, nudge=1e-6, model_id=codec.model_id.hex())
  shutil.copy(smaller / "assets.extra/entropy.npz", other / "assets.extra")
  seen = []
  for one in (
    codec,
    Codec.load(other, num_threads=1),
    Codec.load(other, num_threads=2),
    Codec.load(other, runtime="tensorflow"),
  ):
    decode = one._network.decode

    def spied(codes, *args, decode=decode):
      seen.append(codes.tobytes())
      return decode(codes, *args)

    one._network.decode = spied
    picture = one.decompress(data).astype(int)
    assert np.abs(picture - codec.reconstructions(image, 3)[2]).max() <= 1
  assert len(seen) == 4
  assert len(set(seen)) == 1


@pytest.mark.slow
def test_what_cannot_be_fitted_is_refused_in_one_line(fitted, tmp_path, capsys):
  model, _, _ = fitted
  (tmp_path / "broken.png").write_bytes(b"no picture")
  Image.new("RGB", (20, 20)).save(tmp_path / "small.png")
  command = ["entropy", str(model), "--output", str(tmp_path / "out"), "--images"]
  for images, told in (
    (str(tmp_path / "*.png"), "Expected at least one photograph"),
    (str(tmp_path / "none*.png"), "none"),
  ):
    assert main([*command, images]) == 2
    assert told in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "out").exists()
  assert main([*command, images, "--set", "group=5"]) == 2
  assert "group" in capsys.readouterr().err


def test_a_model_that_was_damaged_is_named(tmp_path):
  from hardmine.trainers.codec.entropy.coding import load_coder

  assert load_coder(tmp_path) is None
  path = tmp_path / "assets.extra" / "entropy.npz"
  path.parent.mkdir()
  small_model().save(path)
  coder = load_coder(tmp_path)
  assert coder is not None
  assert coder.cost_bits(*likely_tile(1, 2, 3)).shape == (1,)
  path.write_bytes(path.read_bytes()[:-100])
  with pytest.raises(ValueError, match=r"entropy\.npz"):
    load_coder(tmp_path)
