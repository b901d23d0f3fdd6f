"""A context network while it is fitted, in floats, which becomes a `context_model`.

For one stage, on any Keras backend. All groups of channels are told at once: what a
group must not see is masked.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from hardmine.schemas.codec_config import CODE_DEPTH
from hardmine.trainers.codec.entropy.contexts import BEFORE, NEAR, NUM_GAINS
from hardmine.trainers.codec.entropy.order import NUM_CLASSES
from hardmine.trainers.codec.entropy_fitting.code_sets import Batch
from hardmine.trainers.codec.entropy_fitting.rounding import GAIN_UNIT, TOP


class ContextNetwork(keras.Model):
  """One stage.

  Args:
    hidden: H.
    group: channels that are coded at once.
    slots: iterations that share the weights.
    dropout: share of the bits around that training does not show.
    penalty: of the squares of all weights but the biases, in bits a bit.
    seed: of the first weights and of what is not shown.
  """

  def __init__(
    self,
    hidden: int,
    group: int,
    slots: int,
    dropout: float = 0.0,
    penalty: float = 0.0,
    seed: int = 0,
  ):
    super().__init__()
    self.dropout = keras.layers.Dropout(dropout, seed=seed)
    self.hidden, self.group, self.slots = hidden, group, slots
    width, seeds = hidden + CODE_DEPTH, keras.random.SeedGenerator(seed)

    def weight(name: str, shape: tuple[int, ...], spread: float) -> Any:
      drawn = keras.random.normal(shape, stddev=spread, seed=seeds)
      if shape[-1] == width:  # what is no use to the hidden units begins at none
        drawn = ops.concatenate(
          [drawn[:, :hidden], ops.zeros_like(drawn[:, hidden:])], axis=1
        )
      first: Any = ops.convert_to_numpy(drawn)
      return self.add_weight(
        shape=shape,
        initializer=keras.initializers.Constant(first),
        regularizer=None if name == "bias" else keras.regularizers.L2(penalty),
        name=name,
      )

    self.bias = weight("bias", (slots * NUM_CLASSES, width), 0.1)
    self.near = weight("near", (NEAR, width), 0.02)
    self.before = weight("before", (BEFORE, width), 0.03)
    self.gains = weight("gains", (NUM_GAINS, width), 0.1)
    self.within = weight("within", (CODE_DEPTH, width), 0.05)
    self.out = weight("out", (hidden, CODE_DEPTH), 0.05)
    self.built = True

  def call(self, inputs: dict[str, Any], training: bool = False) -> Any:
    """The logits of a 1, float32 [b, 32], of what `inputs_of` gives."""
    signs, near, before = (
      ops.cast(inputs[name], "float32") for name in ("signs", "near", "before")
    )
    near, before = (self.dropout(one, training=training) for one in (near, before))
    start = near @ self.near + before @ self.before
    start += inputs["gains"] @ self.gains + ops.take(self.bias, inputs["place"], axis=0)
    groups = CODE_DEPTH // self.group
    seen = signs[:, None, :] * _earlier(self.group)  # [b, groups, 32]
    u = start[:, None, :] + seen @ self.within
    hidden = ops.clip(u[..., : self.hidden], 0.0, TOP)
    out = ops.reshape(self.out, (self.hidden, groups, self.group))
    logits = ops.einsum("bgh,hgk->bgk", hidden, out)
    direct = ops.reshape(u[..., self.hidden :], (-1, groups, groups, self.group))
    own = np.eye(groups, dtype="float32")[None, :, :, None]
    logits += ops.sum(direct * own, axis=2)
    return ops.reshape(logits, (-1, CODE_DEPTH))


def inputs_of(batch: Batch, slot: int) -> dict[str, np.ndarray]:
  """What the network takes of a batch of an iteration."""
  return {
    "signs": batch.signs,
    "near": batch.near,
    "before": batch.before,
    "gains": batch.gains / np.float32(GAIN_UNIT),
    "place": batch.kind + np.int32(slot * NUM_CLASSES),
  }


def cost(signs: Any, logits: Any) -> Any:
  """Mean bits a bit."""
  signs = ops.cast(signs, "float32")
  return ops.mean(ops.softplus(-signs * logits)) / np.log(2)


def _earlier(group: int) -> np.ndarray:
  """float32 [groups, 32]: the channels that are known before a group."""
  channels = np.arange(CODE_DEPTH)
  firsts = np.arange(0, CODE_DEPTH, group)
  return (channels < firsts[:, None]).astype("float32")
