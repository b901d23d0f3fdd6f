"""`hardmine train`: a codec's training that goes on for days and stops at any time."""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hardmine.schemas.class_names import forget_modules_in, own_files
from hardmine.schemas.config import require
from hardmine.schemas.files import sha256_of
from hardmine.schemas.outputs import StagedFolder

if TYPE_CHECKING:
  from hardmine.schemas.experiment import CodecExperiment
  from hardmine.trainers.codec.training.run_folder import RunFolder

HELP = (
  "Trains an experiment's codec in a folder of its own, with idle processor time only. "
  "TERM or Ctrl-C stops it within seconds, and the same command goes on where it was, "
  "here or on another machine that the folder was copied to."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "experiment",
    metavar="EXPERIMENT",
    help="a codec's experiment by name or by path; to go on, also the run's folder",
  )
  parser.add_argument(
    "--run", metavar="DIR", help="the run's folder (default: runs/trainings/NAME)"
  )
  parser.add_argument(
    "--held-out",
    nargs="+",
    metavar="GLOB",
    help="photographs to score on, copied into the run; neither mined nor tested",
  )
  parser.add_argument(
    "--set",
    metavar="KEY=VALUE",
    action="append",
    default=[],
    help="replace a field of the experiment; of a run that has begun, only training.*",
  )
  parser.add_argument(
    "--new-code",
    action="store_true",
    help="go on with the code that is installed now, not with the run's copy",
  )
  parser.add_argument(
    "--nice", type=int, default=19, metavar="N", help="0 to 19 (default: 19, idle time)"
  )
  parser.add_argument(
    "--export",
    metavar="DIR",
    help="write the model as of its last scoring, to encode and evaluate with; train "
    "nothing",
  )
  parser.add_argument(
    "--stop", action="store_true", help="end the process that trains the run"
  )
  parser.add_argument(
    "--status", action="store_true", help="say how far it is, and train nothing"
  )


def run(args: argparse.Namespace) -> int:
  """Begins a run or goes on with it; this process becomes the training.

  Raises:
    ValueError: no codec's experiment, no photograph to score on, or settings that
      would change a run that has begun into another.
    RuntimeError: another process trains it.
  """
  require(0 <= args.nice <= 19, "0 to 19", nice=args.nice)
  folder, experiment, own = _find(args)
  if args.status or args.export or args.stop:
    require(folder.exists, "a run that has begun", run=str(folder.directory))
    if args.stop:
      return _stop(folder)
    return _export(folder, args.export) if args.export else _print_status(folder)
  if folder.exists:
    require(
      args.held_out is None,
      "--held-out only where a run begins; this one has its own",
      held_out=args.held_out,
    )
    with folder.taken():
      if args.set:
        folder.change(args.set)
      if args.new_code or not folder.code.is_dir():
        folder.copy_code(own or own_files(folder.experiment().to_json()))
  else:
    _begin(folder, experiment, args.held_out)
  print(f"training in {folder.directory}; its page is {folder.page}", flush=True)
  os.execv(sys.executable, folder.command(args.nice))


def _find(args: argparse.Namespace) -> tuple[RunFolder, Any, list[tuple[Path, str]]]:
  """What is trained, and where.

  Returns:
    The run's folder; the experiment that it begins with, None if it has begun; and
    the user's modules as they lie beside the experiment that was named.
  """
  from hardmine.trainers.codec.training.run_folder import RunFolder

  if (Path(args.experiment) / "run.json").is_file():
    require(args.run is None, "a run's folder or --run, not both", run=args.run)
    return RunFolder(args.experiment), None, []
  from hardmine.pipelines.experiments import find

  experiment = find(args.experiment)
  folder = RunFolder(args.run or Path("runs", "trainings", experiment.name))
  own = own_files(experiment.to_json())
  if not folder.exists:
    return folder, experiment.override(args.set), own
  # The run has its own copies, which need not be what lies there by now.
  if Path(args.experiment).suffix:
    forget_modules_in(Path(args.experiment).parent)
  begun = folder.experiment().name
  require(
    begun == experiment.name,
    f"a folder without a run, or the run of {experiment.name}",
    run=str(folder.directory),
    experiment=begun,
  )
  return folder, None, own


