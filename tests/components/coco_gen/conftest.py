"""Small annotated sets, made of drawn images."""

import json

import numpy as np
import pytest
from PIL import Image

from hardmine.components.coco_gen.reading import input_files, read_annotations
from hardmine.schemas.conversion_config import AnnotatedFolder, ConversionConfig


def drawn(seed, *, width=64, height=48, mode="RGB"):
  """An image that is different for every seed, and smooth enough for JPEG."""
  rows, columns = np.mgrid[0:height, 0:width]
  tint = np.random.default_rng(seed).integers(0, 100, 3)
  pixels = np.stack([rows * 2, columns * 2, rows + columns], -1) + tint
  return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)


class AnnotatedSet:
  """A folder of images and a COCO JSON file, to be bent into any fault.

  Attributes:
    folder: of everything.
    images: the folder of images, 64x48 pixels each.
    json: the COCO file.
    content: what `save` writes into it.
  """

  def __init__(self, folder):
    self.folder = folder
    self.images = folder / "images"
    self.images.mkdir()
    self.json = folder / "instances.json"
    self.content = {}

  def write(self, names, boxes=((4, 6, 20, 10),)):
    """Draws images with ids 1, 2, ... and the same boxes on each."""
    self.content = {
      "images": [],
      "annotations": [],
      "categories": [{"id": 3, "name": "cat"}, {"id": 7, "name": "dog"}],
    }
    for number, name in enumerate(names, 1):
      path = self.images / name
      path.parent.mkdir(parents=True, exist_ok=True)
      drawn(number).save(path)
      self.content["images"].append(
        {"id": number, "file_name": name, "width": 64, "height": 48}
      )
      for box in boxes:
        self.annotate(number, bbox=list(box))
    self.save()

  def annotate(self, image_id, **fields):
    """Adds an annotation; its id is 101, 102, ... unless a field says another."""
    given = {
      "id": 101 + len(self.content["annotations"]),
      "image_id": image_id,
      "category_id": 3,
      "bbox": [4, 6, 20, 10],
      "area": 150.5,
      "iscrowd": 0,
      "segmentation": [[4, 6, 24, 6, 24, 16]],
    }
    self.content["annotations"].append({**given, **fields})

  def save(self):
    """Writes `content` as it is now."""
    self.json.write_text(json.dumps(self.content, ensure_ascii=False), "utf-8")


@pytest.fixture
def annotated_set(tmp_path):
  folder = tmp_path / "set"
  folder.mkdir()
  return AnnotatedSet(folder)


@pytest.fixture
def read(annotated_set, tmp_path):
  """Reads sources of the set's images; keyword arguments as `AnnotatedFolder`'s.

  Further ones are of `ConversionConfig`.
  """

  def read(*sources, **fields):
    config = ConversionConfig(
      sources=tuple(
        AnnotatedFolder(
          **{
            "images": str(annotated_set.images),
            "annotations": str(annotated_set.json),
            **{name: str(value) for name, value in source.items()},
          }
        )
        for source in sources or [{}]
      ),
      **fields,
    )
    folder = tmp_path / f"read{len(list(tmp_path.iterdir()))}"
    sets, categories = read_annotations(config, input_files(config), folder)
    return config, sets, categories

  return read
