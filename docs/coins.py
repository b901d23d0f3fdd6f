"""A small set of annotated images, to try a guide with before one's own are annotated.

    python docs/coins.py coins

writes a folder `coins` and a COCO file `coins.json` beside it: coins and cups, cut from
photographs that scikit-image ships, laid on others of grass, gravel and brick. Coins of
the lowest row of its photograph are in none of them, and `coins_photo.jpg` beside the
folder is that photograph whole.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image, ImageDraw, ImageOps

NUM_IMAGES = 90
SIZE = (320, 240)
NAMES = ("coin", "cup")
# x, y, width and height of coins in their photograph, and corners of the cup in its.
COINS = (
  *((127, 28, 53, 47), (192, 30, 52, 44), (305, 16, 61, 57), (245, 96, 52, 49)),
  *((25, 104, 43, 43), (185, 105, 43, 40), (317, 105, 40, 41), (315, 156, 66, 63)),
  *((189, 170, 49, 47), (251, 172, 47, 45), (80, 175, 45, 43), (25, 178, 39, 40)),
)
CUP = (
  *((80, 215), (95, 150), (130, 105), (172, 75), (190, 35), (240, 20), (330, 20)),
  *((380, 40), (425, 70), (420, 105), (460, 160), (475, 210), (470, 270)),
  *((430, 330), (370, 370), (300, 380), (230, 372), (165, 340), (105, 275)),
)
Thing = tuple[int, Image.Image]  # a category from 1, and pixels with transparency
Box = tuple[int, int, int, int]  # x, y, width, height


def main(folder: str) -> None:
  """Writes the set; nothing that is there is touched.

  Raises:
    FileExistsError: a file or folder of that name is there.
  """
  images = Path(folder)
  images.mkdir()
  things, grounds = list(_things()), list(_grounds())
  rows: dict[str, list[dict]] = {
    "images": [],
    "annotations": [],
    "categories": [{"id": i, "name": name} for i, name in enumerate(NAMES, 1)],
  }
  for number in range(NUM_IMAGES):
    image, found = picture(number, things, grounds)
    name = f"{number:03}.jpg"
    image.save(images / name, quality=85)
    width, height = SIZE
    rows["images"].append(
      {"id": number, "file_name": name, "width": width, "height": height}
    )
    for category, box in found:
      rows["annotations"].append(
        {"id": len(rows["annotations"]) + 1, "image_id": number, "iscrowd": 0}
        | {"category_id": category, "bbox": box, "area": box[2] * box[3]}
      )
  with open(f"{folder}.json", "x", encoding="utf-8") as file:
    json.dump(rows, file)
  with open(f"{folder}_photo.jpg", "xb") as file:
    Image.fromarray(skimage.data.coins()).convert("RGB").save(file, "JPEG", quality=90)


def picture(
  seed: int, things: list[Thing], grounds: list[Image.Image]
) -> tuple[Image.Image, list[tuple[int, Box]]]:
  """An image, and the category and box of what lies in it: one to four things."""
  rng = np.random.default_rng(seed)
  ground = grounds[rng.integers(len(grounds))]
  x, y = (int(rng.integers(0, a - b + 1)) for a, b in zip(ground.size, SIZE))
  image = _lit(ground.crop((x, y, x + SIZE[0], y + SIZE[1])), rng)
  found: list[tuple[int, Box]] = []
  for _ in range(rng.integers(1, 5)):
    is_cup = rng.uniform() < 0.3
    category, thing = things[-1] if is_cup else things[rng.integers(len(things) - 1)]
    side = int(rng.integers(70, 150) if is_cup else rng.integers(28, 75))
    shown = ImageOps.contain(thing, (side, side))
    left, top = (int(rng.integers(0, a - b)) for a, b in zip(SIZE, shown.size))
    box = left, top, *shown.size
    if all(_apart(box, other) for _, other in found):
      image.paste(_lit(shown.convert("RGB"), rng), (left, top), shown.getchannel("A"))
      found.append((category, box))
  return image, found


def _things() -> Iterator[Thing]:
  """The coins, and last the cup."""
  coins = Image.fromarray(skimage.data.coins()).convert("RGB")
  for x, y, width, height in COINS:
    mask = Image.new("L", coins.size)
    ImageDraw.Draw(mask).ellipse((x, y, x + width - 1, y + height - 1), fill=255)
    yield 1, _cut(coins, mask)
  coffee = Image.fromarray(skimage.data.coffee())
  mask = Image.new("L", coffee.size)
  ImageDraw.Draw(mask).polygon(CUP, fill=255)
  yield 2, _cut(coffee, mask)


def _cut(image: Image.Image, mask: Image.Image) -> Image.Image:
  image = image.copy()
  image.putalpha(mask)
  return image.crop(mask.getbbox())


def _grounds() -> Iterator[Image.Image]:
  for name in ("grass", "gravel", "brick"):
    yield Image.fromarray(getattr(skimage.data, name)()).convert("RGB")


def _lit(image: Image.Image, rng: np.random.Generator) -> Image.Image:
  """In some light of some colour."""
  light = rng.uniform(0.6, 1.1) * rng.uniform(0.92, 1.08, 3)
  return Image.fromarray(np.clip(np.asarray(image) * light, 0, 255).astype(np.uint8))


def _apart(one: Box, other: Box) -> bool:
  """Whether two boxes share nothing."""
  return any(
    one[axis] + one[axis + 2] <= other[axis]
    or other[axis] + other[axis + 2] <= one[axis]
    for axis in (0, 1)
  )


if __name__ == "__main__":
  main(*sys.argv[1:])
