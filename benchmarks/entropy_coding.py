"""What entropy coding saves and costs: bits a second each way, and bytes an iteration.

Codes photographs with a model that has an entropy model, and codes their bits by it, by
zlib and by LZMA, beside a copy of the raw bits. One core, as a light install runs it.

    OPENBLAS_NUM_THREADS=1 python benchmarks/entropy_coding.py [MODEL ['kodak/*.png']]

Without any it takes the codec that ships and a cup of coffee. `--codes DIR` keeps what
the network said, which takes most of the time, and reads it the next time.
"""

import argparse
import glob
import lzma
import os
import time
import zlib
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy is imported

import numpy as np
import skimage

from hardmine.trainers.codec.codec import Codec
from hardmine.trainers.codec.entropy.coding import load_coder
from hardmine.trainers.codec.shipped import DEFAULT, find_model
from hardmine.trainers.images import decode_rgb


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument(
    "model", nargs="?", default=DEFAULT, help="an exported codec with an entropy model"
  )
  parser.add_argument(
    "images",
    nargs="*",
    default=[str(Path(skimage.__file__).with_name("data") / "coffee.png")],
    help="photographs, none that it was fitted to",
  )
  parser.add_argument("--iterations", type=int, default=16)
  parser.add_argument("--codes", help="a folder that keeps the codes")
  args = parser.parse_args()
  os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
  args.model = find_model(args.model)
  coder = load_coder(args.model)
  if coder is None:
    parser.error(f"{args.model} has no entropy model: `hardmine entropy`")
  paths = sorted(path for one in args.images for path in glob.glob(one))
  sizes, seconds, num_bits = [], np.zeros(2), 0
  for path in paths:
    codes, gains = codes_of(args.model, path, args.iterations, args.codes)
    one, spent = of_codes(coder, codes, gains)
    sizes.append(one)
    seconds += spent
    num_bits += codes.size
  show(np.mean(sizes, axis=0))
  for told, spent in zip(("encoding", "decoding"), seconds):
    print(f"{told}: {num_bits / spent / 1e6:.2f} million bits a second on one core")


def codes_of(model, path, iterations, kept):
  """What the network says of a photograph."""
  place = Path(kept, f"{Path(path).stem}.npz") if kept else None
  if place and place.is_file():
    with np.load(place) as file:
      return np.unpackbits(file["codes"], axis=-1), file["gains"]
  codes, gains = Codec.load(model).encode_codes(
    decode_rgb(Path(path).read_bytes()), iterations
  )
  if place:
    place.parent.mkdir(parents=True, exist_ok=True)
    np.savez(place, codes=np.packbits(codes, axis=-1), gains=gains)
  return codes, gains


def of_codes(coder, codes, gains):
  """Bytes by way and iteration, [4, iterations], and seconds of coding and decoding."""
  raw = [np.packbits(one).tobytes() for one in codes]
  began = time.process_time()
  encoding = coder.encoding(len(codes))
  encoding.add(codes, gains)
  payloads = encoding.payloads()
  coded = time.process_time()
  found = coder.decoding(payloads, [-1] * len(payloads)).next(codes.shape[1:3], gains)
  decoded = time.process_time()
  assert (found == codes).all()
  ways = (
    raw,
    [min(pair, key=len) for pair in zip(raw, payloads)],
    [zlib.compress(one, 9) for one in raw],
    [lzma.compress(one, lzma.FORMAT_RAW, filters=_LZMA) for one in raw],
  )
  sizes = [[len(one) for one in way] for way in ways]
  return np.array(sizes), np.array([coded - began, decoded - coded])


_LZMA = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 0, "lp": 2, "pb": 2}]


def show(sizes):
  """Means of all photographs."""
  print("iteration    raw  coded   zlib   lzma   saved   saved so far")
  for number, (raw, coded, deflated, lzma_size) in enumerate(sizes.T, start=1):
    so_far = 1 - sizes[1, :number].sum() / sizes[0, :number].sum()
    print(
      f"{number:9}  {raw:5.0f}  {coded:5.0f}  {deflated:5.0f}  {lzma_size:5.0f}  "
      f"{1 - coded / raw:6.1%}  {so_far:13.1%}"
    )


if __name__ == "__main__":
  main()
