"""The model store: a promotion beside a plain copy, and a list of 1,000 versions.

    python benchmarks/model_store.py [--mb 150]

Both write the same bytes to the same disk. The copy is `cp -r` and a `sync` of what it
wrote; the store also hashes the model before and after, keeps a manifest, and appends
to its log.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

REPETITIONS = 3
NUM_VERSIONS = 1000


def main() -> None:
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--mb", type=int, default=150, help="megabytes of weights")
  parser.add_argument("--dir", help="a folder of the disk to measure")
  args = parser.parse_args()
  with tempfile.TemporaryDirectory(dir=args.dir) as folder:
    measure(Path(folder), args.mb)


def measure(folder: Path, num_mb: int) -> None:
  from hardmine.serving.store.entries import Reason
  from hardmine.serving.store.signing import sign, verify_signature
  from hardmine.serving.store.store import ModelStore

  store, reason = ModelStore(folder / "store"), Reason(who="benchmark")
  copied, added, moved = [], [], []
  for turn in range(REPETITIONS):
    model = write_model(folder / f"model-{turn}", num_mb)
    os.sync()
    copied.append(seconds(lambda m=model, t=turn: copy(m, folder / f"copy-{t}")))
    os.sync()
    added.append(seconds(lambda m=model: add(store, m, reason)))
    number = store.versions()[-1]
    moved.append(seconds(lambda n=number: store.move("live", n, reason=reason)))
    shutil.rmtree(folder / f"copy-{turn}")
    shutil.rmtree(model)
  print(f"a model of {num_mb} MB, median of {REPETITIONS}:")
  print(f"  plain copy, synced         {statistics.median(copied):7.3f} s")
  print(f"  added to the store         {statistics.median(added):7.3f} s")
  print(f"  alias moved                {statistics.median(moved):7.3f} s")
  print(f"  verified                   {seconds(lambda: store.verify(1)):7.3f} s")
  private, public = write_keys(folder)
  signed = seconds(lambda: sign(store, 1, private, reason=reason))
  print(f"  verified and signed        {signed:7.3f} s")
  held = seconds(lambda: verify_signature(store, 1, [public]))
  print(f"  signature held against it  {held:7.3f} s")
  fill(store)
  code = "from hardmine.pipelines.cli.main import run; run()"
  command = [sys.executable, "-c", code, "models", "list", "--store", store.url]
  listed = [
    seconds(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL))
    for _ in range(REPETITIONS)
  ]
  print(
    f"`hardmine models list` of {len(store.versions())} versions, a process of its own:"
  )
  print(f"                             {statistics.median(listed):7.3f} s")


def write_model(folder: Path, num_mb: int) -> Path:
  (folder / "variables").mkdir(parents=True)
  (folder / "saved_model.pb").write_bytes(os.urandom(1 << 20))
  with open(folder / "variables" / "variables.data-00000-of-00001", "wb") as file:
    for _ in range(num_mb):
      file.write(os.urandom(1_000_000))
  return folder


def write_keys(folder: Path) -> tuple[Path, Path]:
  private, public = folder / "key.pem", folder / "key.pub"
  for words in (
    ["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(private)],
    ["ec", "-in", str(private), "-pubout", "-out", str(public)],
  ):
    subprocess.run(["openssl", *words], check=True, capture_output=True)
  return private, public


def copy(source: Path, target: Path) -> None:
  subprocess.run(["cp", "-r", str(source), str(target)], check=True)
  paths = [str(path) for path in target.rglob("*") if path.is_file()]
  subprocess.run(["sync", *paths], check=True)


def add(store, model: Path, reason) -> None:
  store.add(
    model,
    kind="codec",
    model_id="0" * 16,
    experiment={"name": "benchmark"},
    metrics={"ms_ssim_auc": 1.5},
    verdict={"passed": True, "results": []},
    lineage={},
    reason=reason,
  )


def fill(store) -> None:
  """Versions that are hard links, up to `NUM_VERSIONS`."""
  first = store.local_dir(1)
  for number in range(len(store.versions()) + 1, NUM_VERSIONS + 1):
    shutil.copytree(first, first.with_name(str(number)), copy_function=os.link)


def seconds(work: Callable[[], object]) -> float:
  started = time.perf_counter()
  work()
  return time.perf_counter() - started


if __name__ == "__main__":
  main()
