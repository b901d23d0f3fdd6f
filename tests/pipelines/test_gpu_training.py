"""Training on JAX alone, in one process of its own on the CPU."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hardmine.pipelines.experiments import find
from hardmine.trainers.codec.network.model import build_codec
from hardmine.trainers.codec.network.weights import load_weights
from tests.trainers.on_jax import run_on_jax

PAGE = Path(__file__).parents[2] / "docs" / "train_a_codec.md"
ITERATIONS = 3
PROGRAM = """
import json, pathlib, sys
import jax, numpy as np
from hardmine.pipelines.experiments import find
from hardmine.pipelines.shipping.device_patches import DevicePatches, cut
from hardmine.pipelines.shipping.gpu_training import main
from hardmine.pipelines.shipping.scanned_codec import ScannedCodec

folder, *words = sys.argv[1:]
folder = pathlib.Path(folder)
codec = ScannedCodec(find(str(folder / "tiny.json")))
codec.codec.iterations = 3
images = np.random.RandomState(0).uniform(-0.5, 0.5, (2, 32, 48, 3)).astype("float32")
with codec.codec.exact_products():
  looped = codec.estimates(codec.weights(), images, None)
  apart = float(np.abs(looped - codec.codec(images)).max())

# every pixel says where it is, and of which picture
rows, columns = np.mgrid[:96, :128].astype("uint8")
photographs = [np.stack([rows, columns, 0 * rows + n], -1) for n in range(2)]
patches = DevicePatches(photographs, 64)
drawn = patches.draw(40, 32)
found = np.asarray(np.rint((cut(patches.pixels, drawn, 32) + 0.5) * 255), int)
edges = found[:, [0, 0, -1, -1], [0, -1, 0, -1]].tolist()

main(words)
print(json.dumps({"apart": apart, "edges": edges, "turns": drawn[2].tolist(),
                  "pictures": patches.num_pictures}))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp("gpu_training")
  shipped = find("codec_shipped")
  tiny = dataclasses.replace(
    shipped,
    codec=dataclasses.replace(
      shipped.codec, width=1 / 16, deep_width=None, clock=ITERATIONS
    ),
    training=dataclasses.replace(shipped.training, iterations=ITERATIONS),
    evaluation=dataclasses.replace(shipped.evaluation, iterations=ITERATIONS),
  )
  (folder / "tiny.json").write_text(tiny.to_json(), "utf-8")
  noise = np.random.default_rng(0).integers(0, 256, (96, 112, 3), np.uint8)
  for name in ("photos", "held_out"):
    (folder / name).mkdir()
    Image.fromarray(noise).save(folder / name / "noise.png")
    Image.fromarray(noise[:70]).save(folder / name / "low.png")
  return folder


def words_of_the_page():
  """Its command, for a short while and with small patches."""
  (line,) = re.findall(r"gpu_training (codec_shipped .*)", PAGE.read_text("utf-8"))
  words = shlex.split(line)
  words[0] = "tiny.json"
  words[words.index("--seconds") + 1] = "3"
  return [*words, "--stages", "4x32", "2x64@0.5"]


@pytest.fixture(scope="module")
def said(folder):
  pytest.importorskip("jax")
  before = Path.cwd()
  os.chdir(folder)
  try:
    printed = run_on_jax("-c", PROGRAM, str(folder), *words_of_the_page())
  finally:
    os.chdir(before)
  return json.loads(printed.splitlines()[-1])


@pytest.mark.slow
def test_the_loop_of_iterations_is_the_models_own_call(said):
  assert said["apart"] < 1e-5


@pytest.mark.slow
def test_patches_are_of_one_picture_and_turned_as_drawn(said):
  assert said["pictures"] == 2  # halved they are too low
  assert {corner[2] for patch in said["edges"] for corner in patch} == {0, 1}
  for patch, turn in zip(said["edges"], said["turns"]):
    top_left, top_right, bottom_left, _ = np.array(patch)[:, :2]
    assert len({corner[2] for corner in patch}) == 1
    across, down = top_right - top_left, bottom_left - top_left
    if turn & 4:
      across, down = down, across
    assert tuple(across) == (0, -31 if turn & 2 else 31)
    assert tuple(down) == (-31 if turn & 1 else 31, 0)


@pytest.mark.slow
def test_what_it_writes_is_what_hardmine_train_writes(folder, said):
  experiment = find(str(folder / "tiny.json"))
  codec = build_codec(experiment.codec, ITERATIONS)
  before = [np.array(weight) for weight in codec.trainable_weights]
  load_weights(folder / "gpu" / "weights.npz", codec)
  after = [np.asarray(weight) for weight in codec.trainable_weights]
  assert all(np.isfinite(weight).all() for weight in after)
  assert any(np.abs(a - b).max() > 1e-3 for a, b in zip(after, before))
  lines = [
    json.loads(line) for line in (folder / "gpu" / "log.jsonl").read_text().splitlines()
  ]
  assert lines[0]["photographs"] == 2
  assert lines[-1]["step"] > 0
  assert lines[-1]["skipped"] == 0
  assert 0 < lines[-1]["area"] < 2
