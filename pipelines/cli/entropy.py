"""`hardmine entropy`: what makes the files of a codec smaller still."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from hardmine.pipelines.cli.model_ref import resolve_model
from hardmine.schemas.config import require
from hardmine.schemas.entropy_config import EntropyConfig

HELP = (
  "Fits an entropy model to a codec: a small network that foretells its bits, by which "
  "files become up to a third smaller, at the same picture. It is fitted to the "
  "bits of photographs, which this command makes first; a few hundred take an hour of "
  "two cores. The model itself stays as it is: the outcome is a new folder."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "model",
    metavar="MODEL",
    help="an exported codec's folder, STORE:ALIAS, or the name of a shipped one",
  )
  parser.add_argument(
    "--images",
    nargs="+",
    required=True,
    metavar="GLOB",
    help="photographs to fit to, as the codec was trained on; not those to test with",
  )
  parser.add_argument(
    "--output", required=True, metavar="DIR", help="a new folder for the outcome"
  )
  parser.add_argument(
    "--set",
    metavar="KEY=VALUE",
    action="append",
    default=[],
    help="replace a setting, as steps=500 (`hardmine.schemas.entropy_config`)",
  )
  parser.add_argument(
    "--json", action="store_true", help="print the outcome as a JSON object"
  )


def run(args: argparse.Namespace) -> int:
  """Fits, and says what is saved.

  Raises:
    ValueError: no such model, no photograph, or an output that is there.
  """
  from hardmine.components.jobs.sources import list_sources
  from hardmine.schemas.outputs import StagedFolder

  config = EntropyConfig().override(args.set)
  require(not config.images, "photographs by --images", images=config.images)
  model_dir = resolve_model(args.model)
  staged = StagedFolder(args.output, remedy="")
  sources, _ = list_sources(tuple(args.images))
  paths = [source.path for source in sources if not source.is_directory]
  with staged as staging:
    from hardmine.trainers.codec.entropy_fitting.fitted_export import add_entropy_model

    shutil.copytree(model_dir, staging, dirs_exist_ok=True)
    fitted = add_entropy_model(staging, paths, config, _say)
  facts = {
    "model": args.model,
    "model_dir": args.output,
    "entropy_id": fitted.model.entropy_id.hex(),
    "bits_per_bit": [round(cost, 4) for cost in fitted.costs],
  }
  if args.json:
    print(json.dumps(facts))
    return 0
  saved = [f"{1 - cost:.0%}" for cost in fitted.costs]
  print(f"{args.output}: {args.model} with entropy model {facts['entropy_id']}")
  print(f"saved of iteration 1, 2, ...: {', '.join(saved)}")
  print(f"encode with it by --model {Path(args.output)}")
  return 0


def _say(line: str) -> None:
  print(f"hardmine: {line}", file=sys.stderr, flush=True)
