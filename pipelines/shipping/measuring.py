"""Measures a model that ships, and writes its figures and its card.

    python -m hardmine.pipelines.shipping.measuring codec_small \\
      --test 'kodak/*.png' --test-name "Kodak's"

needs no TensorFlow, and leaves the model itself as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hardmine.pipelines.cli.model_ref import resolve_model
from hardmine.pipelines.shipping.card import CARD, render_card
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically
from hardmine.serving.store.contents import DOCUMENTS


def main(words: Sequence[str] | None = None) -> int:
  """Measures a folder that `making` made.

  Raises:
    ValueError: no such model, or no photograph.
  """
  parser = argparse.ArgumentParser(
    prog="python -m hardmine.pipelines.shipping.measuring",
    description="Measures a codec that ships with the package again.",
  )
  parser.add_argument("model", metavar="NAME", help="of a shipped model, or its folder")
  add_test_arguments(parser)
  args = parser.parse_args(words)
  measure(resolve_model(args.model), args.test, args.test_name)
  return 0


def add_test_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds `--test` and `--test-name`."""
  parser.add_argument(
    "--test",
    required=True,
    nargs="+",
    help="photographs to measure on, which nothing else has seen",
  )
  parser.add_argument("--test-name", default="", help="of these, in words")


def measure(model_dir: Path, test: Sequence[str], test_name: str) -> None:
  """Writes metrics, verdict and card beside a model.

  Args:
    model_dir: an export with its experiment and lineage.
    test: patterns of photographs.
    test_name: what they are, in words.

  Raises:
    ValueError: no photograph, or the model does not work.
  """
  from hardmine.components.codec_evaluator import photographs
  from hardmine.components.codec_evaluator.evaluate import evaluate
  from hardmine.schemas.experiment import CodecExperiment
  from hardmine.trainers.codec.codec import Codec

  text = (model_dir / DOCUMENTS["experiment"]).read_text("utf-8")
  config = CodecExperiment.from_json(text).evaluation
  evaluation = evaluate(
    lambda: Codec.load(model_dir),
    photographs.load(photographs.find(test)),
    iterations=config.iterations,
    gates=config.gates,
    report=lambda line: print(line, file=sys.stderr, flush=True),
  )
  require(not evaluation.problems, "a model that works", problems=evaluation.problems)
  verdict = evaluation.verdict
  assert verdict is not None  # there are gates
  write_document(model_dir, "metrics", evaluation.metrics())
  write_document(model_dir, "verdict", json.loads(verdict.to_json()))
  lineage = json.loads((model_dir / DOCUMENTS["lineage"]).read_text("utf-8"))
  told = test_name or ", ".join(Path(one).name for one in test)
  write_document(model_dir, "lineage", {**lineage, "test": told})
  write_atomically(model_dir / CARD, render_card(model_dir))


def write_document(model_dir: Path, name: str, content: dict[str, Any]) -> None:
  """Beside the facts, under the name by which a model store keeps it."""
  text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
  write_atomically(model_dir / DOCUMENTS[name], text + "\n")


if __name__ == "__main__":
  sys.exit(main())
