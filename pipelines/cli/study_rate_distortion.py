"""`hardmine study rate-distortion`: codecs by size, quality and time, side by side."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import shlex
import sys
from typing import TYPE_CHECKING, Any

from hardmine.pipelines.cli.progress import progress
from hardmine.pipelines.cli.runtime_argument import add_runtime_argument, runtime_of
from hardmine.pipelines.cli.tables import print_table, printable
from hardmine.schemas.config import require
from hardmine.schemas.files import write_atomically

if TYPE_CHECKING:
  from hardmine.components.codec_evaluator.comparable import LeftOut
  from hardmine.pipelines.studies.rate_distortion.comparisons import Comparison
  from hardmine.pipelines.studies.rate_distortion.pictures import Picture, Pictures
  from hardmine.pipelines.studies.rate_distortion.studied import Studied
  from hardmine.pipelines.studies.rate_distortion.sweep import Sweep
  from hardmine.pipelines.studies.records import Records

SUMMARY = "codecs by file size, quality and time"
HELP = (
  "Measures trained codecs beside JPEG, WebP, AVIF, JPEG XL and JPEG 2000 on pictures "
  "of yours: real file sizes, MS-SSIM, PSNR-HVS, PSNR, their areas, BD-rates, seconds. "
  "Writes tables, figures, CompressAI's JSON, and index.html, where pictures of equal "
  "size are seen side by side. Called again, it goes on where it stopped. The exit "
  "status is 1 where a picture or a codec failed; the others are measured all the same."
)
NONE = "none"  # in the place of a codec
_REFERENCE = "jpeg_420"
_PACKAGES = ("hardmine", "numpy", "pillow", "onnxruntime", "openvino", "tensorflow")


def add_arguments(parser: argparse.ArgumentParser) -> None:
  """Adds the arguments."""
  parser.add_argument(
    "--images",
    nargs="+",
    action="extend",
    required=True,
    metavar="GLOB",
    help="pictures that no model was trained on: patterns in quotes, files, or "
    "folders, of which every picture below is taken",
  )
  parser.add_argument(
    "--output",
    required=True,
    metavar="DIR",
    help="gets the tables, the page, and every measurement as soon as it is done",
  )
  parser.add_argument(
    "--model",
    action="append",
    default=[],
    metavar="REF",
    help="a trained codec: a folder, STORE:ALIAS, or one that ships with hardmine; "
    "may be repeated",
  )
  parser.add_argument(
    "--codecs",
    metavar="NAME,...",
    help="conventional ones: jpeg_420, jpeg_444, webp, avif, jpeg_xl, jpeg_2000, or "
    f"'{NONE}' (default: all that are installed)",
  )
  parser.add_argument(
    "--reference",
    default=_REFERENCE,
    metavar="NAME",
    help=f"what BD-rates compare with, a codec or a model (default {_REFERENCE})",
  )
  parser.add_argument(
    "--max-images", type=int, metavar="N", help="only the first N, in order of name"
  )
  parser.add_argument(
    "--iterations",
    type=int,
    metavar="N",
    help="of models (default: as many as help, as each says)",
  )
  parser.add_argument(
    "--adaptive",
    action="store_true",
    help="also each model with a height map a picture, as encode --adaptive writes, "
    "and the maps drawn over the pictures that are shown",
  )
  parser.add_argument(
    "--points",
    type=int,
    metavar="N",
    help="so many qualities of each conventional codec at most (default: all of its "
    "list, 16 to 27; areas need them)",
  )
  parser.add_argument(
    "--pictures",
    type=int,
    default=3,
    metavar="N",
    help="show the first N side by side; 0 shows none (default 3)",
  )
  add_runtime_argument(parser)
  parser.add_argument(
    "--threads", type=int, metavar="N", help="of a model (default: all there are)"
  )
  parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
  """Measures, writes, and prints what was found.

  Raises:
    ValueError: a word on the command line cannot be, or no picture can be measured.
    RuntimeError: another study is at work in the output, or nothing could be measured.
    OSError: something cannot be written.
  """
  for name, least in (
    ("max_images", 1),
    ("threads", 1),
    ("points", 2),
    ("pictures", 0),
  ):
    value = getattr(args, name)
    text = f"--{name.replace('_', '-')} of {least} or more"
    require(value is None or value >= least, text, **{name: value})
  from hardmine.components.codec_evaluator import photographs
  from hardmine.pipelines.studies.records import RATE_DISTORTION, Records

  records = Records(args.output, RATE_DISTORTION)
  codecs, lines = _codecs(args)

  def say(line: str) -> None:
    if not args.json:
      print(f"hardmine: {printable(line)}", file=sys.stderr, flush=True)

  for line in lines:
    say(line)
  sources = photographs.find(args.images, args.max_images, say)
  with records.held():
    return _Study(args, records, codecs, lines, say).run(sources)


def _codecs(args: argparse.Namespace) -> tuple[list[Studied], list[str]]:
  """Models first, then conventional ones, and a line for each that is missing."""
  from hardmine.pipelines.studies.rate_distortion import conventional_codec

  names = None
  if args.codecs is not None:
    names = [word.strip() for word in args.codecs.split(",") if word.strip()]
    require(bool(names), f"names behind --codecs, or {NONE}", codecs=args.codecs)
    names = [] if names == [NONE] else names
  conventional, lines = conventional_codec.choose(names, args.points)
  found: list[Studied] = [*_models(args), *conventional]
  require(bool(found), f"--model beside --codecs {NONE}", codecs=args.codecs)
  keys = [curve.key for codec in found for curve in codec.curves]
  require(
    args.reference in keys or args.reference == _REFERENCE,
    f"one of {', '.join(keys)}",
    reference=args.reference,
  )
  return found, lines


def _models(args: argparse.Namespace) -> list[Studied]:
  if not args.model:
    return []
  from hardmine.pipelines.cli.model_ref import resolve_model
  from hardmine.pipelines.studies.rate_distortion import conventional_codec
  from hardmine.pipelines.studies.rate_distortion.adaptive_codec import AdaptiveCodec
  from hardmine.pipelines.studies.rate_distortion.model_codec import (
    ModelCodec,
    names_of,
  )
  from hardmine.trainers.codec.codec import Codec

  found: list[Studied] = []
  taken = conventional_codec.keys()
  for ref, (key, title) in zip(args.model, names_of(args.model, taken)):
    folder = resolve_model(ref)
    runtime = runtime_of(folder, args)
    codec = Codec.load(folder, runtime, args.threads)
    plain = ModelCodec(
      codec,
      key=key,
      title=printable(title),
      runtime=runtime,
      num_threads=args.threads,
      iterations=args.iterations,
    )
    found += [plain, AdaptiveCodec(codec, plain)] if args.adaptive else [plain]
  return found


class _Study:
  """One call: what was asked for, and what becomes of it."""

  def __init__(
    self,
    args: argparse.Namespace,
    records: Records,
    codecs: list[Studied],
    notes: list[str],
    say: Any,
  ):
    self._args, self._records, self._codecs = args, records, codecs
    self._notes, self._say = notes, say

  def run(self, sources: Any) -> int:
    from hardmine.pipelines.studies.rate_distortion.pictures import Pictures
    from hardmine.pipelines.studies.rate_distortion.sweep import Sweep

    source, args = Pictures(), self._args
    with progress("looking", "pictures", quiet=args.json) as on_step:
      pictures, left_out = source.look(sources, on_step)
    for one in left_out:
      self._say(str(one))
    told = left_out[0].detail if left_out else "there is none"
    require(
      bool(pictures), f"at least one picture that can be measured ({told})", images=0
    )
    sweep = Sweep(pictures, source, self._records, self._say)
    comparisons: list[Comparison] = []
    problems: list[str] = []
    try:
      with progress("measuring", "points", quiet=args.json) as on_step:
        sweep.measure(self._codecs, on_step)
      comparisons, problems = self._compared(sweep, source)
    finally:  # an interrupt too leaves whole tables of what was measured until then
      problems = [*sweep.problems, *problems]
      files = self._write(sweep, [*left_out, *sweep.left_out], problems, comparisons)
    self._print(sweep, files, problems)
    failed = problems or sweep.left_out
    return 1 if failed or any(one.reason == "unreadable" for one in left_out) else 0

  def _compared(
    self, sweep: Sweep, source: Pictures
  ) -> tuple[list[Comparison], list[str]]:
    from hardmine.pipelines.studies.rate_distortion.comparisons import Comparing

    shown: list[Picture] = sweep.pictures[: self._args.pictures]
    keys = {one.measurement.key for one in sweep.curves}
    codecs = [one for one in self._codecs if one.curves[0].key in keys]
    comparing = Comparing(sweep, source, self._records, self._say)
    with progress("comparing", "pictures", quiet=self._args.json) as on_step:
      return comparing.of(shown, codecs, on_step), comparing.problems

  def _write(
    self,
    sweep: Sweep,
    left_out: list[LeftOut],
    problems: list[str],
    comparisons: list[Comparison],
  ) -> dict[str, str]:
    """The files, by name; none where nothing was measured."""
    if not sweep.curves:
      return {}
    from hardmine.components.evaluation.environment import environment
    from hardmine.pipelines.studies import tables
    from hardmine.pipelines.studies.rate_distortion import compressai, page, results
    from hardmine.pipelines.studies.records import machine

    measured, reference = sweep.curves, self._args.reference
    rows = results.flat(measured, reference)
    titles = {one.measurement.key: one.measurement.title for one in measured}
    facts = {
      "num_images": len(sweep.pictures),
      "images": self._args.images,
      "reference": reference,
      "reference_title": titles.get(reference, f"{reference}, which is not here"),
      "machine": machine(),
      "environment": environment(_PACKAGES),
      "command": shlex.join(["hardmine", *sys.argv[1:]]),
      "left_out": [dataclasses.asdict(one) for one in left_out],
      "problems": [*problems, *self._notes],
    }
    told = [*problems, *map(str, left_out), *self._notes]
    texts = {
      "table.csv": tables.to_csv(rows),
      "table.md": results.to_markdown(rows, facts["reference_title"]),
      "table.json": results.to_json(measured, rows, facts),
      "points.csv": tables.to_csv(list(results.points(measured))),
      **page.figure_files(measured),
      **{
        f"compressai/{one.measurement.key}.json": compressai.to_json(one)
        for one in measured
      },
      "index.html": page.render(measured, rows, comparisons, told, facts),
    }
    folder = self._records.folder
    (folder / "compressai").mkdir(exist_ok=True)
    for name, text in texts.items():
      write_atomically(folder / name, text, durable=False)
    return {name: os.path.join(self._args.output, name) for name in texts}

  def _print(self, sweep: Sweep, files: dict[str, str], problems: list[str]) -> None:
    from hardmine.pipelines.studies.rate_distortion import results

    if not sweep.curves:
      raise RuntimeError("; ".join(problems) or "nothing could be measured")
    rows = results.flat(sweep.curves, self._args.reference)
    if self._args.json:
      answer = {"output": self._args.output, "files": files, "rows": rows}
      left_out = [dataclasses.asdict(one) for one in sweep.left_out]
      print(json.dumps({**answer, "problems": problems, "left_out": left_out}))
      return
    cells = [
      (
        row["title"],
        f"{row['ms_ssim_area']:.4f}" if row["ms_ssim_area"] is not None else "none",
        results.percent(row["ms_ssim_bd_rate"]),
        *(
          "" if row[f"{what}_seconds"] is None else f"{row[f'{what}_seconds']:.3f}"
          for what in ("encode", "decode")
        ),
      )
      for row in rows
    ]
    heads = ("codec", ">MS-SSIM area", ">bits at equal MS-SSIM", ">encode, s")
    print_table((*heads, ">decode, s"), cells)
    print(*(printable(files[name]) for name in ("table.md", "index.html")), sep="\n")
    for line in [*problems, *map(str, sweep.left_out)]:
      print(f"hardmine: {printable(line)}", file=sys.stderr)
