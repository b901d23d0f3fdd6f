"""`hardmine demo`: the whole codec story on photographs that are already here."""

from __future__ import annotations

import argparse
import io
import json
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hardmine.pipelines.cli.tables import print_table

if TYPE_CHECKING:
  import numpy as np

  from hardmine.pipelines.outcome import Outcome
  from hardmine.pipelines.runs import Run

HELP = (
  "Mines patches of photographs that ship with scikit-image, trains the small codec "
  "that ships with hardmine on them, measures it beside JPEG and WebP, pushes it, and "
  "compresses a photograph it never saw. No network is needed. A second demo reuses "
  "what is there."
)
PHOTOGRAPH = "coffee.png"  # one of the experiment's test photographs


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the command's arguments."""
  parser.add_argument(
    "--workdir",
    metavar="DIR",
    default=os.path.join("runs", "demo"),
    help="where everything goes (default: %(default)s)",
  )
  parser.add_argument(
    "--set",
    metavar="KEY=VALUE",
    action="append",
    default=[],
    help="replace a field of the experiment codec_demo, as in training.steps=100",
  )
  parser.add_argument("--verbose", action="store_true", help="show TFX's own log too")


def run(args: argparse.Namespace) -> int:
  """Runs the pipeline, then the codec that it pushed."""
  from hardmine.pipelines.experiments.codec_demo import experiment, photograph
  from hardmine.pipelines.outcome import outcome_lines
  from hardmine.pipelines.running import run_experiment
  from hardmine.pipelines.site import Site

  workdir = os.path.abspath(args.workdir)
  started = time.monotonic()
  settings = experiment().override(args.set)
  done, outcome = run_experiment(settings, Site(root=workdir), verbose=args.verbose)
  rows = _pipeline_rows(done, outcome)
  if outcome.pushed_dir:
    rows += _compress(
      outcome.pushed_dir,
      Path(photograph(PHOTOGRAPH)),
      Path(workdir),
      settings.training.iterations,
    )
  rows.append(("all", time.monotonic() - started, ""))
  _print_table(rows)
  for line in outcome_lines(done, outcome):
    print(line)
  areas = _areas(outcome)
  if areas["ours"] and areas["ours"] < (areas.get("jpeg_420") or 0):
    print(
      "JPEG is better than so small a model by this area; `hardmine encode` takes the "
      "larger one that ships, too."
    )
  return 0 if outcome.pushed_dir else 3  # a gate said no


Row = tuple[str, float, str]  # stage, seconds, result


def _pipeline_rows(done: Run, outcome: Outcome) -> list[Row]:
  """The pipeline's part of the table, several nodes to a stage."""
  areas = _areas(outcome)
  stages = {
    "mine": (("PatchGen",), _mined(done)),
    "validate": (
      ("StatisticsGen", "ImportSchemaGen", "ExampleValidator", "DataCheck"),
      "no anomalies",
    ),
    "train": (("Trainer",), ""),
    "check": (("InfraCheck",), "loads and answers in a process of its own"),
    "evaluate": (
      ("Rival", "CodecEvaluator"),
      "area under MS-SSIM: "
      + ", ".join(f"{key} {area:.4f}" for key, area in areas.items() if area),
    ),
    "push": (("Pusher",), outcome.pushed_dir or "not pushed"),
  }
  rows = []
  for stage, (names, result) in stages.items():
    nodes = [node for node in map(done.node, names) if node is not None]
    reused = all(node.status == "reused" for node in nodes if node.node != "Rival")
    said = [result] if result else []
    rows.append(
      (
        stage,
        sum(node.seconds for node in nodes),
        ", ".join(said + ["reused"] * reused),
      )
    )
  return rows


def _areas(outcome: Outcome) -> dict[str, float | None]:
  """Under the MS-SSIM curves, of the model and of what it was measured beside."""
  metrics = outcome.metrics or {}
  areas = {"ours": metrics.get("ms_ssim_auc")}
  for key, conventional in metrics.get("baselines", {}).items():
    areas[key] = conventional["ms_ssim_auc"]
  return areas


