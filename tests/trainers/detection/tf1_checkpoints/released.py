"""Detectors as the Object Detection API writes them: names, shapes, pipeline.config.

`ssd_mobilenet_v1` is written down here once more, on TensorFlow alone and by the
variables' own names, so that what an import answers can be held against it.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tests.trainers.detection.tf1_checkpoints.writing import write

NUM_CLASSES = 5
SIDE = 96
WIDTH = 0.25
_PAIRS = (
  (64, 1),
  (128, 2),
  (128, 1),
  (256, 2),
  (256, 1),
  (512, 2),
  *[(512, 1)] * 5,
  (1024, 2),
  (1024, 1),
)
_EXTRAS = ((2, 256, 512), (3, 128, 256), (4, 128, 256), (5, 64, 128))
_ROOT = "FeatureExtractor/MobilenetV1"

CONFIG = """
# as it is released, with a few things that do not matter to what it answers
model {
  ssd {
    num_classes: 5
    image_resizer { fixed_shape_resizer { height: 96 width: 96 } }
    feature_extractor {
      type: "ssd_mobilenet_v1"
      depth_multiplier: 0.25
      min_depth: 8
      conv_hyperparams {
        regularizer { l2_regularizer { weight: 3.99999989895e-05 } }
        initializer { truncated_normal_initializer { mean: 0.0 stddev: 0.03 } }
        activation: RELU_6
        batch_norm { decay: 0.9997 center: true scale: true epsilon: 0.001 train: true }
      }
    }
    box_coder {
      faster_rcnn_box_coder {
        y_scale: 10.0 x_scale: 10.0 height_scale: 5.0 width_scale: 5.0
      }
    }
    matcher { argmax_matcher { matched_threshold: 0.5 unmatched_threshold: 0.5 } }
    similarity_calculator { iou_similarity { } }
    box_predictor {
      convolutional_box_predictor {
        conv_hyperparams { activation: RELU_6 }
        min_depth: 0 max_depth: 0 num_layers_before_predictor: 0 use_dropout: false
        dropout_keep_probability: 0.8 kernel_size: 1 box_code_size: 4
        apply_sigmoid_to_scores: false
      }
    }
    anchor_generator {
      ssd_anchor_generator {
        num_layers: 6 min_scale: 0.2 max_scale: 0.95
        aspect_ratios: 1.0 aspect_ratios: 2.0 aspect_ratios: 0.5
        aspect_ratios: 3.0 aspect_ratios: 0.3333
      }
    }
    post_processing {
      batch_non_max_suppression {
        score_threshold: 1e-08 iou_threshold: 0.6
        max_detections_per_class: 100 max_total_detections: 100
      }
      score_converter: SIGMOID
    }
    loss { classification_loss { weighted_sigmoid { } } }
  }
}
train_config { batch_size: 24 fine_tune_checkpoint: 'PATH\\tTO/"model.ckpt' }
"""


def variables(seed=0):
  """Values of all variables, of sizes that networks have."""
  rng, found = np.random.default_rng(seed), {}

  def conv(scope, shape, name="weights", depth=None):
    fan_in = np.prod(shape[:-1]) if name == "weights" else 9
    found[f"{scope}/{name}"] = rng.normal(0, (2 / fan_in) ** 0.5, shape)
    for kind, low, high in (
      ("gamma", 0.6, 1.4),
      ("beta", -0.2, 0.4),
      ("moving_mean", -0.3, 0.3),
      ("moving_variance", 0.6, 1.4),
    ):
      size = depth or shape[-1]
      found[f"{scope}/BatchNorm/{kind}"] = rng.uniform(low, high, size)

  def scaled(depth):
    return max(int(depth * WIDTH), 8)

  depth = scaled(32)
  conv(f"{_ROOT}/Conv2d_0", (3, 3, 3, depth))
  depths = [0] * 2
  for number, (wide, _) in enumerate(_PAIRS, start=1):
    scope = f"{_ROOT}/Conv2d_{number}"
    conv(f"{scope}_depthwise", (3, 3, depth, 1), "depthwise_weights", depth)
    conv(f"{scope}_pointwise", (1, 1, depth, scaled(wide)))
    depth = scaled(wide)
    if number in (11, 13):
      depths[number == 13] = depth
  for number, half, wide in _EXTRAS:
    half, wide = scaled(half), scaled(wide)
    scope = f"{_ROOT}/Conv2d_13_pointwise"
    conv(f"{scope}_1_Conv2d_{number}_1x1_{half}", (1, 1, depth, half))
    conv(f"{scope}_2_Conv2d_{number}_3x3_s2_{wide}", (3, 3, half, wide))
    depth = wide
    depths.append(depth)
  for number, depth in enumerate(depths):
    anchors = 6 if number else 3
    for name, size in (("BoxEncoding", 4), ("Class", NUM_CLASSES + 1)):
      scope = f"BoxPredictor_{number}/{name}Predictor"
      shape = (1, 1, depth, anchors * size)
      found[f"{scope}/weights"] = rng.normal(0, depth**-0.5, shape)
      found[f"{scope}/biases"] = rng.normal(0, 0.3, anchors * size)
  return {name: value.astype("float32") for name, value in found.items()}


def answers(values, images, anchor_order="later"):
  """What the detector says of images of its own size, before suppression.

  Returns:
    Boxes [N, 4] in shares of the image and scores [N, classes] of the first.
  """

  def conv(x, scope, strides=1):
    if f"{scope}/depthwise_weights" in values:
      kernel = values[f"{scope}/depthwise_weights"]
      x = tf.nn.depthwise_conv2d(x, kernel, [1, strides, strides, 1], "SAME")
    else:
      x = tf.nn.conv2d(x, values[f"{scope}/weights"], strides, "SAME")
    mean, variance, beta, gamma = (
      values[f"{scope}/BatchNorm/{name}"]
      for name in ("moving_mean", "moving_variance", "beta", "gamma")
    )
    x = tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)
    return tf.nn.relu6(x)

  x, maps = conv(2 / 255 * tf.cast(images, tf.float32) - 1, f"{_ROOT}/Conv2d_0", 2), []
  for number, (_, strides) in enumerate(_PAIRS, start=1):
    x = conv(x, f"{_ROOT}/Conv2d_{number}_depthwise", strides)
    x = conv(x, f"{_ROOT}/Conv2d_{number}_pointwise")
    if number in (11, 13):
      maps.append(x)
  for number, half, wide in _EXTRAS:
    half, wide = (max(int(depth * WIDTH), 8) for depth in (half, wide))
    scope = f"{_ROOT}/Conv2d_13_pointwise"
    x = conv(x, f"{scope}_1_Conv2d_{number}_1x1_{half}")
    x = conv(x, f"{scope}_2_Conv2d_{number}_3x3_s2_{wide}", 2)
    maps.append(x)
  boxes, scores = [], []
  for number, features in enumerate(maps):
    scope = f"BoxPredictor_{number}"
    codes, logits = (
      tf.nn.conv2d(features, values[f"{scope}/{name}/weights"], 1, "SAME")
      + values[f"{scope}/{name}/biases"]
      for name in ("BoxEncodingPredictor", "ClassPredictor")
    )
    rows, columns = features.shape[1:3]
    anchors = _anchors(number, rows, columns, anchor_order)
    boxes.append(_decoded(np.asarray(codes[0]).reshape(-1, 4), anchors))
    logits = np.asarray(logits[0]).reshape(-1, NUM_CLASSES + 1)
    scores.append(1 / (1 + np.exp(-logits[:, 1:])))
  return np.concatenate(boxes), np.concatenate(scores)


def _anchors(number, rows, columns, anchor_order):
  """(y, x, h, w) of create_ssd_anchors."""
  scales = [0.2 + 0.75 * k / 5 for k in range(6)] + [1.0]
  if number == 0:
    shapes = [(0.1, 1.0), (0.2, 2.0), (0.2, 0.5)]
  else:
    shapes = [(scales[number], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
    square = ((scales[number] * scales[number + 1]) ** 0.5, 1.0)
    shapes.insert(1 if anchor_order == "2017" else 5, square)
  return np.array(
    [
      ((row + 0.5) / rows, (column + 0.5) / columns, s / r**0.5, s * r**0.5)
      for row in range(rows)
      for column in range(columns)
      for s, r in shapes
    ]
  )


def _decoded(codes, anchors):
  y, x, h, w = anchors.T
  ty, tx, th, tw = codes.T
  y, x = ty / 10 * h + y, tx / 10 * w + x
  h, w = np.exp(th / 5) * h, np.exp(tw / 5) * w
  return np.stack([y - h / 2, x - w / 2, y + h / 2, x + w / 2], axis=1)


def release(folder, values=None, config=CONFIG):
  """A folder as it is downloaded; gives the values of its variables."""
  folder.mkdir()
  values = variables() if values is None else values
  write(folder / "model.ckpt", values)
  (folder / "pipeline.config").write_text(config)
  (folder / "checkpoint").write_text('model_checkpoint_path: "/home/somebody/m.ckpt"\n')
  return values
