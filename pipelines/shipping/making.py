"""Makes the folder of a codec that ships with the package, in one command.

    python -m hardmine.pipelines.shipping.making codec_small \\
      --weights runs/trainings/codec_small/weights.npz --entropy entropy.npz \\
      --log runs/trainings/codec_small/log.jsonl \\
      --held-out 'held_out/*' --test 'kodak/*.png' --test-name "Kodak's" \\
      --data 'Seven large photographs ...' --trained '6,000 steps ...'

writes, into `trainers/codec/pretrained/codec_small`,

    saved_model.pb  variables/  assets.extra/light/   as every export
    assets.extra/codec.json          facts, and which iterations help on held-out ones
    assets.extra/entropy.npz         the entropy model
    assets.extra/experiment.json     what was trained
    assets.extra/metrics.json        what was measured on the test pictures
    assets.extra/verdict.json        by the experiment's gates
    assets.extra/lineage.json        data and training in words
    assets.extra/training_log.jsonl  of `hardmine train`
    MODEL_CARD.md                    all of that for people

Weights are rounded to float16. A folder that is there is to be removed first. Files
that were encoded by the model in it are then decoded by nobody, unless it is kept
elsewhere: what was released once keeps its name, and a better one gets another.
`measuring` measures a folder again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hardmine.pipelines.cli.model_ref import SHIPPED_DIR
from hardmine.pipelines.shipping.measuring import (
  add_test_arguments,
  measure,
  write_document,
)
from hardmine.schemas.exported_model import EXTRA
from hardmine.schemas.outputs import StagedFolder

if TYPE_CHECKING:
  from hardmine.schemas.experiment import CodecExperiment

LOG = f"{EXTRA}/training_log.jsonl"


def main(words: Sequence[str] | None = None) -> int:
  """Makes a folder, and says what is in it.

  Raises:
    ValueError: no such experiment, weights of another network, no photograph, or an
      output that is there.
  """
  args = _parser().parse_args(words)
  output = Path(args.output or SHIPPED_DIR / args.experiment)
  with StagedFolder(output, remedy="") as staging:
    make(staging, args)
  size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
  print(f"{output}: {size / 1e6:.1f} MB")
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m hardmine.pipelines.shipping.making",
    description="Makes the folder of a codec that ships with the package.",
  )
  parser.add_argument("experiment", metavar="NAME", help="of an experiment that ships")
  for name, text in (
    ("weights", "weights.npz of `hardmine train`, or an exported codec"),
    ("data", "which photographs it was trained on and under which licences"),
    ("trained", "how long, on what, and by which steps, in words"),
  ):
    parser.add_argument(f"--{name}", required=True, help=text)
  parser.add_argument(
    "--held-out",
    required=True,
    nargs="+",
    help="photographs that say which iterations help",
  )
  add_test_arguments(parser)
  parser.add_argument("--entropy", help="the entropy.npz of `hardmine entropy`")
  parser.add_argument("--log", help="the log.jsonl of the training")
  parser.add_argument("--output", help="default: where shipped models lie")
  return parser


def make(model_dir: Path, args: argparse.Namespace) -> None:
  """Writes all files of a model into an empty folder."""
  from hardmine.components.codec_evaluator import photographs
  from hardmine.pipelines.experiments import find
  from hardmine.schemas.experiment import CodecExperiment

  experiment = find(args.experiment)
  if not isinstance(experiment, CodecExperiment):
    raise ValueError(f"Expected a codec's experiment. Received: {args.experiment!r}")
  held_out = [image for _, image in photographs.load(photographs.find(args.held_out))]
  lineage = {
    "data": args.data,
    "trained": args.trained,
    "log": LOG if args.log else None,
    "num_weights": _export(model_dir, experiment, args, held_out),
  }
  write_document(model_dir, "experiment", json.loads(experiment.to_json()))
  write_document(model_dir, "lineage", lineage)
  measure(model_dir, args.test, args.test_name)


def _export(
  model_dir: Path,
  experiment: CodecExperiment,
  args: argparse.Namespace,
  images: Sequence[Any],
) -> int:
  """Writes the model itself; gives the number of its weights."""
  from hardmine.trainers.codec.entropy.context_model import (
    ContextModel,
    entropy_model_path,
  )
  from hardmine.trainers.codec.exports.export import export_codec, reconstructor
  from hardmine.trainers.codec.network.model import build_codec
  from hardmine.trainers.codec.network.weights import load_weights
  from hardmine.trainers.codec.training import held_out

  codec = build_codec(experiment.codec, experiment.training.iterations)
  load_weights(args.weights, codec)
  for weight in codec.trainable_weights:
    weight.assign(np.asarray(weight).astype("float16").astype("float32"))
  scores = held_out.ms_ssim_by_iteration(reconstructor(codec), images)
  export_codec(
    codec,
    model_dir,
    training=experiment.training.to_json(),
    **held_out.facts(scores),
  )
  if args.entropy:
    ContextModel.load(args.entropy).save(entropy_model_path(model_dir))
  if args.log:
    shutil.copyfile(args.log, model_dir / LOG)
  return sum(int(np.prod(weight.shape)) for weight in codec.trainable_weights)


if __name__ == "__main__":
  sys.exit(main())
