"""The six families, and Keras' own models of them made as narrow as ours in tests."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from hardmine.trainers.detection.feature_extractors import (
  inception_resnet_v2,
  resnet_101,
)
from hardmine.trainers.detection.feature_extractors.convolutions import scaled
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16

NARROW = 1 / 16


@dataclasses.dataclass(frozen=True)
class Family:
  """A family, and where its parts are in Keras' own model.

  Attributes:
    extractor: of ours.
    depths: of both stages' maps at `width`.
    strides_behind: of the second stage.
    build: Keras' own model; ours for SSD where Keras has none.
    middle: name of the layer there with which our first stage ends; None: it has none.
    end: likewise of the second stage; None: the last.
    changes: settings of its layers that the stages have otherwise, by name.
    unchanged_behind: the second stage has Keras' settings, unpadded where strided.
    ssd_maps: layers there that SSD predicts from.
    sides: of SSD's maps at 300 pixels; none: its maps are tested elsewhere.
    width: at which all are built.
    size: of images at which stages and Keras' own model are padded alike.
  """

  extractor: Any
  depths: tuple[int, int]
  strides_behind: int
  build: Callable[[], keras.Model]
  middle: str | None
  end: str | None = None
  changes: Callable[[Any], dict[str, Any]] = lambda layer: {}
  unchanged_behind: bool = False
  ssd_maps: tuple[str, ...] = ()
  sides: tuple[int, ...] = ()
  width: float = NARROW
  size: tuple[int, int] = (57, 81)

  def reference(self) -> keras.Model:
    """Keras' own model at our width, with weights that are not the trivial ones."""
    with pytest.MonkeyPatch.context() as patch:
      if self.width == NARROW and self.extractor is not InceptionV2:
        patch.setattr(keras.layers.Conv2D, "__init__", _narrow_init)
      model = self.build()
    generator = np.random.default_rng(0)
    for weight in model.weights:
      if "variance" in weight.name or weight.name == "gamma":
        weight.assign(generator.uniform(0.5, 1.5, weight.shape))
      elif len(weight.shape) == 1:
        weight.assign(generator.uniform(-0.2, 0.2, weight.shape))
    return model

  @contextlib.contextmanager
  def as_stages(self, reference: keras.Model):
    """In it, Keras' own model computes what both stages do."""
    with pytest.MonkeyPatch.context() as patch:
      for layer in reference.layers:
        for name, value in self.changes(layer).items():
          patch.setattr(layer, name, value)
        if self.unchanged_behind and layer.name == self.middle:
          break
      yield

  def side_behind(self, side: int) -> int:
    """Positions of the second stage's map along a side of so many."""
    if self.unchanged_behind:
      return (side - 3) // self.strides_behind + 1
    return math.ceil(side / self.strides_behind)


def _of_keras(name: str, **arguments: Any) -> Callable[[], keras.Model]:
  build = getattr(keras.applications, name)
  return lambda: build(include_top=False, weights=None, **arguments)


def _of_ssd() -> keras.Model:
  images = keras.Input((None, None, 3))
  maps = InceptionV2.feature_maps(images, NARROW, 0.9)
  return keras.Model(images, maps["stride_32"])


def padded(layer: Any) -> dict[str, Any]:
  return {"padding": "same"} if getattr(layer, "padding", None) == "valid" else {}


def _without_stride(layer: Any) -> dict[str, Any]:
  """Keras gives conv5's to two layers of its first block."""
  return {"strides": (1, 1)} if re.match("conv5_block1_[01]_conv", layer.name) else {}


_plain_init = keras.layers.Conv2D.__init__


def _narrow_init(layer: Any, filters: int, *arguments: Any, **options: Any) -> None:
  depth = _joined_depth(options.get("name") or "") or scaled(filters, NARROW)
  _plain_init(layer, depth, *arguments, **options)


def _joined_depth(name: str) -> int | None:
  """Inception-ResNet V2's, of a layer whose output is added to a map.

  That has the depth of all that was joined to it: a sum of narrowed depths.
  """
  match = re.match(r"block(\d+)_\d+_conv$", name)
  if match is None:
    return None
  depths = [96, 64, 96, 64]
  if match[1] != "35":
    depths += [384, 384]
  if match[1] == "8":
    depths += [384, 288, 320]
  return sum(scaled(depth, NARROW) for depth in depths)


FAMILIES = {
  "vgg_16": Family(
    VGG16,
    (32, 32),
    1,
    _of_keras("VGG16"),
    "block5_conv3",
    "block5_conv3",
    changes=padded,
    ssd_maps=("block4_conv3", "block5_conv3"),
    sides=(38, 19, 10, 5, 3, 2, 1),
  ),
  "mobilenet_v1": Family(
    MobileNetV1,
    (128, 256),
    2,
    _of_keras("MobileNet", alpha=0.25),
    "conv_pw_11_relu",
    width=0.25,
    size=(64, 32),
  ),
  "inception_v2": Family(
    InceptionV2, (40, 64), 2, _of_ssd, None, sides=(19, 10, 5, 3, 2, 1)
  ),
  "inception_v3": Family(
    InceptionV3,
    (48, 128),
    2,
    _of_keras("InceptionV3"),
    "mixed7",
    changes=padded,
    unchanged_behind=True,
    ssd_maps=("mixed2", "mixed7", "mixed10"),
    sides=(35, 17, 8, 4, 2, 1),
  ),
  "resnet_101": Family(
    ResNet101,
    (64, 128),
    1,
    _of_keras("ResNet101"),
    "conv4_block23_out",
    changes=_without_stride,
    ssd_maps=("conv4_block23_out",),
    sides=(19, 10, 5, 3, 2, 1),
  ),
  "inception_resnet_v2": Family(
    InceptionResNetV2,
    (80, 96),
    2,
    _of_keras("InceptionResNetV2"),
    "block17_20_ac",
    changes=padded,
    unchanged_behind=True,
    ssd_maps=("mixed_6a", "conv_7b_ac"),
    sides=(17, 8, 4, 2, 1),
  ),
}
LARGE = ("inception_v3", "resnet_101", "inception_resnet_v2")  # seconds to build


@contextlib.contextmanager
def shallow(num_blocks: int = 2):
  """In it, networks are made with so many of the blocks that they otherwise repeat.

  The first of a kind and the last differ from those between, which are all alike.
  """
  with pytest.MonkeyPatch.context() as patch:
    for stage, (depth, _) in resnet_101.STAGES.items():
      patch.setitem(resnet_101.STAGES, stage, (depth, num_blocks))
    for kind, (branches, share, _) in inception_resnet_v2._BRANCHES.items():
      changed = branches, share, num_blocks
      patch.setitem(inception_resnet_v2._BRANCHES, kind, changed)
    yield
