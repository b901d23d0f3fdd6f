"""What slim calls the layers that ours have Keras' names for.

The scopes are those of the variables in the checkpoints that slim's authors released,
oddities among them: in Inception V3 `Mixed_5c` has a `Conv_1_0c_5x5`, and `Mixed_6a`
calls 3x3 convolutions `Conv2d_1a_1x1`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator

from hardmine.schemas.config import require
from hardmine.trainers.detection.feature_extractors.extractor import FeatureExtractor
from hardmine.trainers.detection.feature_extractors.inception_resnet_v2 import (
  InceptionResNetV2,
)
from hardmine.trainers.detection.feature_extractors.inception_v2 import InceptionV2
from hardmine.trainers.detection.feature_extractors.inception_v3 import InceptionV3
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.slim_resnet_101 import SlimResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16


@dataclasses.dataclass(frozen=True, kw_only=True)
class Family:
  """How slim's checkpoints hold a family of backbones.

  Attributes:
    root: scope of all its variables, below what a detector puts before it.
    scopes_of: of a convolution's name in our network, the scopes below `root` that it
      may have, most likely first; none for what is no convolution of the family.
    epsilon: of batch normalisation.
    first_layer: whose input slim gives as RGB where ours is BGR, if there is one.
  """

  root: str
  scopes_of: Callable[[str], list[str]]
  epsilon: float = 1e-3
  first_layer: str | None = None


def family_of(extractor: type[FeatureExtractor]) -> Family:
  """The names of a family, or of the nearest one that an extractor is derived from.

  Raises:
    ValueError: slim has no such family, or one whose weights give another function.
  """
  for kind in extractor.__mro__:
    if kind in FAMILIES:
      return FAMILIES[kind]
    require(
      kind is not ResNet101,
      "SlimResNet101 (trainers.detection.feature_extractors.slim_resnet_101) for a "
      "checkpoint of slim: its ResNet has strides elsewhere than Keras', so the "
      "weights fit and the features would be wrong",
      feature_extractor=extractor.__name__,
    )
  known = ", ".join(kind.__name__ for kind in FAMILIES)
  raise ValueError(
    f"Expected a family that slim's checkpoints have ({known}), or weights as an .npz. "
    f"Received: feature_extractor={extractor.__name__}"
  )


def norm_name(layer_name: str) -> str:
  """What the batch normalisation behind a convolution of ours is called."""
  if layer_name == "conv2d" or re.fullmatch(r"conv2d_\d+", layer_name):
    return layer_name.replace("conv2d", "batch_normalization")
  if re.fullmatch(r"conv\d(_block\d+_\d)?_conv", layer_name):  # of ResNet
    return layer_name.removesuffix("conv") + "bn"
  return f"{layer_name}_bn"


def _mobilenet_v1(layer_name: str) -> list[str]:
  if layer_name == "conv1":
    return ["Conv2d_0"]
  match = re.fullmatch(r"conv_([dp])w_(\d+)", layer_name)
  kinds = {"d": "depthwise", "p": "pointwise"}
  return [f"Conv2d_{match[2]}_{kinds[match[1]]}"] if match else []


def _inception_v2(layer_name: str) -> list[str]:
  match = re.fullmatch(r"(Mixed_\w\w)_(Branch_\d)_(Conv2d_0\w_\dx\d)", layer_name)
  if match is None:
    return [layer_name] if re.fullmatch(r"Conv2d_\w\w_\dx\d", layer_name) else []
  block, branch, convolution = match.groups()
  # the last ones of the blocks that halve the resolution, which we count on
  strided = {("Branch_0", "Conv2d_0b_3x3"), ("Branch_1", "Conv2d_0c_3x3")}
  if block in ("Mixed_4a", "Mixed_5a") and (branch, convolution) in strided:
    convolution = "Conv2d_1a_3x3"
  return [f"{block}/{branch}/{convolution}"]


def _resnet_101(layer_name: str) -> list[str]:
  if layer_name == "conv1_conv":
    return ["conv1"]
  match = re.fullmatch(r"conv(\d)_block(\d+)_(\d)_conv", layer_name)
  if match is None:
    return []
  stage, unit, place = map(int, match.groups())
  convolution = ("shortcut", "conv1", "conv2", "conv3")[place]
  return [f"block{stage - 1}/unit_{unit}/bottleneck_v1/{convolution}"]


def _vgg_16(layer_name: str) -> list[str]:
  match = re.fullmatch(r"block(\d)_conv(\d)", layer_name)
  return [f"conv{match[1]}/conv{match[1]}_{match[2]}"] if match else []


def _inception_v3(layer_name: str) -> list[str]:
  return _numbered(layer_name, _V3)


def _inception_resnet_v2(layer_name: str) -> list[str]:
  if layer_name == "conv_7b":
    return ["Conv2d_7b_1x1"]
  if match := re.fullmatch(r"(block35|block17|block8)_(\d+)_conv", layer_name):
    return [f"{one}/Conv2d_1x1" for one in _residual(match[1], int(match[2]))]
  for scope in _numbered(layer_name, _RESIDUAL):
    head, _, rest = scope.partition("//")
    if not rest:
      return [scope]
    kind, _, number = head.partition("_")
    return [f"{one}/{rest}" for one in _residual(kind, int(number))]
  return []


def _residual(kind: str, number: int) -> list[str]:
  """A residual block; the second stage of a detector counts its repeats anew."""
  if (kind, number) == ("block8", 10):
    return ["Block8"]
  repeat = {"block35": "Repeat", "block17": "Repeat_1", "block8": "Repeat_2"}[kind]
  found = [f"{repeat}/{kind}_{number}"]
  return [*found, f"Repeat/{kind}_{number}"] if kind == "block8" else found


def _numbered(layer_name: str, scopes: tuple[str, ...]) -> list[str]:
  """Of the convolutions that Keras counts, `conv2d` being the first."""
  match = re.fullmatch(r"conv2d(?:_(\d+))?", layer_name)
  number = int(match[1] or 0) if match else len(scopes)
  return [scopes[number]] if number < len(scopes) else []


def _stem() -> list[str]:
  names = ("1a_3x3", "2a_3x3", "2b_3x3", "3b_1x1", "4a_3x3")
  return [f"Conv2d_{name}" for name in names]


def _branches(block: str, *branches: str) -> list[str]:
  """Scopes of a block's branches, each given as its convolutions' short names."""
  return [
    f"{block}/Branch_{branch}/{name if name.startswith('Conv') else f'Conv2d_{name}'}"
    for branch, names in enumerate(branches)
    for name in names.split()
  ]


def _v3() -> Iterator[str]:
  yield from _stem()
  three = "0a_1x1 0b_3x3 0c_3x3"
  for block, second in (
    ("Mixed_5b", "0a_1x1 0b_5x5"),
    ("Mixed_5c", "0b_1x1 Conv_1_0c_5x5"),
    ("Mixed_5d", "0a_1x1 0b_5x5"),
  ):
    yield from _branches(block, "0a_1x1", second, three, "0b_1x1")
  yield from _branches("Mixed_6a", "1a_1x1", "0a_1x1 0b_3x3 1a_1x1")
  long = "0a_1x1 0b_7x1 0c_1x7 0d_7x1 0e_1x7"
  for letter in "bcde":
    block = f"Mixed_6{letter}"
    yield from _branches(block, "0a_1x1", "0a_1x1 0b_1x7 0c_7x1", long, "0b_1x1")
  yield from _branches("Mixed_7a", "0a_1x1 1a_3x3", "0a_1x1 0b_1x7 0c_7x1 1a_3x3")
  for block, last in (("Mixed_7b", "0b_3x1"), ("Mixed_7c", "0c_3x1")):
    third = "0a_1x1 0b_3x3 0c_1x3 0d_3x1"
    yield from _branches(block, "0a_1x1", f"0a_1x1 0b_1x3 {last}", third, "0b_1x1")


def _residual_v2() -> Iterator[str]:
  yield from _stem()
  three = "0a_1x1 0b_3x3 0c_3x3"
  yield from _branches("Mixed_5b", "1x1", "0a_1x1 0b_5x5", three, "0b_1x1")
  for number in range(1, 11):
    yield from _branches(f"block35_{number}/", "1x1", "0a_1x1 0b_3x3", three)
  yield from _branches("Mixed_6a", "1a_3x3", "0a_1x1 0b_3x3 1a_3x3")
  for number in range(1, 21):
    yield from _branches(f"block17_{number}/", "1x1", "0a_1x1 0b_1x7 0c_7x1")
  pair = "0a_1x1 1a_3x3"
  yield from _branches("Mixed_7a", pair, pair, "0a_1x1 0b_3x3 1a_3x3")
  for number in range(1, 11):
    yield from _branches(f"block8_{number}/", "1x1", "0a_1x1 0b_1x3 0c_3x1")


_V3, _RESIDUAL = tuple(_v3()), tuple(_residual_v2())
FAMILIES: dict[type[FeatureExtractor], Family] = {
  MobileNetV1: Family(root="MobilenetV1", scopes_of=_mobilenet_v1),
  InceptionV2: Family(root="InceptionV2", scopes_of=_inception_v2),
  InceptionV3: Family(root="InceptionV3", scopes_of=_inception_v3),
  InceptionResNetV2: Family(root="InceptionResnetV2", scopes_of=_inception_resnet_v2),
  SlimResNet101: Family(
    root="resnet_v1_101",
    scopes_of=_resnet_101,
    epsilon=1e-5,
    first_layer="conv1_conv",
  ),
  VGG16: Family(root="vgg_16", scopes_of=_vgg_16, first_layer="block1_conv1"),
}
