"""What a node that is a process of its own costs beyond its work and its imports.

    python benchmarks/node_overhead.py [REPETITIONS]

Against a process that imports the same and ends, in turns; the least of each counts.
The nodes have ended before or reuse what an earlier run left, so they have no work.
Prints seconds a node, and what of them is TFX's.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.e2e.tiny_codec import tiny_experiment

# All that a node needs before it looks at its graph.
IMPORTS = """
import keras
from tfx import v1
from hardmine.components.codec_evaluator import component
from hardmine.components import infra_check, pusher, rival, data_check
from hardmine.components.patch_gen import component
from hardmine.pipelines.orchestrators import launching
from hardmine.trainers.codec.cells import lstm
"""
NODES = ("PatchGen", "Trainer", "Pusher")


def seconds(command: list[str]) -> float:
  """Of a whole process."""
  start = time.perf_counter()
  subprocess.run(command, check=True, capture_output=True)
  return time.perf_counter() - start


def main() -> None:
  """Prints the table."""
  repetitions = int(sys.argv[1]) if len(sys.argv) > 1 else 3
  hardmine = [str(Path(sys.executable).with_name("hardmine"))]
  with tempfile.TemporaryDirectory() as home:
    experiment = Path(home, "tiny.json")
    experiment.write_text(tiny_experiment(Path(home)).to_json())
    run = [*hardmine, "run", str(experiment), "--root", str(Path(home, "root"))]
    seconds(run)
    # The order of the graph, so that every node finds those before it.
    from hardmine.pipelines.codec import NODES as ALL

    least = {"imports": float("inf")}
    for number in range(repetitions):
      imports = seconds([sys.executable, "-c", IMPORTS])
      least["imports"] = min(least["imports"], imports)
      for node in ALL:
        if number and node not in NODES:
          continue  # has ended in the only run there is
        words = ["--node", node, "--run-id", "again"]
        spent = seconds([*run, *words])
        name = f"{node}, {'ended before' if number else 'reused'}"
        least[name] = min(least.get(name, spent), spent)
  imports = least.pop("imports")
  print(f"{'imports alone':34} {imports:6.2f} s")
  for name, spent in least.items():
    print(f"{name:34} {spent:6.2f} s   overhead {spent - imports:5.2f} s")


if __name__ == "__main__":
  main()
