"""The six backbones, for SSD and in two stages, against Keras' own models."""

from __future__ import annotations

import contextlib
import dataclasses
import math

import keras
import numpy as np
import pytest

from hardmine.schemas.detector_config import SSDConfig
from hardmine.schemas.training_config import DetectorTrainingConfig
from hardmine.trainers.detection.feature_extractors.extractor import (
  FeatureExtractor,
  load_weights,
)
from hardmine.trainers.detection.feature_extractors.keras_weights import named_weights
from hardmine.trainers.detection.feature_extractors.resnet_101 import ResNet101
from hardmine.trainers.detection.feature_extractors.vgg_16 import VGG16
from hardmine.trainers.detection.meta_architectures.ssd import SSD
from tests.trainers.detection.feature_extractors.families import (
  FAMILIES,
  LARGE,
  Family,
)


def some(names):
  return [
    pytest.param(name, marks=pytest.mark.slow if name in LARGE else ())
    for name in names
  ]


@dataclasses.dataclass(frozen=True)
class Built:
  """A family's models (the first stage by its stride), all with the same weights.

  Attributes:
    pixels: float32 [1, h, w, 3], normalized.
    features: what each first stage makes of them.
  """

  family: Family
  first: dict[int, keras.Model]
  second: keras.Model
  weights_path: str
  pixels: np.ndarray
  features: dict[int, np.ndarray]

  @property
  def layers(self):
    return [*self.first[16].layers, *self.second.layers]


@pytest.fixture(scope="module")
def family(request):
  return FAMILIES[request.param]


@pytest.fixture(scope="module")
def reference(family):
  keras.utils.set_random_seed(0)
  return family.reference()


@pytest.fixture(scope="module")
def weights_path(reference, tmp_path_factory):
  path = tmp_path_factory.mktemp("weights") / "keras.npz"
  np.savez(path, **named_weights(reference))
  return str(path)


def first_stage(extractor, width, output_stride=16):
  images = keras.Input((None, None, 3))
  return keras.Model(images, extractor.first_stage(images, width, 0.9, output_stride))


@pytest.fixture(scope="module")
def built(family, weights_path):
  extractor, width = family.extractor, family.width
  first = {s: first_stage(extractor, width, s) for s in extractor.STRIDES}
  between = keras.Input((None, None, family.depths[0]))
  second = keras.Model(between, extractor.second_stage(between, width, 0.9))
  for stride, model in first.items():
    layers = [*model.layers, *second.layers] if stride == 16 else model.layers
    load_weights(layers, extractor, weights_path, width)
  generator = np.random.default_rng(1)
  pixels = generator.uniform(-1, 1, (1, *family.size, 3)).astype("float32")
  features = {stride: np.asarray(model(pixels)) for stride, model in first.items()}
  return Built(family, first, second, weights_path, pixels, features)


def weight_names(layers):
  return [f"{layer.name}/{weight.name}" for layer in layers for weight in layer.weights]


def assert_close(mine, theirs):
  size = np.abs(theirs).max()
  assert size > 0
  np.testing.assert_allclose(mine, theirs, atol=1e-4 * size)


# Tests of one family stand together, by which all of them share its models.


