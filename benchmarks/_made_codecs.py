"""Exports a codec to measure, with random weights, unless one of that name ships.

    python benchmarks/_made_codecs.py NAME MODEL_DIR [--fit-to PHOTOGRAPH]

NAME is an experiment's, or `width_eighth` for a small network with random weights.
`--fit-to` fits an entropy model to the codes of a photograph for some steps, so that
there is one to be timed.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from hardmine.pipelines.cli.model_ref import shipped_models

WIDTH_EIGHTH = "width_eighth"
STEPS = 50


def codec(name: str, model_dir: str | Path, fit_to: str | None = None) -> str:
  """The folder of one: of that name that ships, else made here.

  In a process of its own, whose memory goes with it.
  """
  if shipped := shipped_models().get(name):
    return str(shipped)
  command = [sys.executable, __file__, name, str(model_dir)]
  if fit_to:
    command += ["--fit-to", fit_to]
  subprocess.run(
    command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
  )
  return str(model_dir)


def is_trained(name: str) -> bool:
  """Whether it ships."""
  return name in shipped_models()


def main() -> None:
  """Makes one here."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("name")
  parser.add_argument("model_dir")
  parser.add_argument("--fit-to")
  args = parser.parse_args()

  from hardmine.trainers.codec.exports.export import export_codec
  from hardmine.trainers.codec.network.model import build_codec

  config, iterations = _network(args.name)
  network = build_codec(config, iterations)
  export_codec(network, args.model_dir, iterations=iterations)
  if args.fit_to:
    _fit(args.model_dir, args.fit_to)


def _network(name: str):
  """Config and iterations."""
  if name != WIDTH_EIGHTH:
    experiment = importlib.import_module(f"hardmine.pipelines.experiments.{name}")
    found = experiment.experiment()
    return found.codec, found.training.iterations

  from hardmine.schemas.codec_config import USUAL_ITERATIONS, CodecConfig
  from hardmine.trainers.codec.cells.gru import ConvGRUCell

  config = CodecConfig(cell=ConvGRUCell, width=1 / 8, use_bias=True)
  return config, USUAL_ITERATIONS


def _fit(model_dir: str, path: str) -> None:
  from hardmine.schemas.entropy_config import EntropyConfig
  from hardmine.trainers.codec.entropy_fitting.fitted_export import add_entropy_model

  # the photograph itself is what it knows: its time counts, not what it saves
  config = EntropyConfig(steps=STEPS, whole_share=1.0, held_out_share=0.0)
  add_entropy_model(model_dir, [path], config)


if __name__ == "__main__":
  main()
