"""ICC profiles of version 2 by the book, and what they mean."""

from __future__ import annotations

import struct

import numpy as np
from PIL import ImageCms

# Columns of red, green and blue for profiles, XYZ under D50.
COLUMNS = {
  "adobe": ".60974 .20528 .14919  .31111 .62567 .06322  .01947 .06087 .74457",
  "p3": ".51512 .29198 .15710  .24120 .69225 .06657  -.00105 .04189 .78407",
  "prophoto": ".79767 .13519 .03134  .28804 .71187 .00009  0 0 .82510",
  "srgb": ".43607 .38515 .14307  .22249 .71687 .06061  .01392 .09708 .71410",
}


def matrix(numbers: str) -> np.ndarray:
  return np.array(numbers.split(), float).reshape(3, 3)


def srgb_curve(values: np.ndarray) -> np.ndarray:
  return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def icc(space: bytes, tags: dict[bytes, bytes], kind=b"mntr", pcs=b"XYZ ") -> bytes:
  """A profile of version 2 by the book."""
  table, body = struct.pack(">I", len(tags)), b""
  for name, value in tags.items():
    offset = 132 + 12 * len(tags) + len(body)
    table += name + struct.pack(">II", offset, len(value))
    body += value + b"\0" * (-len(value) % 4)
  head = struct.pack(">I4xI", 132 + 12 * len(tags) + len(body), 0x02400000)
  head += kind + space + pcs + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
  head += bytes(28) + fixed([0.9642, 1, 0.8249]) + bytes(48)
  return head + table + body


def fixed(numbers) -> bytes:
  return struct.pack(f">{len(numbers)}i", *(round(n * 65536) for n in numbers))


def gamma_curve(gamma: float) -> bytes:
  return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def sampled_srgb() -> bytes:
  values = (srgb_curve(np.linspace(0, 1, 1024)) * 65535).round().astype(">u2")
  return b"curv\0\0\0\0" + struct.pack(">I", 1024) + values.tobytes()


def rgb_profile(name: str, curve: bytes) -> bytes:
  tags = {b"wtpt": b"XYZ \0\0\0\0" + fixed([0.9642, 1, 0.8249])}
  for letter, column in zip("rgb", matrix(COLUMNS[name]).T):
    tags[f"{letter}XYZ".encode()] = b"XYZ \0\0\0\0" + fixed(column)
    tags[f"{letter}TRC".encode()] = curve
  return icc(b"RGB ", tags)


def grey_profile(gamma: float) -> bytes:
  white = b"XYZ \0\0\0\0" + fixed([0.9642, 1, 0.8249])
  return icc(b"GRAY", {b"wtpt": white, b"kTRC": gamma_curve(gamma)})


def printed_lab(inks: np.ndarray) -> np.ndarray:
  """What our imaginary press makes of c, m, y, k from 0 to 1: L*, a*, b* under D50."""
  c, m, y, k = np.moveaxis(inks, -1, 0)
  light = 100 * (1 - k) * (1 - 0.42 * c) * (1 - 0.48 * m) * (1 - 0.08 * y)
  a = (1 - k) * (-25 * c + 35 * m)
  b = (1 - k) * (-22 * c - 5 * m + 40 * y)
  return np.stack([light, a, b], -1)


def cmyk_profile(black: float = 0, kind=b"prtr", tables=(b"A2B0",)) -> bytes:
  """The press of `printed_lab`, whose deepest black has the L* `black`."""
  grid = np.stack(np.meshgrid(*[np.linspace(0, 1, 13)] * 4, indexing="ij"), -1)
  lab = printed_lab(grid).reshape(-1, 3)
  lab[:, 0] = black + lab[:, 0] * (1 - black / 100)
  table = lab * [652.8, 256, 256] + [0, 32768, 32768]
  body = b"mft2\0\0\0\0" + bytes([4, 3, 13, 0]) + fixed([1, 0, 0, 0, 1, 0, 0, 0, 1])
  body += struct.pack(">HH", 2, 2) + struct.pack(">HH", 0, 65535) * 4
  body += table.round().astype(">u2").tobytes() + struct.pack(">HH", 0, 65535) * 3
  white = b"XYZ \0\0\0\0" + fixed([0.9642, 1, 0.8249])
  tags = {b"wtpt": white, **dict.fromkeys(tables, body)}
  return icc(b"CMYK", tags, kind=kind, pcs=b"Lab ")


def srgb_v2() -> bytes:
  return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