@pytest.mark.parametrize("family", some(FAMILIES), indirect=True)
class TestStages:
  def test_maps_are_aligned_with_the_image(self, built):
    height, width = built.family.size
    for stride, features in built.features.items():
      size = (math.ceil(height / stride), math.ceil(width / stride))
      assert features.shape == (1, *size, built.family.depths[0])

  @pytest.mark.parametrize(("rows", "columns"), [(17, 14), (3, 4)])
  def test_second_stages_take_crops_of_any_size(self, built, rows, columns):
    crops = np.ones((2, rows, columns, built.family.depths[0]), "float32")
    size = tuple(map(built.family.side_behind, (rows, columns)))
    assert built.second(crops).shape == (2, *size, built.family.depths[1])

  def test_both_are_keras_own_model(self, built, reference):
    """Of odd sizes too: Keras' layers are padded and strided here as ours are."""
    end, middle = built.family.end, built.family.middle
    outputs = {"end": reference.get_layer(end).output if end else reference.output}
    if middle:
      outputs["middle"] = reference.get_layer(middle).output
    with built.family.as_stages(reference):
      theirs = keras.Model(reference.input, outputs)(built.pixels)
    assert_close(built.second(built.features[16]), theirs["end"])
    if middle:
      assert_close(built.features[16], theirs["middle"])

  def test_every_weight_of_keras_is_used_once(self, built, reference):
    names = weight_names(built.layers)
    assert len(names) == len(set(names))
    assert set(names) == set(named_weights(reference))
    for model in built.first.values():
      of_first = weight_names(model.layers)
      assert of_first == names[: len(of_first)]

  def test_blocks_count_on_through_both(self, built):
    first, second = (
      {built.family.extractor.block_of(layer.name) for layer in layers if layer.weights}
      for layers in (built.first[16].layers, built.second.layers)
    )
    assert first | second == set(range(len(first | second)))
    assert all(block > max(first) for block in second)

  def test_a_finer_map_has_the_coarser_one_in_it(self, built):
    """Dilated convolutions see at stride 8 what others do at 16, borders too."""
    if 8 not in built.first:
      pytest.skip("has one stride")
    finer, coarser = built.features[8], built.features[16]
    assert {size % 2 for size in finer.shape[1:3]} == {0, 1}
    # SAME padding begins a strided layer of kernel 3 at the second position of an even
    # size and at the first of an odd one; ResNet's strided layers have kernel 1.
    row, column = (
      0 if built.family.extractor is ResNet101 else 1 - size % 2
      for size in finer.shape[1:3]
    )
    assert_close(finer[:, row::2, column::2], coarser)


@pytest.fixture(scope="module")
def ssd(family, weights_path):
  """At 300 pixels, with the weights of Keras' own model."""
  config = SSDConfig(
    feature_extractor=family.extractor,
    width=family.width,
    initial_weights=weights_path,
  )
  training = DetectorTrainingConfig(steps=100, batch_size=2, batch_norm="train")
  return SSD.to_train(config, 2, training)


@pytest.mark.parametrize(
  "family", some(name for name in FAMILIES if FAMILIES[name].sides), indirect=True
)
class TestSSD:
  def test_has_its_anchors(self, family, ssd):
    num_anchors = 3 * family.sides[0] ** 2
    num_anchors += 6 * sum(side**2 for side in family.sides[1:])
    assert ssd.anchors_yxyx_norm.shape == (num_anchors, 4)

  def test_blocks_count_from_the_image_without_a_gap(self, family, ssd):
    block_of = family.extractor.block_of
    blocks = [block_of(layer.name) for layer in ssd.leaf_layers if layer.weights]
    found = set(blocks) - {None}
    assert found == set(range(len(found)))
    firsts = [blocks.index(block) for block in sorted(found)]
    assert firsts == sorted(firsts)
    assert block_of("extra_2_1x1") is None
    assert block_of("predictor_0_box_codes") is None

  def test_predicts_from_what_keras_own_model_gives(self, family, ssd, reference):
    """Also where strided layers are not padded."""
    if not family.ssd_maps:
      pytest.skip("Keras brings no such model")
    theirs = {name: reference.get_layer(name).output for name in family.ssd_maps}
    theirs = keras.Model(reference.input, theirs)
    mine = {
      # What SSD adds before both maps of VGG-16 is not Keras'.
      name: ssd.get_layer(name).output
      if family.extractor is VGG16
      else ssd.get_layer(f"predictor_{number}_box_codes").input
      for number, name in enumerate(family.ssd_maps)
    }
    pixels = (
      np.random.default_rng(1).uniform(0, 255, (1, 300, 300, 3)).astype("float32")
    )
    mine = keras.Model(ssd.input, mine)(pixels)
    # VGG-16's pools keep the last row of an odd size for SSD too.
    as_ssd = family.as_stages if family.extractor is VGG16 else contextlib.nullcontext
    with as_ssd(reference):
      theirs = theirs(family.extractor.normalize(pixels))
    for name in family.ssd_maps:
      assert_close(mine[name], theirs[name])

  @pytest.mark.slow
  def test_learns(self, ssd):
    """A short step down makes the loss of its own batch smaller.

    Eager, since a graph of hundreds of layers takes ten times as long to trace as to
    compute; without Adam, whose hundreds of small sums took most of the rest.
    """
    generator = np.random.default_rng(0)
    images = generator.uniform(0, 255, (2, 300, 300, 3)).astype("float32")
    truth = {
      "boxes_yxyx_norm": np.array(
        [[[0.1, 0.1, 0.6, 0.7]], [[0.3, 0.2, 0.9, 0.8]]], "float32"
      ),
      "labels": np.array([[1], [2]], "int32"),
      "is_crowd": np.zeros((2, 1), "int32"),
      "index": np.arange(2),
    }
    optimizer = keras.optimizers.SGD(0.003, global_clipnorm=1.0)
    ssd.compile(optimizer=optimizer, run_eagerly=True)
    before = float(ssd.train_on_batch(images, truth)[0])
    after = float(ssd.compute_loss(images, truth, ssd(images, training=True)))
    assert np.isfinite(before)
    assert after < before