def _mined(done: Run) -> str:
  patch_gen = done.node("PatchGen")
  assert patch_gen is not None
  (uri,) = patch_gen.outputs["examples"]
  counts = json.loads(Path(uri, "manifest.json").read_text("utf-8"))["counts"]
  return f"{counts['patches']} patches of {counts['used']} photographs"


def _compress(
  model_dir: str, photograph: Path, workdir: Path, iterations: int
) -> list[Row]:
  """Codes a photograph into a file and back, and sets it beside JPEG."""
  from hardmine.pipelines.cli.images import read_image
  from hardmine.schemas.files import write_atomically
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.metrics.ms_ssim import ms_ssim

  image = read_image(photograph)
  height_px, width_px, _ = image.shape
  stream_path = workdir / f"{photograph.stem}.hmc"
  codec = Codec.load(model_dir)

  def described(num_bytes: int, decoded: np.ndarray) -> str:
    bpp = 8 * num_bytes / (height_px * width_px)
    return f"{num_bytes:,} bytes, {bpp:.3f} bpp, MS-SSIM {ms_ssim(image, decoded):.4f}"

  started = time.monotonic()
  write_atomically(stream_path, codec.compress(image, iterations=iterations))
  encoded = time.monotonic()
  decoded = codec.decompress(stream_path.read_bytes())
  ended = time.monotonic()
  num_bytes = stream_path.stat().st_size
  quality, jpeg_bytes, jpeg = _jpeg_near(image, num_bytes)
  picture_path = workdir / f"{photograph.stem}-compared.png"
  ours, theirs = described(num_bytes, decoded), described(jpeg_bytes, jpeg)
  _write_comparison(
    picture_path,
    {
      f"{photograph.name}, {photograph.stat().st_size:,} bytes": image,
      f"hardmine, {ours}": decoded,
      f"JPEG quality {quality}, {theirs}": jpeg,
    },
  )
  return [
    ("compress", encoded - started, f"{stream_path}: {num_bytes:,} bytes"),
    ("decompress", ended - encoded, ours),
    ("JPEG beside", 0.0, f"{theirs} (4:2:0, quality {quality})"),
    ("picture", 0.0, str(picture_path)),
  ]


def _jpeg_near(image: np.ndarray, num_bytes: int) -> tuple[int, int, np.ndarray]:
  """(quality, bytes, pixels) of the 4:2:0 JPEG whose file size comes nearest."""
  import numpy as np
  from PIL import Image

  files = {}
  for quality in range(1, 96):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2)
    files[quality] = file.getvalue()
  best = min(files, key=lambda quality: abs(len(files[quality]) - num_bytes))
  decoded = np.asarray(Image.open(io.BytesIO(files[best])).convert("RGB"))
  return best, len(files[best]), decoded


def _write_comparison(path: Path, panels: dict[str, np.ndarray]) -> None:
  """Images of equal size side by side, each under its caption."""
  from PIL import Image, ImageDraw

  from hardmine.schemas.files import write_atomically

  margin_px, caption_px = 8, 24
  images = [Image.fromarray(pixels) for pixels in panels.values()]
  width_px, height_px = images[0].size
  sheet = Image.new(
    "RGB",
    (len(images) * (width_px + margin_px) + margin_px, height_px + caption_px + 8),
    "white",
  )
  draw = ImageDraw.Draw(sheet)
  for i, (caption, image) in enumerate(zip(panels, images)):
    left_px = margin_px + i * (width_px + margin_px)
    draw.text((left_px, 8), caption, fill="black")
    sheet.paste(image, (left_px, caption_px))
  file = io.BytesIO()
  sheet.save(file, "PNG")
  write_atomically(path, file.getvalue())


def _print_table(rows: list[Row]) -> None:
  print_table(
    ("stage", ">seconds", "result"),
    [
      (stage, f"{seconds:.1f}" if seconds else "", result)
      for stage, seconds, result in rows
    ],
  )
