"""From a photograph to its file and back: seconds, and the share of a matrix product.

A photograph of 768x512 pixels at half a bit per pixel, entropy coding included, by the
codecs that ship and by CompressAI's `bmshj2018_factorized`, on the same processors; and
by the papers' network at width 1 to its 16th iteration. Each in a process of its own,
loaded and warm, on every light runtime, all asked in turn beside a product of float32
matrices, of whose rate the multiply-adds of the network's passes reach some share. To
keep to a size, coded bits take one iteration more than the file has, which is found to
be too much: the share counts it, and the one behind it, "kept", does not.

    python benchmarks/codec_speed.py [--photograph FILE] [--compressai PYTHON]

PYTHON is one of an environment that has CompressAI (`pip install compressai`). Behind
the options, experiments or exported codecs may be named in place of these.
Experiments without weights that ship are random, and their files have four iterations.
`entropy_coding.py` has the entropy coder alone, `runtimes.py` the network alone.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

import _made_codecs
import _matrix_product
import _turns
import runtimes

MODELS = ("codec_shipped", "codec_small", "codec_lstm_additive")
WHOLE = "codec_lstm_additive"  # coded to its last iteration, its bits as they are
BPP = 0.5
UNTRAINED_ITERATIONS = 4
LIGHT = ("onnxruntime", "openvino")
WORK = ("encode", "decode")
COMPRESSAI = "compressai"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
  """What is asked of a model.

  Attributes:
    name: of the model.
    model_dir: its folder.
    photograph: a file.
    iterations: in the file; None takes as many as `BPP` has room for.
    entropy: bits are coded, if the model knows how.
  """

  name: str
  model_dir: str
  photograph: str
  iterations: int | None
  entropy: bool


def main() -> None:
  """Prints some lines a model."""
  parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
  parser.add_argument("models", nargs="*", metavar="MODEL", default=MODELS)
  parser.add_argument("--photograph", help="default: a cup of coffee, scaled")
  parser.add_argument("--size", default="768x512", help="to which it is scaled")
  parser.add_argument("--compressai", metavar="PYTHON")
  parser.add_argument("--threads", type=int, default=2)
  parser.add_argument("--repeats", type=int, default=3)
  parser.add_argument("--ask", nargs=2, help=argparse.SUPPRESS)  # a runtime and a case
  args = parser.parse_args()
  if args.ask:
    return answer(args.ask[0], Case(**json.loads(args.ask[1])))
  with tempfile.TemporaryDirectory() as folder:
    photograph = prepared(args.photograph, args.size, folder)
    for model in args.models:
      case = made_case(model, photograph, folder)
      report(case, args.compressai, args.threads, args.repeats)
  return None


def prepared(path: str | None, size: str, folder: str) -> str:
  """The photograph as a PNG of a size."""
  from PIL import Image

  if path is None:
    import skimage.data

    image = Image.fromarray(skimage.data.coffee())
  else:
    image = Image.open(path).convert("RGB")
  width_px, height_px = map(int, size.split("x"))
  scaled = str(Path(folder, "photograph.png"))
  image.resize((width_px, height_px), Image.Resampling.LANCZOS).save(scaled)
  return scaled


def made_case(model: str, photograph: str, folder: str) -> Case:
  """What is asked of a model, which is made where it is an experiment's name."""
  trained, whole = True, model == WHOLE
  model_dir = model
  if not Path(model).is_dir():
    trained = _made_codecs.is_trained(model)
    fit_to = None if whole else photograph
    model_dir = _made_codecs.codec(model, Path(folder, model), fit_to)
  iterations = 16 if whole else None if trained else UNTRAINED_ITERATIONS
  return Case(
    name=Path(model).name,
    model_dir=model_dir,
    photograph=photograph,
    iterations=iterations,
    entropy=not whole,
  )


def report(case: Case, compressai: str | None, threads: int, repeats: int) -> None:
  """Asks all in turn, and prints what they took."""
  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.codec.streams import bitstream
  from hardmine.trainers.images import decode_rgb

  names = [name for name in LIGHT if importlib.util.find_spec(name)]
  asked = json.dumps(dataclasses.asdict(case))
  commands = {
    name: [sys.executable, __file__, "--ask", name, asked]
    for name in (*names, runtimes.PRODUCT)
  }
  if compressai:
    program = str(Path(__file__).with_name("_compressai_coding.py"))
    commands[COMPRESSAI] = [compressai, program, case.photograph]
  workers = {
    name: _turns.Worker(command, threads) for name, command in commands.items()
  }
  seconds = _turns.in_turns(workers, WORK, repeats)
  for worker in workers.values():
    worker.close()

  image = decode_rgb(Path(case.photograph).read_bytes())
  height_px, width_px, _ = image.shape
  found = file_of(Codec.load(case.model_dir, names[0]), case, image)
  header = bitstream.read_header(found.data)
  peak = _matrix_product.FLOPS / min(seconds[runtimes.PRODUCT, work] for work in WORK)
  print(
    f"{case.name}, {width_px}x{height_px}, {header.iterations} iterations, "
    f"{8 * len(found.data) / width_px / height_px:.3f} bits per pixel"
    f"{', entropy coded' if header.is_coded else ''}; threads: {threads}, "
    f"product {peak / 1e9:.0f} GFLOP/s"
  )

  def flops(work: str, iterations: int) -> float:
    size_px = height_px, width_px
    return 2 * runtimes.multiply_adds(case.model_dir, work, iterations, size_px)

  kept = {work: flops(work, found.iterations) for work in WORK}
  tried = found.iterations + (found.next_bytes is not None and header.is_coded)
  done = {**kept, "encode": flops("encode", tried)}
  for counts in (kept, done):
    counts["both"] = sum(counts.values())
  for name in names:
    seconds[name, "both"] = sum(seconds[name, work] for work in WORK)
    for work in done:
      rate = seconds[name, work] * peak
      print(line(name, work, seconds[name, work], done[work] / rate, kept[work] / rate))
  if compressai:
    for work in WORK:
      print(line(COMPRESSAI, work, seconds[COMPRESSAI, work]))


def line(name: str, work: str, seconds: float, *shares: float) -> str:
  """One result, with the shares of all that was done and of what is kept of it."""
  of = ""
  if shares:
    done, kept = shares
    of = f"  {done:4.0%} of a product"
    of += f", {kept:4.0%} kept" if kept < done else ""
  return f"  {work:8}{name:12}{seconds:7.2f} s{of}"


def answer(runtime: str, case: Case) -> None:
  """Codes the photograph, or multiplies matrices, when it is asked to."""
  if runtime == runtimes.PRODUCT:
    return _turns.answer(dict.fromkeys(WORK, _matrix_product.product()))

  from hardmine.trainers.codec.codec import Codec
  from hardmine.trainers.images import decode_rgb

  codec = Codec.load(case.model_dir, runtime)
  image = decode_rgb(Path(case.photograph).read_bytes())
  data = file_of(codec, case, image).data
  codec.decompress(data)  # and all is warm
  return _turns.answer(
    {
      "encode": lambda: file_of(codec, case, image),
      "decode": lambda: codec.decompress(data),
    }
  )


def file_of(codec, case: Case, image):
  """What is encoded, as `Codec.compress_to` gives it."""
  from hardmine.trainers.codec.running.rate_control import Target

  target = Target(iterations=case.iterations, bpp=None if case.iterations else BPP)
  return codec.compress_to(image, target, entropy=case.entropy)


if __name__ == "__main__":
  main()