def counted(extractor, kinds=("kernel", "bias", "gamma", "beta", "moving")):
  """Parameters of both stages at width 1, and their layers."""
  with keras.StatelessScope(initialize_variables=False):
    images = keras.Input((None, None, 3))
    features = extractor.first_stage(images, 1.0, 0.9)
    model = keras.Model(images, extractor.second_stage(features, 1.0, 0.9))
  shapes = [w.shape for w in model.weights if any(kind in w.name for kind in kinds)]
  return sum(math.prod(shape) for shape in shapes), model.layers


@pytest.mark.slow
def test_parameters_are_those_of_the_study():
  """1611.10012, table 2, each by the rule under which its number comes out."""
  extractors = {name: family.extractor for name, family in FAMILIES.items()}
  assert counted(extractors["vgg_16"])[0] == 14_714_688
  assert counted(extractors["inception_v2"])[0] == 10_173_112
  assert counted(extractors["inception_v3"])[0] == 21_802_784
  assert counted(extractors["inception_resnet_v2"])[0] == 54_336_736
  # ResNet-101 without the biases that Keras' layers have
  norms_and_kernels = ("kernel", "gamma", "beta", "moving")
  assert counted(extractors["resnet_101"], norms_and_kernels)[0] == 42_605_504
  # MobileNet's convolutions, and a vector for each but the depthwise ones
  kernels, layers = counted(extractors["mobilenet_v1"], ("kernel",))
  vectors = sum(
    layer.beta.shape[0]
    for layer in layers
    if isinstance(layer, keras.layers.BatchNormalization) and "dw" not in layer.name
  )
  assert kernels + vectors == 3_191_072


@pytest.mark.parametrize("name", FAMILIES)
def test_strides_that_are_not_on_offer_are_refused(name):
  extractor = FAMILIES[name].extractor
  with pytest.raises(ValueError, match=rf"of {extractor.__name__}\..*output_stride=4"):
    first_stage(extractor, 1, 4)


def test_an_extractor_for_ssd_alone_says_what_it_lacks():
  for ask in (
    lambda: FeatureExtractor.first_stage(None, 1, 0.9),
    lambda: FeatureExtractor.second_stage(None, 1, 0.9),
  ):
    with pytest.raises(NotImplementedError, match="first_stage and second_stage"):
      ask()


def test_top_1_is_the_study_s():
  found = [family.extractor.TOP_1 for family in FAMILIES.values()]
  assert found == [71.0, 71.1, 73.9, 78.0, 76.4, 80.4]
  assert FeatureExtractor.TOP_1 is None
