"""Multiply-adds of layers whose numbers are known, and those of the graphs that run."""

import math

import keras
import numpy as np
import onnx
import pytest

from hardmine.pipelines.studies.combinations import Combination
from hardmine.pipelines.studies.counting import (
  CONVOLUTION,
  CROP,
  DENSE,
  DEPTHWISE,
  POINTWISE,
  Counter,
  built,
  layer_costs,
)
from hardmine.pipelines.studies.tensorflow_parts import export
from hardmine.schemas.detector_config import (
  FasterRCNNConfig,
  KeptProportions,
  ProposalConfig,
  RFCNConfig,
  SSDConfig,
)
from hardmine.schemas.exported_model import light_graph
from hardmine.trainers.detection.feature_extractors.mobilenet_v1 import MobileNetV1

SIDE_PX, NUM_CATEGORIES, NUM_PROPOSALS = 96, 3, 5
SMALL = {"feature_extractor": MobileNetV1, "width": 1 / 16}
TWO_STAGES = {
  **SMALL,
  "resizer": KeptProportions(min_side_px=SIDE_PX, max_side_px=SIDE_PX),
  "proposals": ProposalConfig(depth=16, max_proposals=NUM_PROPOSALS),
}


def combination(config):
  return Combination(name="it", config=config, num_categories=NUM_CATEGORIES)


def model(*layers):
  inputs = features = keras.Input((None, None, 3))
  for layer in layers:
    features = layer(features)
  return keras.Model(inputs, features)


LAYERS = {
  "convolution": (
    keras.layers.Conv2D(7, (3, 5), 2, padding="same"),
    {CONVOLUTION: 5 * 6 * 7 * 3 * 5 * 3},
  ),
  "pointwise": (keras.layers.Conv2D(7, 1), {POINTWISE: 10 * 11 * 7 * 3}),
  "dilated": (
    keras.layers.Conv2D(7, 3, dilation_rate=2),
    {CONVOLUTION: 6 * 7 * 7 * 9 * 3},
  ),
  "depthwise": (
    keras.layers.DepthwiseConv2D(3, padding="same"),
    {DEPTHWISE: 10 * 11 * 3 * 9},
  ),
  "separable": (
    keras.layers.SeparableConv2D(4, 3, padding="same", depth_multiplier=2),
    {DEPTHWISE: 10 * 11 * 6 * 9, POINTWISE: 10 * 11 * 6 * 4},
  ),
  "dense": (keras.layers.Dense(6), {DENSE: 10 * 11 * 3 * 6}),
  "norm": (keras.layers.BatchNormalization(), {}),
}


@pytest.mark.parametrize(("layer", "expected"), LAYERS.values(), ids=LAYERS)
def test_a_layer_of_known_cost(layer, expected):
  assert layer_costs(model(layer), (10, 11)) == expected


def test_a_product_of_matrices():
  left, right = keras.Input((None, None, 3)), keras.layers.Conv2D(3, 1, name="r")
  product = keras.ops.matmul(left, keras.ops.transpose(right(left), (0, 1, 3, 2)))
  found = layer_costs(keras.Model(left, product), (10, 11))
  assert found == {POINTWISE: 10 * 11 * 9, DENSE: 10 * 11 * 11 * 3}


def test_a_layer_used_twice_counts_twice():
  layer = keras.layers.Conv2D(3, 1)
  assert layer_costs(model(layer, layer), (2, 2)) == {POINTWISE: 2 * 4 * 9}


def test_models_inside_a_model_are_walked():
  inner = model(keras.layers.Conv2D(4, 1))
  assert layer_costs(model(inner), (2, 2)) == {POINTWISE: 4 * 3 * 4}


def test_a_cost_that_no_shape_tells_is_refused():
  inputs = keras.Input((None, None, 3))
  pooled = keras.layers.Lambda(lambda x: x, output_shape=(None, None, 3))(inputs)
  outputs = keras.layers.Conv2D(4, 1)(pooled)
  with pytest.raises(ValueError, match="shapes follow"):
    layer_costs(keras.Model(inputs, outputs), (8, 8))


def test_shapes_alone_give_the_parameters_of_weights_with_values():
  one = combination(SSDConfig(**SMALL, resolution_px=SIDE_PX))
  whole = built(one, with_values=True)
  num = sum(
    np.asarray(weight).size for layer in whole.leaf_layers for weight in layer.weights
  )
  assert Counter().cost(one).parameters == num


def in_graph(path, **sides):
  """Multiply-adds of an ONNX graph's convolutions and dense layers."""
  proto = onnx.load(path)
  for one in proto.graph.input:
    for dim in one.type.tensor_type.shape.dim:
      if dim.dim_param:
        dim.dim_value = sides[dim.dim_param]
  graph = onnx.shape_inference.infer_shapes(proto, data_prop=True).graph
  shapes = {
    one.name: [dim.dim_value for dim in one.type.tensor_type.shape.dim]
    for one in (*graph.value_info, *graph.output)
  }
  weights = {one.name: list(one.dims) for one in graph.initializer}
  count = 0
  for node in graph.node:
    if node.op_type == "Conv":
      shape = shapes[node.output[0]]
      assert all(shape), (node.name, shape)
      kernel = weights[node.input[1]]
      if kernel[1:] == [1, 1, 1]:  # is how a graph only moves values
        continue
      count += math.prod(shape) * math.prod(kernel[1:])
    elif node.op_type in ("MatMul", "Gemm") and "/second_stage_" in node.name:
      shape = shapes[node.output[0]]
      assert all(shape), (node.name, shape)
      (inner,) = set(weights[node.input[1]]) - {shape[-1]} or {shape[-1]}
      count += math.prod(shape) * inner
  return count


def exported(one, folder):
  export({"one": one.plain(), "folder": str(folder)})
  return folder


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FasterRCNNConfig, RFCNConfig])
def test_the_graphs_of_two_stages_have_as_many(kind, tmp_path):
  options = {"depth": 32} if kind is RFCNConfig else {}
  one = combination(kind(**TWO_STAGES, **options))
  folder = exported(one, tmp_path / "it")
  sides = {
    **{"batch": 1, "rows": SIDE_PX, "columns": SIDE_PX},
    **{"map_rows": SIDE_PX // 16, "map_columns": SIDE_PX // 16},
    "proposals": NUM_PROPOSALS,
  }
  cost = Counter().cost(one)
  first = in_graph(light_graph(folder, "first_stage"), **sides)
  second = in_graph(light_graph(folder, "second_stage"), **sides)
  assert first == sum(cost.first_stage.values())
  assert second == sum(cost.second_stage.values()) - cost.crop_multiply_adds


def test_a_crop_is_counted_apart():
  cost = Counter().cost(combination(FasterRCNNConfig(**TWO_STAGES)))
  depth = 512 // 16
  assert cost.second_stage[CROP] == NUM_PROPOSALS * 14 * 14 * depth * 4
  assert cost.multiply_adds == sum(
    count
    for stage in (cost.first_stage, cost.second_stage)
    for kind, count in stage.items()
    if kind != CROP
  )
