"""Trials of a codec's recipe, a few minutes each, and the table of what they reached.

Every trial is a training run (`hardmine train`) with some settings changed, on the
patches and held-out photographs of one run that exists. It is stopped by TERM when it
has used its share of processor time.

    python docs/codec_trials.py runs/trials --from runs/trainings/codec_shipped
    python docs/codec_trials.py runs/trials      # only the table of what is there
"""

import argparse
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np

from hardmine.schemas.class_names import own_files
from hardmine.trainers.codec.training.run_folder import RunFolder

BASE = {
  "codec.width": 0.25,
  "training.iterations": 16,
  "training.batch_size": 4,
  "training.learning_rate": 1e-3,
  "training.warmup_steps": 200,
  "training.ema_decay": 0.99,
  "training.score_steps": 250,
  "training.summary_steps": 50,
}
# Each differs from the first in what it names.
TRIALS = {
  "recipe": {},
  "no sent gain": {"codec.sent_gain": False},
  "no clock": {"codec.clock": 0},
  "no logarithm": {"training.log_loss": False},
  "no MS-SSIM": {"training.ms_ssim_weight": 0.0},
  "LSTM": {"codec.cell": "trainers.codec.cells.lstm:ConvLSTMCell"},
  "width 0.5": {"codec.width": 0.5},
  "deep layers 0.5": {"codec.deep_width": 0.5},
  "rate 2e-3": {"training.learning_rate": 2e-3},
  "batch 8": {"training.batch_size": 8},
}
STEPS = (250, 500)  # at which trials are compared


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("trials", type=Path, help="a folder of training runs")
  parser.add_argument(
    "--from", dest="source", type=Path, help="run them all on its data"
  )
  parser.add_argument(
    "--seconds", type=float, default=600, help="processor time of each"
  )
  parser.add_argument("--only", nargs="+", choices=TRIALS, help="run these")
  args = parser.parse_args()
  if args.source:
    for name in args.only or TRIALS:
      folder = begin(args.trials / name, RunFolder(args.source), TRIALS[name])
      train(folder, args.seconds)
  print(table([RunFolder(path.parent) for path in args.trials.glob("*/run.json")]))


def begin(directory, source, changes):
  """A run on the data of another, with the code that is installed now."""
  folder = RunFolder(directory)
  directory.mkdir(parents=True)
  shutil.copytree(source.patches, folder.patches)
  shutil.copytree(source.held_out, folder.held_out)
  settings = [f"{key}={_json(value)}" for key, value in (BASE | changes).items()]
  folder.begin(source.experiment().override(settings))
  folder.copy_code(own_files(folder.experiment().to_json()))
  return folder


def _json(value):
  return str(value).lower() if isinstance(value, bool) else str(value)


def train(folder, seconds):
  """Trains until a process has used so many seconds of processor time."""
  process = subprocess.Popen(folder.command(nice=0), stdout=subprocess.DEVNULL)
  while process.poll() is None and cpu_seconds(folder.logged()) < seconds:
    time.sleep(1)
  if process.poll() is None:
    os.kill(process.pid, signal.SIGTERM)
  process.wait()


def cpu_seconds(lines):
  """Processor time of the steps that a log tells of; scoring is not counted."""
  total, last = 0.0, 0
  for line in lines:
    if "loss" in line:
      total += line["cpu_seconds_per_step"] * (line["step"] - last)
      last = line["step"]
  return total


def areas_over_time(lines):
  """Processor seconds and area of every scoring."""
  scored = [number for number, line in enumerate(lines) if "area" in line]
  seconds = [cpu_seconds(lines[: number + 1]) for number in scored]
  return seconds, [lines[number]["area"] for number in scored]


def table(folders):
  """Markdown, a line a run, the best after equal time first.

  Equal time is what the shortest of them had; between scorings areas are interpolated.
  """
  logs = {folder.directory.name: folder.logged() for folder in folders}
  logs = {
    name: lines for name, lines in logs.items() if any("area" in x for x in lines)
  }
  curves = {name: areas_over_time(lines) for name, lines in logs.items()}
  limit = min((seconds[-1] for seconds, _ in curves.values()), default=0)
  rows = []
  for name, lines in logs.items():
    scored = [line for line in lines if "area" in line]
    last, seconds = scored[-1], curves[name][0][-1]
    num_steps = max(line["step"] for line in lines if "loss" in line)
    areas = {line["step"]: f"{line['area']:.3f}" for line in scored}
    equal = float(np.interp(limit, *curves[name]))
    cells = [
      name,
      f"{cpu_seconds(lines) / num_steps:.2f}",
      *(areas.get(step, "") for step in STEPS),
      f"{equal:.3f}",
      f"{last['area']:.4f} ({last['step']:,} steps, {seconds:.0f} s)",
      " ".join(f"{last['ms_ssim'][t - 1]:.3f}" for t in (1, 4, 8, 16)),
    ]
    rows.append((equal, f"| {' | '.join(cells)} |"))
  columns = [
    "trial",
    "processor s a step",
    *(f"area at {step} steps" for step in STEPS),
    f"area at {limit:.0f} processor s",
    "area at the last scoring",
    "MS-SSIM after 1, 4, 8, 16",
  ]
  head = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
  return "\n".join([*head, *(row for _, row in sorted(rows, reverse=True))])


if __name__ == "__main__":
  main()
