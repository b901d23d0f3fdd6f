"""CompressAI's bmshj2018_factorized of quality 4, asked by `codec_speed.py`.

A program for a Python that has torch and compressai, which Hardmine does not need. Its
weights are random, which no time depends on but that of the entropy coder; bits are
coded and decoded (`compress`, `decompress`).

    python benchmarks/_compressai_coding.py PHOTOGRAPH
"""

import os
import sys

import _turns
import numpy as np
import torch
from compressai.zoo import bmshj2018_factorized
from PIL import Image

QUALITY = 4


def main(path):
  torch.set_num_threads(len(os.sched_getaffinity(0)))
  torch.manual_seed(0)
  network = bmshj2018_factorized(quality=QUALITY, pretrained=False).eval()
  network.update()
  pixels = np.asarray(Image.open(path).convert("RGB"))
  picture = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
  with torch.inference_mode():
    coded = network.compress(picture)  # and all is warm
    network.decompress(coded["strings"], coded["shape"])
    _turns.answer(
      {
        "encode": lambda: network.compress(picture),
        "decode": lambda: network.decompress(coded["strings"], coded["shape"]),
      }
    )


if __name__ == "__main__":
  main(sys.argv[1])
