"""`hardmine encode` and `decode` with real, untrained models, in process."""

from __future__ import annotations

import functools
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.cli import model_ref
from hardmine.pipelines.cli.main import main
from hardmine.schemas.codec_config import CodecConfig
from hardmine.serving.store.entries import Reason
from hardmine.serving.store.store import ModelStore
from hardmine.trainers.codec.streams import bitstream
from tests.serving.store import fake_models

ITERATIONS = 4
PHOTO = np.random.default_rng(3).integers(0, 256, (40, 33, 3), np.uint8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
  from tests.serving.server.tiny_models import export_tiny_codec

  folder = tmp_path_factory.mktemp("model") / "exported"
  return str(export_tiny_codec(folder, iterations=None))


@pytest.fixture(scope="module")
def other_model(tmp_path_factory):
  from hardmine.trainers.codec.cells.gru import ConvGRUCell
  from hardmine.trainers.codec.exports.export import export_codec
  from hardmine.trainers.codec.network.model import build_codec

  folder = tmp_path_factory.mktemp("other")
  config = CodecConfig(
    cell=ConvGRUCell, width=0.0625, reconstruction="residual_scaling"
  )
  export_codec(build_codec(config, seed=1), folder)
  return str(folder)


@pytest.fixture(scope="module")
def references(model):
  """uint8 [iterations, 40, 33, 3]: what the codec itself reconstructs."""
  from hardmine.trainers.codec.codec import Codec

  return Codec.load(model).reconstructions(PHOTO, ITERATIONS)


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
  """Every command loads its model, which takes seconds; here they share it."""
  from hardmine.trainers.codec.codec import Codec

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(Codec, "load", staticmethod(functools.cache(Codec.load)))
    yield


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
  """Each test works in its own folder, which holds photo.png."""
  monkeypatch.delenv("HARDMINE_MODEL", raising=False)
  monkeypatch.setattr(model_ref, "SHIPPED_DIR", tmp_path / "pretrained")
  monkeypatch.chdir(tmp_path)
  Image.fromarray(PHOTO).save("photo.png")
  return tmp_path


@pytest.fixture(scope="module")
def stream(model, tmp_path_factory):
  """What the command wrote for the photograph; made once, as loading takes time."""
  folder = tmp_path_factory.mktemp("encoded")
  Image.fromarray(PHOTO).save(folder / "photo.png")
  words = ["encode", str(folder / "photo.png"), str(folder / "photo.hmc")]
  assert main([*words, "--model", model, "--iterations", str(ITERATIONS)]) == 0
  return (folder / "photo.hmc").read_bytes()


@pytest.fixture
def encoded(folder, stream):
  """The bytes of photo.hmc, which the folder then holds."""
  (folder / "photo.hmc").write_bytes(stream)
  return stream


def pixels(path="out.png"):
  return np.asarray(Image.open(path))


def test_decode_gives_what_the_codec_reconstructs(encoded, model, references):
  assert main(["decode", "photo.hmc", "out.png", "--model", model]) == 0
  np.testing.assert_array_equal(pixels(), references[-1])


def test_one_pixel_and_coarser_padding_come_back(other_model):
  Image.fromarray(PHOTO[:1, :1]).save("photo.png")
  words = ["--model", other_model]
  assert main(["encode", "photo.png", "p.hmc", *words, "--iterations", "1"]) == 0
  assert main(["decode", "p.hmc", "out.png", *words]) == 0
  assert pixels().shape == (1, 1, 3)


def test_a_cut_file_gives_the_shorter_prefixes_image(
  folder, encoded, model, references, capsys
):
  chunk = (len(encoded) - bitstream.HEADER_BYTES) // ITERATIONS
  for complete in (1, ITERATIONS - 1):
    length = bitstream.HEADER_BYTES + complete * chunk + complete  # inside the next
    (folder / "cut.hmc").write_bytes(encoded[:length])
    words = ["decode", "cut.hmc", "out.png", "--model", model, "--overwrite"]
    assert main(words) == 0
    assert f"decoded {complete} of {ITERATIONS}" in capsys.readouterr().err
    np.testing.assert_array_equal(pixels(), references[complete - 1])


def test_fewer_iterations_of_a_whole_file_are_the_same_prefix(
  encoded, model, references, capsys
):
  words = ["decode", "photo.hmc", "out.png", "--model", model, "--iterations", "2"]
  assert main([*words, "--json"]) == 0
  captured = capsys.readouterr()
  facts = json.loads(captured.out)
  assert (facts["iterations"], facts["missing_iterations"]) == (2, 0)
  assert "cut" not in captured.err
  np.testing.assert_array_equal(pixels(), references[1])


def test_a_damaged_file_decodes_as_far_as_its_error_says(
  folder, encoded, model, references, capsys
):
  damaged = encoded[:-5] + bytes([encoded[-5] ^ 1]) + encoded[-4:]
  (folder / "photo.hmc").write_bytes(damaged)
  words = ["decode", "photo.hmc", "out.png", "--model", model]
  assert main(words) == 2
  assert "--iterations 3 decodes those before" in capsys.readouterr().err
  assert not (folder / "out.png").exists()
  assert main([*words, "--iterations", "3"]) == 0
  np.testing.assert_array_equal(pixels(), references[2])


def test_the_reported_size_is_the_file_on_disk(folder, model, capsys):
  words = ["encode", "photo.png", "photo.hmc", "--model", model, "--json"]
  assert main(words) == 0
  facts = json.loads(capsys.readouterr().out)
  size = os.path.getsize("photo.hmc")
  assert facts["file_bytes"] == size
  assert facts["image_bytes"] == os.path.getsize("photo.png")
  assert facts["bits_per_pixel"] == 8 * size / (40 * 33)
  assert (facts["width_px"], facts["height_px"]) == (33, 40)
  assert facts["iterations"] == 16


def test_a_rate_above_the_last_iteration_that_helps_takes_those(model, capsys):
  words = ["encode", "photo.png", "photo.hmc", "--model", model, "--bpp", "100"]
  assert main(words) == 0
  out = capsys.readouterr().out
  assert "iterations: 16" in out
  assert "all iterations that help" in out


def test_iterations_are_those_of_the_training(model, tmp_path, capsys):
  trained = shutil.copytree(model, tmp_path / "trained")
  path = trained / "assets.extra" / "codec.json"
  facts = {**json.loads(path.read_text()), "training": '{"iterations": 2}'}
  path.write_text(json.dumps(facts))
  words = ["encode", "photo.png", "photo.hmc", "--model", str(trained)]
  assert main([*words, "--json"]) == 0
  out, err = capsys.readouterr()
  assert (json.loads(out)["iterations"], err) == (2, "")
  assert main([*words, "--iterations", "3", "--overwrite"]) == 0
  assert "iterations beyond 2 can make" in capsys.readouterr().err


def test_a_stream_finds_its_model_when_the_alias_has_moved(
  folder, stream, model, other_model, capsys
):
  store = ModelStore(folder / "store")
  for path in (model, other_model):
    model_id = model_ref.read_model_id(Path(path)).hex()
    store.add(path, **{**fake_models.facts(), "model_id": model_id})
  store.move("production", 2, reason=Reason(who="ann"))
  (folder / "p.hmc").write_bytes(stream)
  words = ["decode", "p.hmc", "out.png", "--model", f"{store.url}:production", "--json"]
  assert main(words) == 0
  assert json.loads(capsys.readouterr().out)["model_dir"] == str(store.local_dir(1))
  store.gc(1)
  assert main([*words, "--overwrite"]) == 2
  assert "Received: one of model" in capsys.readouterr().err


def test_people_read_bytes_and_bits_per_pixel(model, capsys):
  words = ["encode", "photo.png", "photo.hmc", "--model", model]
  assert main([*words, "--iterations", "2"]) == 0
  out = capsys.readouterr().out
  size = os.path.getsize("photo.hmc")
  assert f"photo.hmc: {size:,} bytes, {8 * size / (40 * 33):.4f} bits per pixel" in out
  assert f"photo.png: {os.path.getsize('photo.png'):,} bytes" in out


def test_a_rate_is_kept_with_everything_counted(model, capsys):
  words = ["encode", "photo.png", "photo.hmc", "--model", model]
  assert main([*words, "--bpp", "1"]) == 0
  assert os.path.getsize("photo.hmc") * 8 <= 40 * 33
  assert main([*words, "--bpp", "0.1", "--overwrite"]) == 2
  assert "bits per pixel" in capsys.readouterr().err


def test_another_model_is_refused_with_both_hashes(encoded, model, other_model, capsys):
  assert main(["decode", "photo.hmc", "out.png", "--model", other_model]) == 2
  err = capsys.readouterr().err
  for path in (model, other_model):
    assert model_ref.read_model_id(model_ref.resolve_model(path)).hex() in err
  assert not os.path.exists("out.png")


def test_the_environment_names_the_model(monkeypatch, model):
  monkeypatch.setenv("HARDMINE_MODEL", model)
  assert main(["encode", "photo.png", "p.hmc", "--iterations", "1"]) == 0
  assert main(["decode", "p.hmc", "out.png"]) == 0


def test_a_shipped_model_is_found_by_the_stream(folder, encoded, model, other_model):
  (folder / "pretrained").mkdir()
  os.symlink(other_model, folder / "pretrained" / "another")
  os.symlink(model, folder / "pretrained" / "mine")
  assert main(["decode", "photo.hmc", "out.png"]) == 0
  assert pixels().shape == PHOTO.shape


def test_no_model_says_what_to_pass(encoded, capsys):
  assert main(["decode", "photo.hmc", "out.png"]) == 2
  assert "pass --model REF" in capsys.readouterr().err


def test_existing_files_are_replaced_only_by_whole_ones(folder, encoded, model):
  (folder / "out.png").write_bytes(b"old")
  (folder / "bad.hmc").write_bytes(encoded[:40])
  assert main(["decode", "bad.hmc", "new.png", "--model", model]) == 2
  assert (folder / "out.png").read_bytes() == b"old"
  words = ["decode", "photo.hmc", "out.png", "--model", model, "--overwrite"]
  assert main(words) == 2
  (folder / "out.png").write_bytes((folder / "photo.png").read_bytes())
  assert main(words[:-1]) == 2
  assert main(words) == 0
  assert pixels().shape == PHOTO.shape
  assert sorted(path.name for path in folder.iterdir()) == [
    "bad.hmc",
    "out.png",
    "photo.hmc",
    "photo.png",
  ]


def test_jpeg_is_written_with_a_warning(encoded, model, capsys):
  assert main(["decode", "photo.hmc", "out.jpg", "--model", model]) == 0
  assert "JPEG loses" in capsys.readouterr().err
  assert pixels("out.jpg").shape == PHOTO.shape


@pytest.mark.parametrize(
  ("words", "status", "message"),
  [
    (["encode", "photo.png", "text.jpg"], 2, "a name that no picture has"),
    (["encode", "photo.png", "p.hmc", "--bpp", "0"], 2, "bpp=0.0"),
    (["encode", "none.png", "p.hmc"], 1, "none.png: No such file"),
    (["encode", "photo.png", "photo.png"], 2, "a name that no picture has"),
    (["encode", "photo.hmc", "photo.hmc"], 2, "another file"),
    (["encode", "photo.png", "none/p.hmc"], 2, "a folder that exists"),
    (["encode", "text.png", "p.hmc"], 2, "text.png: Expected an image"),
    (["encode", "photo.png", "p.hmc", "--iterations", "0"], 2, "iterations=0"),
    (["encode", "photo.png", "p.hmc", "--iterations", "256"], 2, "iterations=256"),
    (["decode", "photo.png", "out.png"], 2, "Expected a hardmine stream"),
    (["decode", "photo.hmc", "out.gif"], 2, "a name that ends in"),
    (["decode", "photo.hmc", "out.png", "--iterations", "9"], 2, "iterations=9"),
  ],
)
def test_mistakes_are_one_line(folder, encoded, model, capsys, words, status, message):
  (folder / "text.png").write_text("not a picture")
  assert main([*words, "--model", model]) == status
  err = capsys.readouterr().err
  assert message in err
  assert err.count("\n") == 1
  assert not (folder / "p.hmc").exists()


def test_a_number_of_bytes_is_kept_and_one_more_iteration_named(model, capsys):
  words = ["encode", "photo.png", "--model", model, "--max-bytes", "200"]
  assert main(words) == 0
  chunk = 8 + 4 * 3 * 3
  assert os.path.getsize("photo.hmc") == 28 + 3 * chunk
  assert f"one iteration more is {28 + 4 * chunk} bytes" in capsys.readouterr().out


def test_the_smallest_file_is_named(model, capsys):
  words = ["encode", "photo.png", "--model", model, "--max-bytes", "71"]
  assert main(words) == 2
  assert "at least 72 bytes" in capsys.readouterr().err
  assert not os.path.exists("photo.hmc")


def test_a_quality_that_is_not_reached_is_said_with_what_was(model, capsys):
  words = ["encode", "photo.png", "--model", model, "--ms-ssim", "0.9999", "--json"]
  assert main(words) == 0
  captured = capsys.readouterr()
  facts = json.loads(captured.out)
  assert not facts["target_reached"]
  assert f"written with {facts['ms_ssim']:.4f}" in captured.err


def photograph(alpha=None):
  exif = Image.Exif()
  exif[0x0112], exif[0x8298] = 6, "(c) somebody"
  exif.get_ifd(0x8769)[0xA431] = "SN-12345"
  exif.get_ifd(0x8825)[1] = "N"
  image = PHOTO if alpha is None else np.dstack((PHOTO, alpha))
  Image.fromarray(image).save("photo.png", exif=exif)


def test_metadata_is_kept_where_it_is_asked_for(model, capsys):
  photograph()
  words = ["--model", model, "--iterations", "1"]
  assert main(["encode", "photo.png", "without.hmc", *words]) == 0
  assert "left out: EXIF (--keep-metadata)" in capsys.readouterr().err
  assert main(["encode", "photo.png", "with.hmc", "--keep-metadata", *words]) == 0
  assert "left out: location, serial numbers" in capsys.readouterr().err
  for name in ("out.png", "out.jpg", "out.webp"):
    assert main(["decode", "with.hmc", name, "--model", model]) == 0
    exif = Image.open(name).getexif()
    assert Image.open(name).size == (40, 33)  # turned once
    assert (exif[0x0112], exif[0x8298]) == (1, "(c) somebody")
    assert not exif.get_ifd(0x8825)
    assert 0xA431 not in exif.get_ifd(0x8769)
  assert main(["decode", "without.hmc", "bare.png", "--model", model]) == 0
  assert not Image.open("bare.png").getexif()
  capsys.readouterr()
  assert main(["decode", "with.hmc", "out.ppm", "--model", model]) == 0
  assert "cannot hold it: EXIF" in capsys.readouterr().err


def test_transparency_is_kept_or_laid_over_a_colour(model, capsys):
  alpha = np.random.default_rng(0).integers(0, 256, PHOTO.shape[:2], np.uint8)
  photograph(alpha)
  words = ["--model", model, "--iterations", "1"]
  assert main(["encode", "photo.png", *words]) == 0
  for name in ("out.png", "out.webp", "out.tif"):
    assert main(["decode", "photo.hmc", name, "--model", model]) == 0
    np.testing.assert_array_equal(pixels(name)[..., 3], np.rot90(alpha, -1))
  capsys.readouterr()
  assert main(["decode", "photo.hmc", "out.jpg", "--model", model]) == 0
  assert "laid over white" in capsys.readouterr().err
  assert (
    main(["decode", "photo.hmc", "no.jpg", "--model", model, "--alpha", "keep"]) == 2
  )
  assert main(["encode", "photo.png", "red.hmc", "--alpha", "#ff0000", *words]) == 0
  assert "laid over #ff0000" in capsys.readouterr().err
  assert not bitstream.read_header(Path("red.hmc").read_bytes()).side


def test_damaged_metadata_does_not_cost_the_picture(model, capsys):
  photograph()
  words = ["--model", model, "--iterations", "1"]
  assert main(["encode", "photo.png", "--keep-metadata", *words]) == 0
  data = bytearray(Path("photo.hmc").read_bytes())
  data[60] ^= 1
  Path("photo.hmc").write_bytes(data)
  assert main(["decode", "photo.hmc", "out.png", "--model", model]) == 0
  assert "metadata is damaged" in capsys.readouterr().err
  assert pixels().shape == (33, 40, 3)


def test_adaptive_files_keep_a_size_and_tell_their_heights(model, capsys):
  rng = np.random.default_rng(5)
  image = np.full((64, 96, 3), 90, np.uint8)
  image[:, 48:] = rng.integers(0, 256, (64, 48, 3))
  Image.fromarray(image).save("photo.png")
  words = ["--model", model, "--adaptive", "--max-bytes", "420"]
  assert main(["encode", "photo.png", "a.hmc", *words]) == 0
  told = capsys.readouterr().out
  data = Path("a.hmc").read_bytes()
  assert len(data) <= 420
  heights = bitstream.unpack(data).heights
  assert heights is not None
  assert "bytes beside the picture: height map " in told
  assert main(["decode", "a.hmc", "out.png", "--model", model]) == 0
  assert pixels().shape == image.shape
  assert main(["inspect", "a.hmc", "--json"]) == 0
  facts = json.loads(capsys.readouterr().out.splitlines()[-1])
  assert facts["state"] == "complete"
  assert facts["mean_iterations"] == pytest.approx(heights.mean())
  assert sum(facts["positions_by_iterations"]) == heights.size
  sizes = facts["bytes_by_iteration"]
  assert 40 + 8 + int(facts["height_map"].split()[0]) + sum(sizes) == len(data)
  Path("cut.hmc").write_bytes(data[:-1])
  assert main(["inspect", "cut.hmc", "--json"]) == 1
  assert json.loads(capsys.readouterr().out)["missing_bytes"] == 1


def test_adaptive_goes_with_everything_but_a_number_of_iterations(model, capsys):
  words = ["encode", "photo.png", "a.hmc", "--adaptive"]
  assert main([*words, "--iterations", "2", "--model", model]) == 2
  assert "bpp, max_bytes or ms_ssim beside adaptive" in capsys.readouterr().err
  assert not os.path.exists("a.hmc")
  job = ["--images", "photo.png", "--output", "out", "--model", model, "--adaptive"]
  assert main(["encode", *job, "--iterations", "2"]) == 2
  assert "bpp, max_bytes or ms_ssim beside adaptive" in capsys.readouterr().err
  assert main(["encode", *job, "--runtime", "tensorflow"]) == 2
  assert "`hardmine models convert` adds what these need" in capsys.readouterr().err
  assert not os.path.exists("out")
