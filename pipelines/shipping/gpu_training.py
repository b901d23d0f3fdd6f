"""Trains a codec on one GPU in minutes, with Keras on JAX.

    KERAS_BACKEND=jax python -m hardmine.pipelines.shipping.gpu_training \\
      codec_shipped --photographs 'data/photos/*' 'data/coco/train2017/*.jpg' \\
      --held-out 'data/held_out/*' --seconds 600 --output runs/gpu \\
      --set training.learning_rate=1e-3

writes `weights.npz`, as `hardmine train` does, and `log.jsonl`. It needs JAX with CUDA
(`pip install "jax[cuda13]"`) and no TensorFlow. The network and the loss are those of
an experiment, whose rate is for small batches. What differs from `hardmine train` is
what a GPU asks for:

* all iterations are one loop of the compiled program, not 16 copies of it,
* batches are large, and made on the device of photographs that lie there,
* the rate falls along a cosine over the time that is given, however fast the machine,
* patches are small at first, for many steps, and then large, as photographs are,
* four iterations are learned at first, and the others join them one by one.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from hardmine.components.codec_evaluator import photographs
from hardmine.pipelines.experiments import find
from hardmine.pipelines.shipping.device_patches import DevicePatches, cut
from hardmine.pipelines.shipping.scanned_codec import ScannedCodec
from hardmine.schemas.codec_config import STRIDE_PX
from hardmine.schemas.config import require
from hardmine.schemas.experiment import CodecExperiment
from hardmine.schemas.outputs import StagedFolder
from hardmine.trainers.codec.network.weights import save_weights
from hardmine.trainers.codec.training import held_out

WARMUP_STEPS = 300
FIRST_ITERATIONS = 4  # learned at once; the others join them one by one
JOINING_SHARE = 0.04  # of the time, until all have
LOG_STEPS = 500
SYNC_STEPS = 20  # the device runs ahead of the clock by no more
SCORE_SECONDS = 80.0


@dataclasses.dataclass(frozen=True)
class Stage:
  """Patches a batch, pixels a side, and the share of the time from which on."""

  batch: int
  side_px: int
  begins: float = 0.0


class Steps:
  """Training steps on a device.

  Args:
    codec: whose weights are trained.
    patches: to train on.

  Attributes:
    weights: as of `ScannedCodec.weights`.
    skipped: steps whose gradient was not finite and counted as zero.
  """

  def __init__(self, codec: ScannedCodec, patches: DevicePatches):
    config = codec.training
    self._patches, self._iterations = patches, config.iterations
    self._key = jax.random.key(config.seed)
    optimizer = keras.optimizers.Adam(
      config.learning_rate,
      epsilon=config.adam_epsilon,
      global_clipnorm=config.clip_norm,
    )
    optimizer.build(codec.variables)
    rate_at = [one.path.endswith("learning_rate") for one in optimizer.variables].index(
      True
    )
    self.weights = codec.weights()
    self.skipped = jnp.zeros((), "int32")
    self._state = [jnp.array(one.value) for one in optimizer.variables]

    @functools.partial(jax.jit, static_argnames="side_px", donate_argnums=(0, 1))
    def step(
      weights: Any, state: Any, pixels: Any, drawn: Any, rate: Any, shown: Any,
      key: Any, side_px: int,
    ) -> Any:  # fmt: skip
      images = cut(pixels, drawn, side_px)
      loss, slopes = jax.value_and_grad(codec.loss)(weights, images, shown, key)
      # one batch that overflows must not end what took minutes
      finite = jnp.all(jnp.array([jnp.all(jnp.isfinite(slope)) for slope in slopes]))
      slopes = [jnp.where(finite, slope, 0.0) for slope in slopes]
      state = [*state[:rate_at], rate, *state[rate_at + 1 :]]
      weights, state = optimizer.stateless_apply(state, slopes, weights)
      return list(weights), list(state), loss, 1 - finite

    self._step = step

  def run(self, stage: Stage, rate: float, count: float) -> jax.Array:
    """One step; gives its loss.

    Args:
      stage: which patches.
      rate: Adam's.
      count: iterations that are learned, the last of them by its fraction.
    """
    self._key, key = jax.random.split(self._key)
    shown = np.clip(count - np.arange(self._iterations), 0, 1).astype(np.float32)
    drawn = self._patches.draw(stage.batch, stage.side_px)
    self.weights, self._state, loss, skipped = self._step(
      self.weights, self._state, self._patches.pixels, drawn, np.float32(rate), shown,
      key, side_px=stage.side_px,
    )  # fmt: skip
    self.skipped += skipped
    return loss


def train(
  codec: ScannedCodec,
  patches: DevicePatches,
  stages: Sequence[Stage],
  seconds: float,
  score: Callable[[Any], np.ndarray],
  report: Callable[[dict[str, Any]], None],
) -> None:
  """Trains for a time, which ends with the rate at 0.

  Args:
    codec: gets the weights.
    patches: to train on.
    stages: the first from the beginning on.
    seconds: of steps; what is compiled before they begin is not counted.
    score: of `ScannedCodec.scorer`.
    report: receives lines of the log.
  """
  steps = Steps(codec, patches)
  for stage in reversed(stages):  # compiles; at a rate of 0 nothing is learned
    steps.run(stage, 0.0, 1.0)
  score(steps.weights)
  done, number, losses = 0.0, 0, []
  began = last_score = time.monotonic()

  def told(**facts: Any) -> dict[str, Any]:
    at = round(time.monotonic() - began, 1)
    return {"step": number, "seconds": at, "skipped": int(steps.skipped), **facts}

  while done < 1:
    stage = [one for one in stages if one.begins <= done][-1]
    rate = codec.training.learning_rate * (1 + math.cos(math.pi * done)) / 2
    share = min(1.0, done / JOINING_SHARE)
    count = FIRST_ITERATIONS + share * (codec.training.iterations - FIRST_ITERATIONS)
    loss = steps.run(stage, rate * min(1.0, (number + 1) / WARMUP_STEPS), count)
    number += 1
    if number % SYNC_STEPS == 0:
      losses.append(float(loss))
    if number % LOG_STEPS == 0:
      report(
        told(learning_rate=rate, loss=float(np.mean(losses)), side_px=stage.side_px)
      )
      losses = []
    if time.monotonic() - last_score > SCORE_SECONDS:
      last_score = time.monotonic()
      report(told(**_scores(score(steps.weights))))
    done = (time.monotonic() - began) / seconds
  codec.assign(steps.weights)
  report(told(**_scores(score(steps.weights))))


def _scores(ms_ssim: np.ndarray) -> dict[str, Any]:
  return {
    "area": round(held_out.area(ms_ssim), 5),
    "ms_ssim": [round(float(one), 5) for one in ms_ssim],
  }


def main(words: Sequence[str] | None = None) -> int:
  """Trains, and writes `weights.npz` and `log.jsonl` into a new folder.

  Raises:
    ValueError: no such experiment, an unusable photograph, or an output that is there.
  """
  args = _parser().parse_args(words)
  require(
    keras.backend.backend() == "jax", "KERAS_BACKEND=jax", found=keras.backend.backend()
  )
  require(
    args.stages[0].begins == 0,
    "a first stage from share 0",
    begins=args.stages[0].begins,
  )
  experiment = find(args.experiment).override(args.set)
  if not isinstance(experiment, CodecExperiment):
    raise ValueError(f"Expected a codec's experiment. Received: {args.experiment!r}")
  with StagedFolder(args.output, remedy="") as staging:
    log = staging / "log.jsonl"

    def report(line: dict[str, Any]) -> None:
      print(json.dumps(line), flush=True)
      with log.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")

    codec = ScannedCodec(experiment)
    scored = [image for _, image in photographs.load(photographs.find(args.held_out))]
    found = photographs.find(args.photographs)
    patches = DevicePatches(
      [image for _, image in photographs.load(found)],
      max(stage.side_px for stage in args.stages),
      experiment.training.seed,
    )
    report(
      {
        "device": str(jax.devices()[0]),
        "photographs": len(found),
        "pictures": patches.num_pictures,
        "stages": [dataclasses.asdict(stage) for stage in args.stages],
      }
    )
    train(codec, patches, args.stages, args.seconds, codec.scorer(scored), report)
    save_weights(staging / "weights.npz", codec.codec, "float32")
  print(f"{args.output}/weights.npz")
  return 0


def _parser() -> argparse.ArgumentParser:
  parser = argparse.ArgumentParser(
    prog="python -m hardmine.pipelines.shipping.gpu_training",
    description="Trains a codec on one GPU in minutes, with Keras on JAX.",
  )
  parser.add_argument("experiment", metavar="NAME", help="of an experiment")
  parser.add_argument("--photographs", nargs="+", required=True, help="to train on")
  parser.add_argument("--held-out", nargs="+", required=True, help="to score on")
  parser.add_argument("--seconds", type=float, required=True, help="of steps")
  parser.add_argument("--output", required=True, help="a new folder")
  parser.add_argument(
    "--set",
    action="append",
    default=[],
    metavar="KEY=VALUE",
    help="replace a setting, as training.learning_rate=1e-3",
  )
  parser.add_argument(
    "--stages",
    nargs="+",
    type=_stage,
    default=[Stage(32, 64), Stage(16, 128, 0.45)],
    metavar="BATCHxSIDE@SHARE",
    help="patches a batch, their side, and from which share of the time; default: "
    "32x64@0 16x128@0.45",
  )
  return parser


def _stage(word: str) -> Stage:
  size, _, begins = word.partition("@")
  batch, _, side = size.partition("x")
  try:
    stage = Stage(int(batch), int(side), float(begins or 0))
  except ValueError:
    stage = None
  if stage is None or stage.side_px % STRIDE_PX or min(stage.batch, stage.side_px) < 1:
    raise argparse.ArgumentTypeError(
      f"Expected BATCHxSIDE@SHARE with a side that {STRIDE_PX} divides. Received: "
      f"{word!r}"
    )
  return stage


if __name__ == "__main__":
  sys.exit(main())