def _begin(folder: RunFolder, experiment: Any, held_out: list[str] | None) -> None:
  """Mines the patches and copies the photographs; the settings are written last.

  All that can be refused is before the mining, which takes long.
  """
  from hardmine.components.jobs.sources import list_sources
  from hardmine.schemas.experiment import CodecExperiment

  if not isinstance(experiment, CodecExperiment):
    raise ValueError(f"Expected a codec's experiment. Received: {experiment.name!r}")
  require(
    bool(held_out),
    "photographs to score on, as in --held-out 'photos/held_out/*.png'",
    held_out=held_out,
  )
  images, _ = list_sources(tuple(held_out or ()))
  mined, _ = list_sources(experiment.mining.images)
  _check_held_out([image.path for image in images], [source.path for source in mined])
  initial = _local_weights(experiment.training.initial_weights)
  if initial is not None:
    _check_weights(initial, experiment)
    # the run keeps its own copy, so the path that it came from means nothing any more
    training = dataclasses.replace(experiment.training, initial_weights=None)
    experiment = dataclasses.replace(experiment, training=training)
  with folder.taken():
    require(not folder.exists, "a run that nobody began", run=str(folder.directory))
    _mine(folder, experiment)
    _replace(folder.held_out)
    folder.held_out.mkdir()
    for number, image in enumerate(images):
      name = f"{number:03d}-{Path(image.path).name}"
      shutil.copyfile(image.path, folder.held_out / name)
    _replace(folder.initial_weights)
    if initial is not None:
      copy = shutil.copytree if Path(initial).is_dir() else shutil.copyfile
      copy(initial, folder.initial_weights)
    folder.copy_code(own_files(experiment.to_json()))
    folder.begin(experiment)


def _check_held_out(paths: list[str], mined: list[str]) -> None:
  """Every photograph can be scored on, and none is among those that are mined."""
  from hardmine.trainers.codec.training.run_folder import read_photograph

  sizes = {os.path.getsize(path) for path in paths if os.path.isfile(path)}
  alike = [path for path in mined if os.path.isfile(path)]
  alike = [path for path in alike if os.path.getsize(path) in sizes]
  contents = {sha256_of(path): path for path in alike}
  for path in paths:
    require(
      os.path.isfile(path), "held-out photographs as files on this machine", path=path
    )
    read_photograph(path)
    twin = contents.get(sha256_of(path))
    require(
      twin is None, "held-out photographs that are not mined", held_out=path, mined=twin
    )


def _local_weights(reference: str | None) -> str | None:
  """The path of weights, those of a store's version or of a shipped codec too."""
  from hardmine.pipelines.initial_weights import shipped_reference, store_reference

  if store_reference(reference) is None and shipped_reference(reference) is None:
    return reference
  from hardmine.pipelines.cli.model_ref import resolve_model

  return str(resolve_model(str(reference)))


def _check_weights(path: str, experiment: CodecExperiment) -> None:
  from hardmine.trainers.codec.network.model import build_codec
  from hardmine.trainers.codec.network.weights import load_weights

  load_weights(path, build_codec(experiment.codec))


def _replace(path: Path) -> None:
  """Removes what an earlier try to begin this run left."""
  if path.is_dir():
    shutil.rmtree(path)
  else:
    path.unlink(missing_ok=True)


def _mine(folder: RunFolder, experiment: CodecExperiment) -> None:
  from hardmine.components.patch_gen.job import run_job
  from hardmine.pipelines.beam_runners import beam_log, direct, pipeline_maker
  from hardmine.pipelines.cli.progress import progress

  with beam_log(), progress("mining", "photographs", quiet=False) as on_progress:
    manifest = run_job(
      experiment.mining,
      folder.patches,
      make_pipeline=pipeline_maker(direct(1)),
      overwrite=folder.patches.exists(),
      on_progress=on_progress,
    )
  counts = manifest["counts"]
  print(f"{counts['patches']:,} patches of {counts['used']:,} photographs", flush=True)


def _stop(folder: RunFolder) -> int:
  """Asks the training to end, and waits until it has."""
  process = folder.trainer()
  if process is None:
    print(f"{folder.directory}: nobody trains it")
    return 0
  os.kill(process, signal.SIGTERM)
  for _ in range(600):
    if folder.trainer() is None:
      print(f"{folder.directory}: stopped")
      return 0
    time.sleep(0.1)
  raise RuntimeError(f"process {process} has not ended within a minute")


def _export(folder: RunFolder, model_dir: str) -> int:
  from hardmine.trainers.codec import training_run
  from hardmine.trainers.codec.training import held_out

  with StagedFolder(model_dir, remedy="") as staging:
    scores = training_run.export(str(folder.directory), str(staging))
  area = held_out.area(scores, folder.experiment().codec.bpp_per_iteration)
  print(
    f"{model_dir}: area {area:.4f} on the held-out photographs; "
    f"{held_out.num_helpful(scores)} of {len(scores)} iterations help"
  )
  return 0


def _print_status(folder: RunFolder) -> int:
  lines = folder.logged()
  for kind in ("loss", "area"):
    last = next((line for line in reversed(lines) if kind in line), None)
    if last is not None:
      print("  ".join(f"{name} {value}" for name, value in last.items()))
  if not lines:
    print(f"{folder.directory}: nothing trained yet")
  return 0
